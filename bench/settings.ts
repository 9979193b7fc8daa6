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
import type { Target } from './targets/target.js';

export const usage = `usage: npm run bench -- [options]
  --rows a,b       rows or groups; default all but memory
                   groups: ${groups.map(({ id }) => id).join(' ')}
                   rows: ${rows.map(({ id }) => id).join(' ')}
  --targets a,b    of ${allTargets.map(({ name }) => name).join(' ')}; default ${defaultTargets.join(',')}
  --runs N         rounds, default 5
  --scale X        sizes and counts times X, default 1
  --quick          2 rounds, scale 0.1, for trying out
  --json           print JSON instead of the table
  --save           write docs/BENCHMARKS.md and docs/benchmarks.json; rows not measured now are kept
                   when they are of the same machine
  --flame DIR      instead of measuring: runs each of --rows once on Tidemark under perf and draws DIR/ROW.svg
The targets work in a directory of their own below $TMPDIR (default /var/tmp).`;

export class UsageError extends Error {
  readonly code = 'EUSAGE';
}

export interface Settings {
  readonly rowIds: ReadonlySet<string>;
  readonly targets: readonly Target[];
  readonly runs: number;
  readonly scale: number;
  readonly json: boolean;
  readonly save: boolean;
  /** Where flame graphs of the rows go, absolute; then nothing is measured. */
  readonly flame: string | undefined;
}

export function readSettings(words: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rows: { type: 'string' }, targets: { type: 'string' }, runs: { type: 'string' }, scale: { type: 'string' }, flame: { type: 'string' },
      quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, save: { type: 'boolean', default: false },
    },
  });
  const scale = Number(values.scale ?? (values.quick ? 0.1 : 1));
  const runs = Number(values.runs ?? (values.quick ? 2 : 5));
  if (!(scale > 0 && scale <= 10)) throw new UsageError(`--scale ${values.scale}: a number above 0, at most 10`);
  if (!(Number.isInteger(runs) && runs >= 1 && runs <= 100)) throw new UsageError(`--runs ${values.runs}: a whole number from 1 to 100`);
  if (values.save && (scale !== 1 || runs < 5)) throw new UsageError('--save needs full sizes and at least 5 rounds');
  const { json, save } = values;
  if (values.flame !== undefined) {
    if (save || json || values.targets !== undefined || values.runs !== undefined) throw new UsageError('--flame goes with --rows, --scale and --quick alone');
    if (values.rows === undefined) throw new UsageError('--flame needs --rows');
    return { rowIds: new Set(readRows(values.rows)), targets: [watchedTidemark()], runs: 1, scale, json, save, flame: resolve(values.flame) };
  }
  const rowIds = values.rows === undefined ? usualRows() : withReferences(readRows(values.rows));
  return { rowIds, targets: readTargets(values.targets), runs, scale, json, save, flame: undefined };
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
