/**
 * `npm run bench`: measures Tidemark beside the bare directory and its peers, on one disk, in turn, and prints ratios.
 * The command line comes in; a table (or JSON) goes to standard output, progress to standard error, and, with
 * `--save`, the table into docs/BENCHMARKS.md and the samples into docs/benchmarks.json; with `--flame`, one graph a row
 * into a directory instead.
 *
 * Invariants:
 * 1. Nothing is left behind: mounts, processes and the scratch directory go also when the run is interrupted.
 * 2. A row that was asked for and cannot be had makes the exit status 1.
 */
import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { execute, killAll } from './command.js';
import { makeWatcher, noPerf } from './flame/watch.js';
import { groups } from './groups/index.js';
import { detachBelow } from './mounts.js';
import { markdown, writeDocument } from './report.js';
import { describeMachine, merge, readResults, unfitPlace } from './results.js';
import type { Results, TargetDescription } from './results.js';
import { roundsOf } from './rounds.js';
import { rows } from './rows.js';
import { runAll } from './runner.js';
import type { Watch } from './runner.js';
import { UsageError, readSettings, usage } from './settings.js';
import type { Settings } from './settings.js';
import { sizesFor } from './sizes.js';
import { runSpecial } from './special.js';
import type { Target } from './targets/target.js';

const root = resolve(import.meta.dirname, '../..');

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2));
  const scratch = await makeScratch();
  // Once: the first signal cleans up, a second one of the same kind ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cleanUp(scratch).finally(() => process.exit(130)));
  try {
    if (settings.special !== undefined) return await runSpecial(settings.special, { ...settings, scratch, root, workload: await compileWorkload(scratch), progress: progressSince(Date.now()) });
    const targets = await usable(settings.targets, scratch);
    if (settings.flame !== undefined) return await drawFlames(settings, targets, settings.flame, scratch);
    const results = await measure(settings, targets, scratch);
    console.log(settings.json ? JSON.stringify(results, null, 2) : markdown(results));
    if (settings.save) await save(results);
    process.exitCode = results.failures.length > 0 ? 1 : 0;
  } finally {
    await cleanUp(scratch);
  }
}

/** The times are not told: they are of a run under perf. */
async function drawFlames(settings: Settings, targets: readonly Target[], directory: string, scratch: string): Promise<void> {
  const reason = await noPerf(scratch);
  if (reason !== undefined) {
    console.error(`--flame: ${reason}`);
    process.exitCode = 1;
    return;
  }
  const { watch, drawn } = makeWatcher(directory, scratch);
  const { failures } = await measure(settings, targets, scratch, watch);
  for (const row of drawn) console.log(`${directory}/${row}.svg`);
  const missing = [...settings.rowIds].filter((row) => !drawn.has(row));
  if (missing.length > 0) console.error(`no graph of ${missing.join(', ')}`);
  process.exitCode = missing.length > 0 || failures.length > 0 ? 1 : 0;
}

async function measure(settings: Settings, targets: readonly Target[], scratch: string, watch?: Watch): Promise<Results> {
  const progress = progressSince(Date.now());
  const workload = await compileWorkload(scratch);
  const results: Results = {
    measuredAt: {}, machine: describeMachine(scratch), runs: settings.runs, scale: settings.scale,
    targets: Object.fromEntries(await Promise.all(targets.map(async (target) => [target.name, await describeTarget(target, settings.runs)]))),
    samples: {}, failures: [],
  };
  const { rowIds, runs } = settings;
  const chosen = groups.filter((group) => rows.some((row) => row.group === group.id && rowIds.has(row.id)));
  await runAll({ groups: chosen, targets, rowIds, runs, sizes: sizesFor(settings.scale), scratch, workload, progress, ...(watch ? { watch } : {}) }, results);
  progress('done');
  return results;
}

async function compileWorkload(scratch: string): Promise<string> {
  const workload = `${scratch}/workload`;
  await execute('gcc', ['-O2', '-Wall', '-pthread', '-o', workload, `${root}/bench/workload.c`]);
  return workload;
}

function progressSince(startedAt: number): (line: string) => void {
  return (line) => console.error(`${((Date.now() - startedAt) / 1000).toFixed(0).padStart(5)} s  ${line}`);
}

async function describeTarget(target: Target, runs: number): Promise<TargetDescription> {
  const rounds = roundsOf(target, runs);
  return { description: await target.describe(), ...(rounds < runs ? { rounds } : {}), features: [] };
}

async function save(results: Results): Promise<void> {
  const path = `${root}/docs/benchmarks.json`;
  const merged = merge(await readResults(path), results);
  await writeFile(path, `${JSON.stringify(merged, null, 1)}\n`);
  await writeDocument(`${root}/docs/BENCHMARKS.md`, 'measured', markdown(merged));
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

main().catch((error: unknown) => {
  const wrongUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  console.error(error instanceof Error ? (wrongUsage ? `${error.message}\n${usage}` : error.stack) : error);
  process.exitCode = wrongUsage ? 2 : 1;
});
