/** Giving up moments of the history model by chance. In: a model and its volume. Out: fewer moments in both. */
import type { Random } from '../support/seed.js';
import type { HistoryModel } from './history-model.js';

/** Keeps some moments of those up to a random one. */
export async function giveUp(model: HistoryModel, random: Random): Promise<void> {
  const txids = [...model.snapshots.keys()];
  const horizon = txids[Math.floor(txids.length / 2) + random.below(Math.floor(txids.length / 2))]!;
  const part = 1 + random.below(8);
  const kept = txids.filter((txid) => txid === horizon || (txid < horizon && random.oneIn(part)));
  for (const txid of txids) if (txid < horizon && !kept.includes(txid)) model.snapshots.delete(txid);
  await model.volume.reclaim.keepOnly(Float64Array.from(kept));
}
