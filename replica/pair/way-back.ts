/**
 * The way back to an earlier moment: a transaction in the spool, which a receiver applies as it does those that come from a primary. In: two moments of this node's own history. Out:
 * frames in the spool, on the disk.
 *
 * Invariants:
 * 1. Nothing of the tree is changed here; once the spool has the transaction whole, it will be.
 */
import { join } from 'node:path';
import type { Transaction, Txid } from '../../engine/index.js';
import { FrameReader } from './frame.js';
import { Spool } from './receiver/spool.js';
import { RealSpoolDisk } from './receiver/spool-disk.js';
import type { Source } from './source.js';
import { framesOf } from './transfer.js';

export interface WayBack {
  readonly source: Source;
  /** The store, by a path that stays. */
  readonly store: string;
  /** The last moment, and the one to go back to. */
  readonly from: Txid;
  readonly to: Txid;
  /** The transaction that does it. */
  readonly transaction: Transaction;
}

export async function spoolWayBack({ source, store, from, to, transaction }: WayBack): Promise<void> {
  const spool = new Spool(new RealSpoolDisk(join(store, 'pair')));
  try {
    const reader = new FrameReader();
    const step = await source.step(from, to);
    // The bytes of the earlier moment, for a transaction that comes later.
    for await (const bytes of framesOf(step, transaction, (_, file, offset, length) => source.read(to, file, offset, length))) {
      reader.push(bytes);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) spool.add(frame);
    }
    await spool.sync();
  } finally {
    spool.close();
  }
}
