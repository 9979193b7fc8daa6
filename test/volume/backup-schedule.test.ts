/** Backups that run by themselves: continuously, when a drive appears, when a time has passed unseen; and a drive that is pulled in the middle. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { imageOf, makeLoopDisk, mountLoopDisk } from '../support/loop-disk.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { withMount } from '../support/mount.js';
import { runWell, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(180_000);

await t.test('a continuous backup follows within seconds, and two at once hinder each other in nothing', async (t) => {
  await withMount(t, {}, async (mount) => {
    const [one, two] = ['one', 'two'].map((name) => join(mount.place, name)) as [string, string];
    for (const path of [one, two]) mkdirSync(path);
    await mount.cliWell('backup', 'add', mount.directory, one, '--schedule', 'continuous');
    await mount.cliWell('backup', 'add', mount.directory, two, '--schedule', 'continuous');
    for (let index = 1; index <= 3; index++) {
      writeFileSync(mount.path('file'), `${index}`);
      for (const dest of [one, two]) await until(() => existsSync(join(dest, 'LastBackup/file')) && readFileSync(join(dest, 'LastBackup/file'), 'utf8') === `${index}`, `${index} to arrive in ${dest}`, 30_000);
    }
    // What nobody changes is not run for.
    await until(async () => (await mount.json('backup', 'list', '--volume', mount.directory)).every((item) => item['doing'] === null), 'rest');
    const runs = (await mount.json('backup', 'history', 'one', '--volume', mount.directory)).length;
    await runWell('sleep', ['3']);
    t.equal((await mount.json('backup', 'history', 'one', '--volume', mount.directory)).length, runs);
    await mount.cliWell('backup', 'pause', 'one', '--volume', mount.directory);
    writeFileSync(mount.path('file'), 'last');
    await until(() => readFileSync(join(two, 'LastBackup/file'), 'utf8') === 'last', 'the other one to go on');
    t.equal(readFileSync(join(one, 'LastBackup/file'), 'utf8'), '3', 'paused');
    await mount.cliWell('backup', 'resume', 'one', '--volume', mount.directory);
    await until(() => readFileSync(join(one, 'LastBackup/file'), 'utf8') === 'last', 'it to catch up');
    // The mount is free at once, whatever runs.
    await mount.unmount();
  });
});

await t.test('a time that passed while nothing was mounted is made up once', async (t) => {
  await withMount(t, {}, async (mount) => {
    const dest = join(mount.place, 'dest');
    mkdirSync(dest);
    writeFileSync(mount.path('file'), 'x');
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd', '--schedule', '0 0 1 1 *');
    await mount.unmount();
    const record = join(mount.directory, '.tidemark/backup/d.json');
    const kept = JSON.parse(readFileSync(record, 'utf8')) as { state: { addedMs: number } };
    kept.state.addedMs -= 3 * 366 * 86_400_000;
    writeFileSync(record, JSON.stringify(kept));
    await mount.mount();
    await until(() => existsSync(join(dest, 'tidemark-manifest.json')), 'the missed run');
    await until(async () => (await mount.json('backup', 'history', 'd')).length === 1, 'its record');
    await runWell('sleep', ['2.5']);
    t.equal((await mount.json('backup', 'history', 'd')).length, 1, 'once');
  });
});

const skip = isRoot ? await unlessInstalled('blkid') : 'only root can mount drives';

await t.test('a drive that is plugged in is mounted, caught up and let go; pulled in the middle, it goes on later', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const drive = join(mount.place, 'drive');
    mkdirSync(drive);
    await makeLoopDisk('ext4', drive, 64 << 20);
    mkdirSync(join(drive, 'backups'));
    writeFileSync(mount.path('file'), 'first');
    await mount.cliWell('backup', 'add', mount.directory, join(drive, 'backups'), '--name', 'usb', '--schedule', 'on-plug', '--bandwidth', '8M');
    await until(() => existsSync(join(drive, 'backups/tidemark-manifest.json')), 'the drive that is there to be caught up');
    await until(async () => (await mount.json('backup', 'status', 'usb'))[0]?.['doing'] === null, 'its end');

    // Pulled while a large file is on its way.
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=16'], { stdio: 'ignore' });
    const running = mount.cli('backup', 'run', 'usb');
    const staged = join(drive, 'backups/tidemark-work/staged/large');
    await until(() => (statSync(staged, { throwIfNoEntry: false })?.size ?? 0) > 2 << 20, 'a part to arrive');
    await runWell('umount', ['-l', drive]);
    isRefusal(t, await running, /drive is gone; plug it in again|may not be plugged in|is not plugged in/);
    t.strictSame(readdirSync(drive), [], 'nothing is written where the drive was');

    // Plugged in again, with nobody to mount it but the daemon.
    const device = (await runWell('losetup', ['--find', '--show', imageOf(drive)])).trim();
    try {
      await until(async () => {
        const [status] = await mount.json('backup', 'history', 'usb');
        void status;
        const runs = await mount.json('backup', 'history', 'usb');
        return JSON.stringify(runs.at(-1)).includes('the drive may be pulled now');
      }, 'the drive to be caught up', 60_000);
    } finally {
      await runWell('losetup', ['-d', device]);
    }
    await mountLoopDisk(drive);
    t.equal(await runWell('sha256sum', [join(drive, 'backups/LastBackup/large')]).then((line) => line.slice(0, 64)), await runWell('sha256sum', [mount.path('large')]).then((line) => line.slice(0, 64)));
  });
});
