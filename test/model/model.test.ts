/**
 * The model test: random operations by several processes on the mount and, in the same order, on a twin on the bare file
 * system; the state after each barrier is remembered, and after every batch each remembered state is compared with its
 * snapshot: listings, bytes, attributes, extended attributes, hard links. TIDEMARK_SEED repeats a run.
 */
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { MountOptions } from '../support/mount.js';
import { testedDriver } from '../support/driver.js';
import { isRoot } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';
import { runModel } from './run.js';
import type { ModelOptions } from './run.js';

t.setTimeout(900_000);

const seed = chooseSeed();
const seeds = new Random(seed);
const isNative = testedDriver === 'native';
const otherUser = isRoot && isNative ? 61001 : undefined;
let operations = 0;

function compares(what: string, mountOptions: MountOptions, sizes: Omit<ModelOptions, 'seed'>): void {
  const ownSeed = seeds.below(2 ** 32);
  void t.test(`every snapshot is what was seen: ${what}`, async (t) => {
    t.comment(`TIDEMARK_SEED=${seed}`);
    await withMount(t, mountOptions, async (mount) => {
      const count = await runModel(mount, { seed: ownSeed, ...sizes });
      operations += count;
      t.ok(count >= sizes.batches * sizes.batchSize, `${count} operations`);
    });
  });
}

const shared = { lanes: 0, uids: [undefined, undefined, otherUser] } as const;
if (isNative) compareAll();
else compares('three processes in one tree', {}, { ...shared, batches: 1, batchSize: 80 });

function compareAll(): void {
  for (let round = 1; round <= 10; round += 1) {
    compares(`three processes in one tree, round ${round}`, {}, { ...shared, batches: 2, batchSize: 250 });
  }
  for (let round = 1; round <= 3; round += 1) {
    compares(`three trees at the same time, round ${round}`, { apart: true }, { lanes: 3, uids: [undefined, undefined], batches: 2, batchSize: 200 });
  }
  compares('every write seen', { arguments: ['--every-write'] }, { ...shared, batches: 2, batchSize: 250 });
  compares('relaxed history and a short interval', { arguments: ['--history=relaxed', '--interval=20ms'] }, { ...shared, batches: 2, batchSize: 250 });
  for (let round = 1; round <= 2; round += 1) {
    compares(`history is given up, round ${round}`, { environment: { TIDEMARK_PRUNE_WINDOW: '50' } }, { lanes: 2, uids: [undefined, undefined], batches: 3, batchSize: 150, prunes: true });
  }
  compares('a long history', {}, { lanes: 2, uids: [undefined], batches: 1, batchSize: 600 });

  void t.test('at least 10,000 operations were compared', async (t) => {
    t.ok(operations >= 10_000, `${operations} operations`);
  });
}
