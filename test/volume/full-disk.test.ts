/**
 * A full disk, on a real mount: applications keep writing while there is history to give up, and are told when there is none; nothing synced is lost, nothing that is still
 * listed changes. And a disk that is full before anything is mounted. The long form of it is `npm run soak -- 60 full-disk`.
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fillDisk, FullDisk, keepAtLeast } from '../full-disk/work.js';
import { imageOf, makeLoopDisk } from '../support/loop-disk.js';
import { withDirectory, withMount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { run, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';
import { chooseSeed, Random } from '../support/seed.js';

t.setTimeout(180_000);
t.jobs = 2;

const mebibyte = 1 << 20;
const skip = !isRoot && 'needs root';

void t.test('applications write on while there is history to give up, and no longer when there is none', { skip }, async (t) => {
  const seed = chooseSeed();
  t.comment(`TIDEMARK_SEED=${seed}`);
  const random = new Random(seed);
  await withMount(t, { apart: true, prepare: (directory) => makeLoopDisk('ext4', directory, 64 * mebibyte) }, async (mount) => {
    const disk = new FullDisk(mount, random);
    try {
      await keepAtLeast(mount, '1s');
      await disk.begin(3, 12 * mebibyte);
      await disk.work({ ms: 1000, failures: 1 });
      disk.fill(60 * mebibyte);
      const filled = await disk.work({ ms: 5000, failures: 1 });
      t.strictSame(filled.errors, [], 'nobody was told that the disk is full');
      t.ok(filled.bytes > 8 * mebibyte, `${filled.bytes} bytes were written in ${filled.steps} steps, of which the longest took ${Math.round(filled.longestMs)} ms`);
      const past = disk.past();
      t.ok(past.compared > 0 && past.gone > 0, `${past.compared} moments were compared, ${past.gone} are gone`);
      t.strictSame([...disk.live(), ...past.complaints], []);
      t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);

      await keepAtLeast(mount, '1h');
      const refused = await disk.work({ ms: 40_000, failures: 3 });
      t.strictSame([...new Set(refused.errors)], ['ENOSPC'], 'nothing may go, and they are told so');
      t.match(await mount.cliWell('status', mount.mountpoint), /no more history may be given up/);
      t.strictSame(disk.live(), []);
      await mount.kill9();
      await mount.mount();
      t.strictSame(disk.live(), [], 'after a crash on the full disk, too');
      t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);

      await keepAtLeast(mount, '1s');
      t.strictSame((await disk.work({ ms: 2000, failures: 1 })).errors, [], 'when history may go again they go on');
      t.strictSame(disk.live(), []);
      await mount.unmount();
      await until(async () => (await run('umount', [mount.directory])).status === 0, 'the disk to be free');
      t.equal((await run('e2fsck', ['-fn', imageOf(mount.directory)])).status, 0, 'the file system is sound');
    } finally {
      await disk.close();
    }
  });
});

void t.test('a disk that was full at start', { skip }, async (t) => {
  await withDirectory(t, { apart: true, prepare: (directory) => makeLoopDisk('ext4', directory, 64 * mebibyte) }, async (mount) => {
    const outside = join(mount.directory, 'outside');
    fillDisk(outside);
    isRefusal(t, await mount.tryMount(), /is full .* free some space/);
    t.notOk(existsSync(join(mount.directory, '.tidemark')), 'nothing was made');
    rmSync(outside);

    await mount.mount();
    await keepAtLeast(mount, '1s');
    mkdirSync(mount.path('d'));
    for (let version = 0; version < 8; version++) writeFileSync(mount.path('d', 'file'), Buffer.alloc(2 * mebibyte, version));
    await mount.unmount();
    fillDisk(outside);
    await mount.mount();
    t.equal(statSync(mount.path('d', 'file')).size, 2 * mebibyte, 'a volume that is there is mounted');
    for (let version = 0; version < 4; version++) writeFileSync(mount.path('d', 'file'), Buffer.alloc(2 * mebibyte, version));
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
    await mount.unmount();
  });
});
