/**
 * The daemon is killed at random moments under load, again and again on the same volume, also while it recovers: each time the next
 * mount works at once and nothing that had returned is lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Model } from '../model/run.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { chooseSeed, Random } from '../support/seed.js';

t.setTimeout(600_000);

const seed = chooseSeed();
const seeds = new Random(seed);

for (const lanes of [0, 3]) {
  const random = new Random(seeds.below(2 ** 32));
  void t.test(`kill -9 at random, ${lanes === 0 ? 'one tree' : `${lanes} trees at the same time`}`, async (t) => {
    t.comment(`TIDEMARK_SEED=${seed}`);
    await withMount(t, {}, async (mount) => {
      await Model.with(mount, { seed: random.below(2 ** 32), lanes, uids: [undefined, undefined], isCalm: true }, async (model) => {
        for (let round = 1; round <= 6; round += 1) {
          const killed = sleep(random.below(700)).then(() => mount.kill9());
          await model.workUntilDead(100_000);
          await killed;
          if (round % 2 === 0) await crashWhileRecovering(mount, random);
          await model.recover();
          t.pass(`round ${round}: ${model.lanes.map((lane) => lane.moments.length).join(' + ')} moments are as they were`);
        }
      });
    });
  });
}

/** Mounts with a crash armed: whether it comes during recovery or soon after, the mount after it must be whole. */
async function crashWhileRecovering(mount: Mount, random: Random): Promise<void> {
  const label = random.pick(['log-append', 'before-end', 'after-end', 'object-move', 'rename-exchange']);
  const outcome = await mount.tryMount({ TIDEMARK_FAILPOINT: `${label}:1` });
  if (outcome.status === 0) await mount.kill9();
}
