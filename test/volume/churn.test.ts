/**
 * The index's file stays as large as what it holds at once needs, however many transactions come and go. (`npm run soak -- 60 churn` does it with ten million.)
 */
import { join } from 'node:path';
import t from 'tap';
import { churn, growth } from '../support/churn.js';
import { compile } from '../support/compile.js';
import { withMount } from '../support/mount.js';

t.setTimeout(300_000);

void t.test('the index stays bounded while a hundred thousand transactions come and go', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    const workload = join(mount.place, 'workload');
    await compile(['bench/workload.c'], workload);
    const sizes = await churn(mount, { transactions: 100_000, perRound: 10_000, ladder: '1s:all', workload });
    t.equal(growth(sizes), undefined);
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
  });
});
