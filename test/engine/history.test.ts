/**
 * The engine against a plain in-memory history: thousands of random operations over few names; every snapshot, compared in names,
 * attributes and bytes, reads the same whenever it is asked.
 */
import { rmSync } from 'node:fs';
import t from 'tap';
import type { Volume } from '../../engine/volume.js';
import { withHistoryModel } from './history-model.js';
import type { HistoryModel } from './history-model.js';

t.setTimeout(600_000);

const batches = 6;
const stepsInBatch = 500;
const checksInBatch = 50;
const rounds = 8;
const snapshotsInRound = 3;
const stepsInRound = 60;

void t.test('every snapshot reads as it was, however much changed since, and also from an index made again', async (t) => {
  await withHistoryModel(t, async (model, random, volume) => {
    for (let batch = 0; batch < batches; batch++) {
      for (let step = 0; step < stepsInBatch; step++) model.step();
      model.native.writeEnds();
      const txids = [...model.snapshots.keys()];
      for (let check = 0; check < checksInBatch; check++) await model.check(random.pick(txids));
      await model.check(txids.at(-1)!);
    }
    for (const txid of model.snapshots.keys()) await model.check(txid);
    t.pass(`all ${model.snapshots.size} snapshots read as they were`);

    const report = await volume.verify();
    t.same(report.faults, [], 'verify finds nothing');

    const before = await answers(volume, model);
    await volume.rebuildIndex();
    t.same(await answers(volume, model), before, 'an index made again answers the same');
    for (const txid of [...model.snapshots.keys()].filter((_, index) => index % 7 === 0)) await model.check(txid);

    await volume.close();
    rmSync(`${model.directory}/.tidemark/index`, { recursive: true });
    const again = await model.open();
    t.equal(again.notices.length, 1, 'an index that is missing is made again, and said so');
    t.same(await answers(again, model), before, 'and answers the same');
    await again.close();
  });
});

void t.test('snapshots that are listed again and again read the same, whatever happens in between, ended or still going on', async (t) => {
  await withHistoryModel(t, async (model, random) => {
    for (let round = 0; round < rounds; round++) {
      while (model.snapshots.size < (round + 1) * snapshotsInRound) model.step();
      const txids = [...model.snapshots.keys()].slice(-snapshotsInRound);
      for (let step = 0; step < stepsInRound; step++) {
        model.step();
        await model.check(random.pick(txids));
      }
    }
    t.pass('all of them read as they were');
  });
});

/** Everything that can be asked of the history as a whole, as text. */
async function answers(volume: Volume, model: HistoryModel): Promise<unknown> {
  const text = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return String(item);
    const bytes = item as { type?: string; data?: number[] };
    return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString() : item;
  }));
  const txids = [...model.snapshots.keys()];
  const first = volume.parseMoment(`txn-${txids[Math.floor(txids.length / 3)]}`);
  const last = volume.parseMoment(`txn-${txids.at(-1)}`);
  return {
    log: text(await volume.log({ path: Buffer.from('/') })),
    diff: text(await volume.diff(Buffer.from('/'), first, last)),
    deleted: text(await volume.deletedEntries(last, volume.rootId)),
    names: text(volume.snapshotNames()),
    rootNames: text(volume.snapshotNames(volume.rootId)),
  };
}
