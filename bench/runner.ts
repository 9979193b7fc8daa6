/**
 * Runs the groups: every round takes the targets in turn, each with a fresh directory and a fresh start. Groups,
 * targets and sizes come in; samples and failures go out.
 *
 * Invariants:
 * 1. Rounds interleave the targets, in the order that rounds.ts gives them.
 * 2. A failure ends its run alone: it is recorded, its samples are null, the others go on. So is one of a group's preparation.
 * 3. Whatever happens, the target is stopped, and its large files removed, and never through a mount. Small ones stay to the end:
 *    ext4 makes inodes slowly for a minute after many were deleted, and the next run would pay for it.
 */
import { mkdir } from 'node:fs/promises';
import { execute } from './command.js';
import type { Bench, Group, RunContext } from './groups/group.js';
import { detachBelow } from './mounts.js';
import type { Failure, Results } from './results.js';
import { targetsOf } from './rounds.js';
import { rows } from './rows.js';
import type { Sizes } from './sizes.js';
import type { RunningTarget, Target } from './targets/target.js';

/** Runs a row's measured part, and looks on. */
export type Watch = <T>(row: string, target: RunningTarget, work: () => Promise<T>) => Promise<T>;

export interface Plan {
  readonly groups: readonly Group[];
  readonly targets: readonly Target[];
  readonly rowIds: ReadonlySet<string>;
  readonly runs: number;
  readonly sizes: Sizes;
  readonly scratch: string;
  /** The compiled workload program. */
  readonly workload: string;
  /** Told what is being done, in a few words. */
  readonly progress: (line: string) => void;
  readonly watch?: Watch;
}

export async function runAll(plan: Plan, results: Results): Promise<void> {
  const bench = makeBench(plan);
  for (const group of plan.groups) {
    const reason = (await group.unavailable?.()) ?? (await prepare(plan, bench, group));
    if (reason !== undefined) {
      plan.progress(`FAILED ${group.id}: ${reason}`);
      results.failures.push({ group: group.id, target: 'all', round: 0, message: reason });
      continue;
    }
    results.measuredAt[group.id] = new Date().toISOString();
    for (let round = 1; round <= (group.once ? 1 : plan.runs); round++) {
      for (const target of targetsOf(round, group.once ? 1 : plan.runs, plan.targets)) await runOnce({ plan, bench, group, target, round, results });
    }
  }
}

/** Why the group cannot run, or undefined. */
async function prepare(plan: Plan, bench: Bench, group: Group): Promise<string | undefined> {
  plan.progress(`${group.id}: preparing`);
  try {
    await group.prepare?.(bench);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return undefined;
}

interface Run {
  readonly plan: Plan;
  readonly bench: Bench;
  readonly group: Group;
  readonly target: Target;
  readonly round: number;
  readonly results: Results;
}

async function runOnce(run: Run): Promise<void> {
  const { plan, bench, group, target, round, results } = run;
  const directory = `${plan.scratch}/${group.id}-${round}-on-${target.name}`;
  let running: RunningTarget | undefined;
  const failed = (error: unknown): void => {
    const failure: Failure = { group: group.id, target: target.name, round, message: error instanceof Error ? error.message : String(error) };
    plan.progress(`FAILED ${failure.group} on ${failure.target}: ${failure.message}`);
    results.failures.push(failure);
  };
  try {
    await mkdir(directory);
    await group.fill?.(bench, directory);
    await bench.sync();
    running = await target.start(directory, (await group.account?.()) ?? {});
    results.targets[target.name]!.features = running.features;
    if (applies(group, running)) {
      expectSamples(run);
      await group.run(makeContext(run, running));
    }
  } catch (error) {
    if (!running) expectSamples(run);
    failed(error);
  }
  await running?.stop().catch(failed);
  await detachBelow(plan.scratch);
  await execute('find', [directory, '-type', 'f', '-size', '+1024k', '-delete']);
  await bench.sync();
}

function applies(group: Group, running: RunningTarget): boolean {
  return !(group.needsHistory && !running.history) && !(group.needsProcess && running.pid === undefined)
    && !(group.needsBare && running.pid !== undefined);
}

/** What is never recorded then stands as failed, or, in rounds that the target takes no part in, as left out. */
function expectSamples({ plan, group, target, results }: Run): void {
  for (const row of rows) {
    if (row.group !== group.id || !plan.rowIds.has(row.id)) continue;
    (results.samples[row.id] ??= {})[target.name] ??= Array.from({ length: group.once ? 1 : plan.runs }, () => null);
  }
}

function makeBench({ sizes, scratch, workload }: Plan): Bench {
  return {
    sizes,
    scratch,
    work: async (...words) => {
      const output = await execute(workload, words.map(String), { timeoutMs: 1_200_000 });
      return output.trim().split('\n').map(Number);
    },
    sync: async () => void (await execute('sync', [])),
    dropCaches: async () => void (await execute('sh', ['-c', 'sync; echo 3 > /proc/sys/vm/drop_caches'])),
  };
}

function makeContext({ plan, bench, target, round, results }: Run, running: RunningTarget): RunContext {
  const record = (row: string, value: number): void => {
    if (!plan.rowIds.has(row)) return;
    if (!(value > 0)) throw new Error(`${row}: ${value} is no measurement`);
    results.samples[row]![target.name]![round - 1] = value;
    const unit = rows.find(({ id }) => id === row)?.unit;
    plan.progress(`${row.padEnd(20)} round ${round}  ${target.name.padEnd(14)} ${unit === 'bytes' ? `${(value / 1e6).toFixed(0)} MB` : `${value.toFixed(6)} s`}`);
  };
  const during: RunContext['during'] = (row, work) => (plan.watch && plan.rowIds.has(row) ? plan.watch(row, running, work) : work());
  return {
    ...bench,
    path: running.path,
    target: running,
    round,
    wanted: (row) => plan.rowIds.has(row),
    record,
    during,
    measure: async (row, ...words) => {
      await bench.sync();
      const [seconds = NaN] = await during(row, () => bench.work(...words));
      record(row, seconds);
    },
  };
}
