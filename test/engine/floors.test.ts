/**
 * Floors of files against the plain in-memory history of history-model.ts: what they leave reads as it was and the rest is not there, while moments are given up, too; and the
 * same from an index that is made again from a log of which nothing is left but what is needed.
 */
import t from 'tap';
import { decodeFloorBody, encodeFloorBody } from '../../engine/floors.js';
import { makeFileId } from '../../engine/ids.js';
import { defaultPolicyText } from '../../engine/policy.js';
import { withHistoryModel } from './history-model.js';
import type { HistoryModel } from './history-model.js';
import { giveUp } from './pruned-model.js';

t.setTimeout(600_000);

process.env['TIDEMARK_PRUNE_WINDOW'] = '20';

const rounds = 3;
const stepsInRound = 120;

void t.test('what floors leave reads as it was, the rest is not there', async (t) => {
  await withHistoryModel(t, async (model, random, volume) => {
    volume.reclaim.setPolicy({ ...defaultPolicyText, ladder: 'forever:all', diskShare: '100%', atLeast: '1s', versions: '3', keep: ['a=1 version', 'b.tmp=none', '/dd=9s'] });
    const raise = (): Promise<void> => model.raiseFloors();
    const thin = (): Promise<void> => giveUp(model, random);
    const prune = (): Promise<void> => model.prune(new Set([...model.snapshots.keys()].filter(() => random.oneIn(20))));
    for (let round = 0; round < rounds; round++) {
      await advance(model);
      for (const act of random.pick([[raise, thin, prune], [thin, raise], [prune, thin], [prune, raise]])) await act();
      await checkAll(model);
    }
    await volume.rebuildIndex();
    await checkAll(model);
    await model.pack();
    await checkAll(model);
    await advance(model);
    for (const act of [raise, thin, prune]) await act();
    await checkAll(model);
    t.pass(`${model.snapshots.size} moments read as they were`);
  });
});

async function advance(model: HistoryModel): Promise<void> {
  for (let step = 0; step < stepsInRound; step++) model.step();
  model.native.writeEnds();
  await model.volume.caughtUp();
}

async function checkAll(model: HistoryModel): Promise<void> {
  for (const txid of model.snapshots.keys()) await model.check(txid);
  await model.checkHidden();
  const { faults } = await model.volume.verify();
  if (faults.length > 0) throw new Error(`verify finds ${JSON.stringify(faults[0])}, ${faults.length} in all`);
}

void t.test('a floor in the log', async (t) => {
  const files = [makeFileId(5n, 6), makeFileId(2n ** 63n, 2 ** 32 - 1)];
  for (const held of [[], [3], [3, 4, 1000, 2 ** 40]]) t.strictSame(decodeFloorBody(encodeFloorBody(held, files)), { held, files });
  t.throws(() => decodeFloorBody(encodeFloorBody([7], files).subarray(0, -1)), RangeError);
});
