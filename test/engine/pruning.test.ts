/**
 * Pruning against the plain in-memory history of history-model.ts: whatever is given up, every moment that is kept reads as it was; before and after an
 * index is made again, and when more is given up later.
 */
import t from 'tap';
import { withHistoryModel } from './history-model.js';
import { giveUp } from './pruned-model.js';

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
