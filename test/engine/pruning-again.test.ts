/**
 * A pruning of the index that is begun again, wherever it was cut off, comes to the same end: also for files with so many entries that they are looked after last.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makePrunable } from '../../bench/pruning/history.js';
import { IndexStore } from '../../engine/index-store.js';
import { pruneIndex } from '../../engine/index-pruning.js';
import { Kept } from '../../engine/kept.js';
import { Volume } from '../../engine/volume.js';
import { makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';

t.setTimeout(120_000);

const versions = 3000;
const fileCount = 40;

/** One run of the pruning, each step committed, up to `mostSteps`. Tells whether it came to its end. */
function run(index: IndexStore, kept: Float64Array, mostSteps: number): boolean {
  const steps = pruneIndex({
    index, kept: new Kept(kept), horizon: kept.at(-1)!, isObject: () => false, removeObject: () => {}, onDead: () => {}, windowThings: 100,
  });
  let isDone = false;
  for (let count = 0; count < mostSteps && !isDone; count++) index.transact(() => { isDone = steps.next().done === true; });
  return isDone;
}

function digest(index: IndexStore): string {
  const hash = createHash('sha256');
  for (const { key, value } of index.scan(Buffer.alloc(1), 0)) hash.update(key).update(value);
  return hash.digest('hex');
}

void t.test('cut off anywhere and begun again, it ends the same', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  const place = makePlace();
  t.teardown(() => removePlace(place));
  const directory = join(place, 'protected');
  mkdirSync(join(directory, 'd0'), { recursive: true });
  for (let index = 0; index < fileCount; index++) writeFileSync(join(directory, `d0/f${index}`), '');
  await makePrunable(directory, { versions, days: 3, pins: 0 });
  await (await Volume.open(directory)).close();
  const kept = Float64Array.from(Array.from({ length: versions }, (_, index) => index + 1).filter((txid) => txid % 500 === 0 || random.oneIn(40)));
  const digests = new Set<string>();
  const cuts: number[] = [];
  for (let round = 0; round < 5; round++) {
    const path = join(place, `index-${round}`);
    cpSync(join(directory, '.tidemark/index'), path, { recursive: true });
    const index = new IndexStore(path);
    // The first round is whole.
    while (round > 0 && cuts.length < round * 3) {
      cuts.push(random.below(400));
      if (run(index, kept, cuts.at(-1)!)) break;
    }
    t.ok(run(index, kept, Infinity), 'it comes to its end');
    digests.add(digest(index));
    await index.close();
  }
  t.equal(digests.size, 1, `the same index, TIDEMARK_SEED=${seed}, cut off after ${cuts.join(' ')} steps`);
});
