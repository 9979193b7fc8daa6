/**
 * `npm run bench`: measures Tidemark beside the bare directory and its peers, on one disk, in turn, and prints ratios.
 * The command line comes in; a table (or JSON) goes to standard output, progress to standard error, and, with
 * `--save`, the table into docs/BENCHMARKS.md and the samples into docs/benchmarks.json.
 *
 * Invariants:
 * 1. Nothing is left behind: mounts, processes and the scratch directory go also when the run is interrupted.
 * 2. Trial figures (`--quick`, another scale) are never saved as the published ones.
 */
import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { execute, killAll } from './command.js';
import { groups } from './groups/index.js';
import { detachBelow } from './mounts.js';
import { markdown, writeDocument } from './report.js';
import { describeMachine, merge, readResults, unfitPlace } from './results.js';
import type { Results, TargetDescription } from './results.js';
import { roundsOf } from './rounds.js';
import { rows } from './rows.js';
import { runAll } from './runner.js';
import { sizesFor } from './sizes.js';
import { allTargets, defaultTargets } from './targets/index.js';
import type { Target } from './targets/target.js';

const root = resolve(import.meta.dirname, '../..');
const usage = `usage: npm run bench -- [options]
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
The targets work in a directory of their own below $TMPDIR (default /var/tmp).`;

class UsageError extends Error {
  readonly code = 'EUSAGE';
}

interface Settings {
  readonly rowIds: ReadonlySet<string>;
  readonly targets: readonly Target[];
  readonly runs: number;
  readonly scale: number;
  readonly json: boolean;
  readonly save: boolean;
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2));
  const scratch = await makeScratch();
  // Once: the first signal cleans up, a second one of the same kind ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cleanUp(scratch).finally(() => process.exit(130)));
  try {
    const targets = await usable(settings.targets, scratch);
    const results = await measure(settings, targets, scratch);
    console.log(settings.json ? JSON.stringify(results, null, 2) : markdown(results));
    if (settings.save) await save(results);
    process.exitCode = results.failures.length > 0 ? 1 : 0;
  } finally {
    await cleanUp(scratch);
  }
}

async function measure(settings: Settings, targets: readonly Target[], scratch: string): Promise<Results> {
  const startedAt = Date.now();
  const workload = `${scratch}/workload`;
  await execute('gcc', ['-O2', '-Wall', '-pthread', '-o', workload, `${root}/bench/workload.c`]);
  const results: Results = {
    measuredAt: {}, machine: describeMachine(scratch), runs: settings.runs, scale: settings.scale,
    targets: Object.fromEntries(await Promise.all(targets.map(async (target) => [target.name, await describeTarget(target, settings.runs)]))),
    samples: {}, failures: [],
  };
  const { rowIds, runs } = settings;
  const chosen = groups.filter((group) => rows.some((row) => row.group === group.id && rowIds.has(row.id)));
  const progress = (line: string): void => console.error(`${((Date.now() - startedAt) / 1000).toFixed(0).padStart(5)} s  ${line}`);
  await runAll({ groups: chosen, targets, rowIds, runs, sizes: sizesFor(settings.scale), scratch, workload, progress }, results);
  progress('done');
  return results;
}

async function describeTarget(target: Target, runs: number): Promise<TargetDescription> {
  const rounds = roundsOf(target, runs);
  return { description: await target.describe(), ...(rounds < runs ? { rounds } : {}), features: [] };
}

async function save(results: Results): Promise<void> {
  const path = `${root}/docs/benchmarks.json`;
  const merged = merge(await readResults(path), results);
  await writeFile(path, `${JSON.stringify(merged, null, 1)}\n`);
  await writeDocument(`${root}/docs/BENCHMARKS.md`, merged);
}

/** The scratch directory is open to other users: PostgreSQL works below it as its own user. */
async function makeScratch(): Promise<string> {
  const place = await realpath(process.env['TMPDIR'] ?? '/var/tmp');
  const unfit = await unfitPlace(place);
  if (unfit !== undefined) throw new UsageError(unfit);
  const scratch = await mkdtemp(`${place}/tidemark-bench-`);
  await chmod(scratch, 0o755);
  return scratch;
}

async function cleanUp(scratch: string): Promise<void> {
  killAll();
  await detachBelow(scratch);
  await rm(scratch, { recursive: true, force: true });
}

/** The targets that can run here; the others are named and left out. */
async function usable(targets: readonly Target[], scratch: string): Promise<Target[]> {
  const reasons = await Promise.all(targets.map((target) => target.unavailable(scratch)));
  reasons.forEach((reason, index) => reason !== undefined && console.error(`left out: ${targets[index]!.name}: ${reason}`));
  return targets.filter((_, index) => reasons[index] === undefined);
}

function readSettings(words: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rows: { type: 'string' }, targets: { type: 'string' }, runs: { type: 'string' }, scale: { type: 'string' },
      quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, save: { type: 'boolean', default: false },
    },
  });
  const scale = Number(values.scale ?? (values.quick ? 0.1 : 1));
  const runs = Number(values.runs ?? (values.quick ? 2 : 5));
  if (!(scale > 0 && scale <= 10)) throw new UsageError(`--scale ${values.scale}: a number above 0, at most 10`);
  if (!(Number.isInteger(runs) && runs >= 1 && runs <= 100)) throw new UsageError(`--runs ${values.runs}: a whole number from 1 to 100`);
  if (values.save && (scale !== 1 || runs < 5)) throw new UsageError('--save needs full sizes and at least 5 rounds');
  return {
    rowIds: readRows(values.rows), targets: readTargets(values.targets), runs, scale, json: values.json, save: values.save,
  };
}

function readRows(text: string | undefined): Set<string> {
  if (text === undefined) {
    const asked = new Set(groups.filter((group) => group.onlyWhenAsked).map(({ id }) => id));
    return new Set(rows.filter(({ group }) => !asked.has(group)).map(({ id }) => id));
  }
  const chosen = text.split(',').flatMap((word) => {
    const found = rows.filter(({ id, group }) => id === word || group === word);
    if (found.length === 0) throw new UsageError(`--rows: there is no row or group "${word}"`);
    // A row that is judged against another needs it measured too.
    return found.flatMap(({ id, bar }) => (bar?.kind === 'row' ? [bar.row, id] : [id]));
  });
  return new Set(chosen);
}

function readTargets(text: string | undefined): Target[] {
  return (text?.split(',') ?? defaultTargets).map((name) => {
    const found = allTargets.find((target) => target.name === name);
    if (!found) throw new UsageError(`--targets: there is no target "${name}"`);
    return found;
  });
}

main().catch((error: unknown) => {
  const wrongUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  console.error(error instanceof Error ? (wrongUsage ? `${error.message}\n${usage}` : error.stack) : error);
  process.exitCode = wrongUsage ? 2 : 1;
});
