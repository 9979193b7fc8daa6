/**
 * A primary that was superseded returns: its own tail is pinned, and its tree goes back to the last transaction that both histories have. In: that transaction. Out: a pin; a
 * transaction in the spool that leads back, which the receiver applies first of all.
 *
 * The tail's transactions may be younger than the first ones of the new primary, which come behind them from now on. Times must grow with txids, so one moment stands for the
 * tail, right behind the common one, and the others go.
 *
 * Invariants:
 * 1. The tail is pinned before anything of it is undone.
 * 2. Nothing of the common past changes.
 */
import { VolumeError, formatMoment } from '../../engine/index.js';
import type { Txid, Volume } from '../../engine/index.js';
import { checksumOf } from './position.js';
import type { Source } from './source.js';
import type { PairState } from './state.js';
import { spoolWayBack } from './way-back.js';

export interface RewindOptions {
  readonly volume: Volume;
  readonly source: Source;
  readonly store: string;
  readonly node: string;
  readonly common: Txid;
  say(line: string): void;
  /** Keeps what the transaction that leads back stands for. */
  note(rewound: NonNullable<PairState['rewound']>): void;
}

/** Nobody may change the tree meanwhile. Throws VolumeError when the common moment is no longer kept. */
export async function rewind({ volume, source, store, node, common, say, note }: RewindOptions): Promise<void> {
  const { replication } = volume;
  const last = await volume.settled();
  const shared = volume.transaction(common);
  if (shared === undefined) throw new VolumeError('ENOENT', `the last common moment (transaction ${common}) is no longer kept; keep what this node has elsewhere, then join anew`);
  const tail = { ...last, txid: (last.txid + 1n) as Txid, timeNs: shared.timeNs + 1n, command: 'tidemark', reason: 'query' };
  await replication.openTransaction(tail.txid);
  await replication.endTransaction(tail);
  const name = `diverged-${node}-${formatMoment(last.timeNs, 'second')}`;
  await volume.pin(name, tail.txid);
  await replication.forgetBetween(common, tail.txid);
  const back = { ...tail, txid: (tail.txid + 1n) as Txid, timeNs: shared.timeNs + 2n };
  await spoolWayBack({ source, store, from: tail.txid, to: common, transaction: back });
  note({ own: String(back.txid), txid: String(common), checksum: checksumOf(shared) });
  say(`transactions ${common + 1n} to ${last.txid} of this node were never on the other one: they are kept as @${name}, and the tree goes back to transaction ${common}`);
}
