/**
 * A daemon that is killed leaves nobody waiting: whatever its threads were telling the kernel at that moment, and whoever held the lock that this needs, every call
 * into the mount comes back with an error at once.
 */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { compile } from '../support/compile.js';
import { withMount } from '../support/mount.js';
import { start } from '../support/processes.js';
import { chooseSeed, Random } from '../support/seed.js';

t.setTimeout(120_000);

const rounds = 8;
const limitMs = 20_000;

void t.test('calls under way end when the daemon is killed', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  t.comment(`TIDEMARK_SEED=${seed}`);
  await withMount(t, {}, async (mount) => {
    const program = join(mount.place, 'walkers');
    await compile(['test/crash/walkers.c'], program);
    for (let round = 1; round <= rounds; round += 1) {
      if (round > 1) await mount.mount();
      const directory = mount.path(`round-${round}`);
      mkdirSync(directory);
      const walkers = start(program, [directory]);
      const ended = once(walkers, 'exit').then(() => true);
      await sleep(100 + random.below(400));
      await mount.kill9();
      t.ok(await Promise.race([ended, sleep(limitMs, false)]), `round ${round}: every call came back`);
    }
  });
});
