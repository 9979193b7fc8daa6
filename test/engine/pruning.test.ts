/**
 * Pruning against the plain in-memory history of history-model.ts: whatever is given up, every moment that is kept reads as it was; before and after an
 * index is made again, and when more is given up later.
 */
import t from 'tap';
import type { Random } from '../support/seed.js';
import { withHistoryModel } from './history-model.js';
import type { HistoryModel } from './history-model.js';

t.setTimeout(600_000);

// As in a history of millions, what goes is looked after part by part.
process.env['TIDEMARK_PRUNE_WINDOW'] = '20';

const rounds = 5;
const stepsInRound = 300;

void t.test('what is kept reads as it was, whatever is given up', async (t) => {
  await withHistoryModel(t, async (model, random, volume) => {
    for (let round = 0; round < rounds; round++) {
      for (let step = 0; step < stepsInRound; step++) model.step();
      model.native.writeEnds();
      await volume.caughtUp();
      await giveUp(model, random);
      for (const txid of model.snapshots.keys()) await model.check(txid);
      const report = await volume.verify();
      t.same(report.faults, [], 'verify finds nothing');
    }
    const before = model.snapshots.size;
    await volume.rebuildIndex();
    for (const txid of model.snapshots.keys()) await model.check(txid);
    t.pass(`${before} moments read as they were`);
  });
});

/** Keeps some moments of those up to a random one. */
async function giveUp(model: HistoryModel, random: Random): Promise<void> {
  const txids = [...model.snapshots.keys()];
  const horizon = txids[Math.floor(txids.length / 2) + random.below(Math.floor(txids.length / 2))]!;
  const part = 1 + random.below(8);
  const kept = txids.filter((txid) => txid === horizon || (txid < horizon && random.oneIn(part)));
  for (const txid of txids) if (txid < horizon && !kept.includes(txid)) model.snapshots.delete(txid);
  await model.volume.reclaim.keepOnly(Float64Array.from(kept));
}
