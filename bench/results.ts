/**
 * The results of a benchmark as one value: where it ran, what was compared, every sample. Written as JSON, from which every
 * table can be made again.
 *
 * Invariants:
 * 1. Samples are kept as measured; medians and judgements are derived when a table is printed.
 * 2. Merging replaces whole rows, and never mixes machines: samples of different runs or hosts are never mixed.
 */
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { execute } from './command.js';
import { mountOf } from './mounts.js';
import { rows } from './rows.js';
import type { Samples } from './summary.js';

export interface Machine {
  readonly kernel: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGibibytes: number;
  readonly fileSystem: string;
  readonly node: string;
}

export interface TargetDescription {
  readonly description: string;
  /** How many of the rounds it took part in, when not in all. */
  readonly rounds?: number;
  /** Kernel features in use, as the target tells. */
  features: readonly string[];
}

export interface Failure {
  readonly group: string;
  readonly target: string;
  readonly round: number;
  readonly message: string;
}

export interface Results {
  /** Group → when its run began, RFC 3339. */
  readonly measuredAt: Record<string, string>;
  readonly machine: Machine;
  readonly runs: number;
  readonly scale: number;
  readonly targets: Record<string, TargetDescription>;
  readonly samples: Samples;
  readonly failures: Failure[];
}

/** @param directory where the targets work, absolute. */
export function describeMachine(directory: string): Machine {
  const mount = mountOf(directory);
  return {
    kernel: release(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    fileSystem: mount?.type ?? 'unknown',
    node: process.version,
  };
}

/** Rows of `fresh` over those of `old`. What was measured on another machine is dropped. */
export function merge(old: Results | undefined, fresh: Results): Results {
  if (!old || JSON.stringify(old.machine) !== JSON.stringify(fresh.machine)) return fresh;
  const samples: Samples = {};
  for (const { id } of rows) {
    const row = fresh.samples[id] ?? old.samples[id];
    if (row) samples[id] = row;
  }
  return {
    ...fresh,
    measuredAt: { ...old.measuredAt, ...fresh.measuredAt },
    targets: { ...old.targets, ...fresh.targets },
    samples,
    failures: [...old.failures.filter(({ group }) => !(group in fresh.measuredAt)), ...fresh.failures],
  };
}

/** Reads results written before; undefined when there are none. */
export async function readResults(path: string): Promise<Results | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Results);
}

/** Why this directory is no place for a benchmark of disks, or undefined. */
export async function unfitPlace(directory: string): Promise<string | undefined> {
  const type = mountOf(directory)?.type;
  if (type === 'tmpfs' || type === 'ramfs') return `${directory} lies in memory (${type}); set TMPDIR to a directory on a disk`;
  const free = Number((await execute('df', ['--output=avail', '-B1', directory])).split('\n')[1]);
  if (free < 12 * 2 ** 30) return `${directory} has ${(free / 2 ** 30).toFixed(1)} GiB free; 12 are needed`;
  return undefined;
}
