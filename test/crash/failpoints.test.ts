/**
 * The daemon kills itself at every labelled step of a change, one round for each label and passing: the next mount works at once, verify
 * finds nothing, what had returned is there, what was under way is done or not done, and every earlier snapshot is the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Model } from '../model/run.js';
import { withMount } from '../support/mount.js';
import { repositoryRoot } from '../support/places.js';
import { run, runWell } from '../support/processes.js';
import { chooseSeed, Random } from '../support/seed.js';

t.setTimeout(600_000);
// Each has a volume of its own.
t.jobs = 2;

const seed = chooseSeed();
const random = new Random(seed);

/** Labels with how often the step may pass before the crash: rare steps come soon. */
const labels = new Map([
  ['log-append', 60],
  ['after-undo', 60],
  ['after-act', 60],
  ['before-end', 60],
  ['after-end', 60],
  ['object-move', 8],
  ['rename-exchange', 4],
]);
const bigLabels = ['segment-roll'];
const roundsEach = 2;
const mostSteps = 1500;

void t.test('every label of the sources is tried', async (t) => {
  const header = readFileSync(join(repositoryRoot, 'native/src/failpoint.h'), 'utf8');
  const named = [...header.matchAll(/"([a-z]+(?:-[a-z]+)+)"/g)].map((match) => match[1]);
  t.ok(named.length > 0);
  for (const label of new Set(named)) t.ok(labels.has(label ?? '') || bigLabels.includes(label ?? ''), label ?? 'no label');
});

for (const [label, mostPasses] of labels) {
  for (const lanes of [0, 2]) {
    const laneSeed = random.below(2 ** 32);
    // Mounting appends to the log itself.
    const first = label === 'log-append' ? 5 : 1;
    const passes = Array.from({ length: roundsEach }, () => first + random.below(mostPasses));
    void t.test(`a crash at ${label}, ${lanes === 0 ? 'one tree' : 'two trees at the same time'}, at passing ${passes.join(' and ')}`, async (t) => {
      t.comment(`TIDEMARK_SEED=${seed}`);
      await withMount(t, {}, async (mount) => {
        await Model.with(mount, { seed: laneSeed, lanes, uids: [undefined, undefined], isCalm: true }, async (model) => {
          await model.work(30);
          for (const pass of passes) {
            await model.close();
            await mount.unmount();
            await mount.mount({ TIDEMARK_FAILPOINT: `${label}:${pass}` });
            await model.open();
            await model.workUntilDead(mostSteps);
            await model.recover();
            t.pass(`recovered from ${label}:${pass}`);
          }
        });
      });
    });
  }
}

for (const label of bigLabels) {
  void t.test(`a crash at ${label}`, async (t) => {
    await withMount(t, {}, async (mount) => {
      const big = mount.path('big');
      const overwrite = ['if=/dev/urandom', `of=${big}`, 'bs=1M', 'count=40', 'conv=notrunc,fsync'];
      await runWell('dd', overwrite);
      const digest = (path: string): Promise<string> => runWell('sh', ['-c', 'sha256sum < "$1"', 'sh', path]);
      const before = await digest(big);
      const txid = (await mount.json('status', mount.mountpoint))[0]?.['txid'];
      await mount.unmount();
      await mount.mount({ TIDEMARK_FAILPOINT: label });
      for (let round = 0; round < 4; round += 1) await run('dd', overwrite);
      await mount.died();
      await mount.mount();
      await mount.cliWell('verify', mount.mountpoint);
      t.equal(await digest(mount.path('.snapshots', `@txn-${String(txid)}`, 'big')), before);
      await runWell('dd', overwrite);
      t.equal(await digest(mount.path('.snapshots', `@txn-${String(txid)}`, 'big')), before);
    });
  });
}
