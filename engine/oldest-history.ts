/**
 * How far back history may reach when so much room is to come from it. In: the log's segments, which are given back best when all in them is dead. Out: times.
 *
 * Invariants:
 * 1. The times grow, and each lets more go than the one before.
 */
import { statSync } from 'node:fs';
import { crc32c } from './crc32c.js';
import { LogSegments } from './log-segments.js';
import type { StoreFiles } from './store-files.js';
import type { Transactions } from './transactions.js';

const nsInMs = 1_000_000n;
const blockBytes = 512;

/**
 * Ends of the oldest segments' history, ms since the epoch: the first at which they take about `wantedBytes` together, then one segment more each. Nothing when only what the newest
 * segment holds is left.
 */
export function* timesToGive(files: Pick<StoreFiles, 'log'>, transactions: Transactions, wantedBytes: number): Generator<number> {
  const segments = new LogSegments(files.log, crc32c);
  try {
    const list = [...segments.refresh()];
    const oldestNs = transactions.oldestNs();
    let bytes = 0;
    for (const [index, next] of list.slice(1).entries()) {
      const { header } = segments.open(next);
      const endNs = header === undefined ? undefined : transactions.timeUpTo(header.openTxid);
      // That has gone already, but for what is pinned.
      if (endNs === undefined || endNs <= oldestNs) continue;
      bytes += (statSync(list[index]!.path, { throwIfNoEntry: false })?.blocks ?? 0) * blockBytes;
      if (bytes >= wantedBytes) yield Number(endNs / nsInMs);
    }
  } finally {
    segments.close();
  }
}
