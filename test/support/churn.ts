/**
 * Churn: transactions without end, of which the policy keeps few. In: a mount beside its backing directory, numbers. Out: how large the index's file was after each pruning.
 *
 * Invariants:
 * 1. Every transaction changes names or bytes that transactions before it changed as well, so that nothing but time makes history.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from './mount.js';
import { runWell } from './processes.js';

export interface ChurnOptions {
  /** In all; about as many are made. */
  readonly transactions: number;
  /** Between two prunings. */
  readonly perRound: number;
  readonly ladder: string;
  /** The compiled bench/workload.c. */
  readonly workload: string;
}

/** One in so many transactions overwrites a file; the others change names. */
const writesOneIn = 10;
const versionBytes = 4096;

export async function churn(mount: Mount, { transactions, perRound, ladder, workload }: ChurnOptions): Promise<number[]> {
  await mount.cliWell('policy', mount.mountpoint, '--ladder', ladder, '--at-least', '1s');
  const writes = Math.ceil(perRound / writesOneIn);
  const sizes: number[] = [];
  for (let done = 0; done < transactions; done += perRound) {
    await runWell(workload, ['relink', mount.mountpoint, String(perRound - writes)]);
    await runWell(workload, ['versions', mount.path('versions'), String(done), String(writes), String(versionBytes)]);
    await mount.cliWell('prune', mount.mountpoint);
    sizes.push(statSync(join(mount.directory, '.tidemark/index/data.mdb')).size);
  }
  return sizes;
}

/** LMDB's file has room for what it holds and for the pages that its largest transaction yet has copied; without an end to it, it would grow with each round by what the first one took. */
const mostGrowth = 2;

/** What is wrong with how the file has grown; undefined when it has stayed about as large as it became in the first third. */
export function growth(sizes: readonly number[]): string | undefined {
  const third = Math.ceil(sizes.length / 3);
  const [before, after] = [Math.max(...sizes.slice(0, third)), Math.max(...sizes.slice(third))];
  return after <= before * mostGrowth ? undefined : `the index grew from ${before} to ${after} bytes: ${sizes.join(' ')}`;
}
