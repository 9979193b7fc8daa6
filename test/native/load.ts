/**
 * Load for a mount that has no snapshots (standalone.cc): the model's random operations in several trees at the same time, compared with their
 * twins. Usage: load.js MOUNT PLACE STEPS; TIDEMARK_SEED repeats. PLACE takes the twins.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Lane } from '../model/lane.js';
import { compile } from '../support/compile.js';
import { chooseSeed, Random } from '../support/seed.js';

const laneCount = 4;
const [mount, place, steps] = process.argv.slice(2);
if (mount === undefined || place === undefined || steps === undefined) throw new Error('usage: load.js MOUNT PLACE STEPS');

const seed = chooseSeed();
const random = new Random(seed);
const program = join(place, 'worker');
await compile(['test/model/worker.c', 'test/model/operations.c', 'test/model/describe.c'], program);

async function work(index: number): Promise<void> {
  const places = { mount: join(mount ?? '', `lane-${index}`), twin: join(place ?? '', `twin-${index}`) };
  for (const directory of Object.values(places)) {
    mkdirSync(directory);
    chmodSync(directory, 0o777);
  }
  const now = (): Promise<bigint> => Promise.resolve(0n);
  const lane = new Lane({ program, ...places, uids: [undefined, undefined], hasCompany: true, now }, new Random(random.below(2 ** 32)));
  lane.open();
  try {
    await lane.remember();
    for (let step = 0; step < Number(steps); step += 1) await lane.step();
  } finally {
    await lane.close();
  }
}

try {
  await Promise.all(Array.from({ length: laneCount }, (_, index) => work(index)));
  console.log(`${laneCount} × ${steps} operations`);
} catch (error) {
  console.error(`TIDEMARK_SEED=${seed}`);
  throw error;
}
