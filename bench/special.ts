/**
 * The measurements that are no rows: how times grow with the history, what giving history up costs, what backups and pairs take. In: which, and where. Out: figures on standard output and, to be
 * saved, the table in docs/BENCHMARKS.md with what belongs to it.
 */
import { writeFile } from 'node:fs/promises';
import { choiceRows, choiceTargets, choicesTable } from './choices.js';
import { groups } from './groups/index.js';
import { runBackupBench } from './backup/run.js';
import { backupTable } from './backup/table.js';
import { runPairBench } from './pair/run.js';
import { pairTable } from './pair/table.js';
import { runPruning } from './pruning/run.js';
import { pruningTable } from './pruning/table.js';
import { writeDocument } from './report.js';
import { describeMachine } from './results.js';
import type { Results } from './results.js';
import { rows } from './rows.js';
import { runAll } from './runner.js';
import { drawScale } from './scale/plot.js';
import { runScale } from './scale/run.js';
import { scaleTable } from './scale/table.js';
import type { Special } from './settings.js';
import { sizesFor } from './sizes.js';
import { bare } from './targets/bare.js';

export interface SpecialOptions {
  readonly quick: boolean;
  readonly save: boolean;
  /** An empty directory on a disk. */
  readonly scratch: string;
  /** The repository. */
  readonly root: string;
  /** The compiled bench/workload.c. */
  readonly workload: string;
  readonly progress: (line: string) => void;
}

export async function runSpecial(kind: Special, options: SpecialOptions): Promise<void> {
  const { table, save } = await { scale, pruning, backup, choices, pair }[kind](options);
  console.log(table);
  if (!options.save) return;
  await save();
  await writeDocument(`${options.root}/docs/BENCHMARKS.md`, kind, table);
}

interface Measured {
  readonly table: string;
  readonly save: () => Promise<void>;
}

async function scale({ quick, root, ...rest }: SpecialOptions): Promise<Measured> {
  const results = await runScale({ ...rest, sizes: quick ? [1e4, 1e5] : [1e4, 1e5, 1e6, 1e7] });
  return {
    table: scaleTable(results),
    save: async () => {
      await writeFile(`${root}/docs/scale.json`, `${JSON.stringify(results, null, 1)}\n`);
      await writeFile(`${root}/docs/scale.svg`, drawScale(results));
    },
  };
}

async function pruning({ quick, ...rest }: SpecialOptions): Promise<Measured> {
  const results = await runPruning({ ...rest, versions: quick ? 100_000 : 1_000_000 });
  return { table: pruningTable(results, describeMachine(rest.scratch)), save: async () => {} };
}

async function backup({ quick, scratch, progress }: SpecialOptions): Promise<Measured> {
  const results = await runBackupBench({ scratch, progress, files: quick ? 10_000 : 100_000, rounds: quick ? 1 : 3 });
  return { table: backupTable(results, describeMachine(scratch)), save: async () => {} };
}

async function pair({ quick, ...rest }: SpecialOptions): Promise<Measured> {
  const work = { writes: 40_000, rate: 2_000, commits: 2_000 };
  const sizes = quick ? { rounds: 1, files: 1_000, bulkBytes: 128 << 20, initialFiles: 5_000 } : { rounds: 3, files: 10_000, bulkBytes: 1 << 30, initialFiles: 100_000 };
  const results = await runPairBench({ ...rest, ...work, ...sizes });
  return { table: pairTable(results, describeMachine(rest.scratch)), save: async () => {} };
}

async function choices({ quick, scratch, workload, progress }: SpecialOptions): Promise<Measured> {
  const targets = choiceTargets(bare);
  const [runs, scale] = quick ? [1, 0.1] : [3, 1];
  const machine = describeMachine(scratch);
  const results: Results = {
    measuredAt: {}, machine, runs, scale, samples: {}, failures: [],
    targets: Object.fromEntries(await Promise.all(targets.map(async (target) => [target.name, { description: await target.describe(), features: [] }] as const))),
  };
  const chosen = groups.filter((group) => rows.some((row) => row.group === group.id && choiceRows.includes(row.id)));
  await runAll({ groups: chosen, targets, rowIds: new Set(choiceRows), runs, sizes: sizesFor(scale), scratch, workload, progress }, results);
  return { table: choicesTable(results, machine), save: async () => {} };
}
