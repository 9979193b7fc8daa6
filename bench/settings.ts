/**
 * The benchmark's command line. Words come in; what to measure goes out, or a UsageError that says what is wrong with them.
 *
 * Invariants:
 * 1. Trial figures (`--quick`, another scale, under a profiler) are never saved as the published ones.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { watchedTidemark } from './flame/target.js';
import { groups } from './groups/index.js';
import { rows } from './rows.js';
import { allTargets, defaultTargets } from './targets/index.js';
import { tidemark } from './targets/tidemark.js';
import type { Target } from './targets/target.js';

export const usage = `usage: npm run bench -- [options]
  --rows a,b       rows or groups; default all but memory
                   groups: ${groups.map(({ id }) => id).join(' ')}
                   rows: ${rows.map(({ id }) => id).join(' ')}
  --targets a,b    of ${allTargets.map(({ name }) => name).join(' ')}; default ${defaultTargets.join(',')}
  --builds n=DIR,… other builds of Tidemark, each as a target n: npm run build was done in DIR
  --runs N         rounds, default 5
  --sizes X        sizes and counts times X, default 1
  --quick          2 rounds, a tenth of the sizes, for trying out
  --json           print JSON instead of the table
  --save           write docs/BENCHMARKS.md and docs/benchmarks.json; rows not measured now are kept
                   when they are of the same machine
  --scale          instead of all that: how times grow with the history, up to ten million transactions (an hour;
                   with --quick up to 100,000); --save writes docs/scale.json, docs/scale.svg and the table
  --pruning        instead of all that: what giving up a million versions takes, and does to others (ten minutes;
                   with --quick 100,000); --save writes the table
  --backup         instead of all that: what backups of 100,000 files take beside cp, rsync, restic and lftp (with --quick 10,000);
                   --save writes the table
  --pair           instead of all that: what a live standby costs and how far behind it is, beside lsyncd, Syncthing, rsync and a bare TLS
                   socket (twenty minutes; with --quick less of it, once); --save writes the table
  --choices        instead of all that: what each way of saving round trips is worth, left out alone (half an hour; with --quick a tenth of
                   the sizes, once); --save writes the table
  --flame DIR      instead of measuring: runs each of --rows once on Tidemark under perf and draws DIR/ROW.svg
The targets work in a directory of their own below $TMPDIR (default /var/tmp).`;

export class UsageError extends Error {
  readonly code = 'EUSAGE';
}

/** Measurements that are no rows. */
export const specials = ['scale', 'pruning', 'backup', 'choices', 'pair'] as const;
export type Special = (typeof specials)[number];

export interface Settings {
  readonly rowIds: ReadonlySet<string>;
  readonly targets: readonly Target[];
  readonly runs: number;
  readonly scale: number;
  readonly json: boolean;
  readonly save: boolean;
  readonly quick: boolean;
  /** A measurement of its own kind, instead of the rows. */
  readonly special: Special | undefined;
  /** Where flame graphs of the rows go, absolute; then nothing is measured. */
  readonly flame: string | undefined;
}

export function readSettings(words: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rows: { type: 'string' }, builds: { type: 'string' }, targets: { type: 'string' }, runs: { type: 'string' }, sizes: { type: 'string' }, flame: { type: 'string' },
      scale: { type: 'boolean', default: false }, pruning: { type: 'boolean', default: false }, backup: { type: 'boolean', default: false }, choices: { type: 'boolean', default: false }, pair: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, save: { type: 'boolean', default: false },
    },
  });
  const special = readSpecial(values);
  const scale = Number(values.sizes ?? (values.quick ? 0.1 : 1));
  const runs = Number(values.runs ?? (values.quick ? 2 : 5));
  if (!(scale > 0 && scale <= 10)) throw new UsageError(`--sizes ${values.sizes}: a number above 0, at most 10`);
  if (!(Number.isInteger(runs) && runs >= 1 && runs <= 100)) throw new UsageError(`--runs ${values.runs}: a whole number from 1 to 100`);
  if (values.save && special === undefined && (scale !== 1 || runs < 5)) throw new UsageError('--save needs full sizes and at least 5 rounds');
  if (values.save && values.builds !== undefined) throw new UsageError('--save is of one build');
  const { json, save, quick } = values;
  if (values.flame !== undefined) {
    if (save || json || values.targets !== undefined || values.builds !== undefined || values.runs !== undefined) throw new UsageError('--flame goes with --rows, --sizes and --quick alone');
    if (values.rows === undefined) throw new UsageError('--flame needs --rows');
    return { rowIds: new Set(readRows(values.rows)), targets: [watchedTidemark()], runs: 1, scale, json, save, quick, special, flame: resolve(values.flame) };
  }
  const rowIds = values.rows === undefined ? usualRows() : withReferences(readRows(values.rows));
  return { rowIds, targets: [...readTargets(values.targets), ...readBuilds(values.builds)], runs, scale, json, save, quick, special, flame: undefined };
}

function readSpecial(values: Readonly<Record<string, string | boolean | undefined>>): Settings['special'] {
  const { quick, save } = values;
  const special = specials.find((name) => values[name] === true);
  if (special === undefined) return undefined;
  const others = Object.keys(values).filter((name) => values[name] !== false && ![special, 'quick', 'save'].includes(name));
  if (others.length > 0) throw new UsageError(`--${special} goes with --quick or --save alone`);
  if (quick && save) throw new UsageError('--quick is for trying out; it is not saved');
  if (process.getuid?.() !== 0) throw new UsageError(`--${special} needs root: it mounts a disk, or starts a server, of its own`);
  return special;
}

function usualRows(): Set<string> {
  const asked = new Set(groups.filter((group) => group.onlyWhenAsked).map(({ id }) => id));
  return new Set(rows.filter(({ group }) => !asked.has(group)).map(({ id }) => id));
}

function readRows(text: string): string[] {
  return text.split(',').flatMap((word) => {
    const found = rows.filter(({ id, group }) => id === word || group === word);
    if (found.length === 0) throw new UsageError(`--rows: there is no row or group "${word}"`);
    return found.map(({ id }) => id);
  });
}

/** A row that is judged against another needs it measured too. */
function withReferences(rowIds: readonly string[]): Set<string> {
  const chosen = rows.filter(({ id }) => rowIds.includes(id));
  return new Set(chosen.flatMap(({ id, bar }) => (bar?.kind === 'row' ? [bar.row, id] : [id])));
}

function readTargets(text: string | undefined): Target[] {
  return (text?.split(',') ?? defaultTargets).map((name) => {
    const found = allTargets.find((target) => target.name === name);
    if (!found) throw new UsageError(`--targets: there is no target "${name}"`);
    return found;
  });
}

function readBuilds(text: string | undefined): Target[] {
  return (text?.split(',') ?? []).map((word) => {
    const [, name, directory] = /^([\w-]+)=(.+)$/.exec(word) ?? [];
    if (name === undefined || directory === undefined) throw new UsageError(`--builds ${word}: write NAME=DIR`);
    if (allTargets.some((target) => target.name === name)) throw new UsageError(`--builds ${word}: "${name}" is the name of another target`);
    return tidemark(name, [], { root: resolve(directory) });
  });
}
