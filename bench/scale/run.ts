/**
 * `npm run bench -- --scale`: how listing, resolving, `log` and mounting grow with the history, from 10,000 transactions to ten million. In: sizes, a scratch directory
 * on a disk. Out: the figures of each size.
 *
 * Invariants:
 * 1. Sizes are measured one after the other, each on a fresh disk; what a size left is gone before the next begins.
 */
import { mkdirSync } from 'node:fs';
import { describeMachine } from '../results.js';
import type { Figures, ScaleResults } from './figures.js';
import { measureScale } from './measure.js';

export interface ScaleOptions {
  readonly sizes: readonly number[];
  /** A directory on a disk, empty. */
  readonly scratch: string;
  /** The compiled bench/workload.c. */
  readonly workload: string;
  readonly progress: (line: string) => void;
}

export async function runScale({ sizes, scratch, workload, progress }: ScaleOptions): Promise<ScaleResults> {
  const measured: { transactions: number; figures: Figures }[] = [];
  const { kernel, processor, cores, memoryGibibytes, node } = describeMachine(scratch);
  for (const transactions of sizes) {
    const place = `${scratch}/scale-${transactions}`;
    mkdirSync(place);
    measured.push({ transactions, figures: await measureScale({ transactions, place, workload, progress }) });
  }
  return {
    measuredAt: new Date().toISOString(), sizes: measured,
    machine: `Linux ${kernel}, ${cores} × ${processor}, ${memoryGibibytes} GiB, ext4 on a loop device, Node ${node}`,
  };
}
