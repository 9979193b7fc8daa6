/** Backups of a mounted volume to directories, by the command line: run, restore, verify, and whatever ends one in the middle. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRefusal } from '../support/refusal.js';
import { chooseSeed, Random } from '../support/seed.js';
import { runWell, until } from '../support/processes.js';

t.setTimeout(180_000);

/** Every name with type, mode, times, target and bytes, as text. */
async function described(directory: string): Promise<string> {
  const listed = await runWell('sh', ['-c', 'cd "$1" && find . -mindepth 1 -printf "%P %y %m %U %G %T@ %l\\n" | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum', 'sh', directory]);
  return listed;
}

function prepare(mount: Mount): void {
  mkdirSync(mount.path('docs/deep'), { recursive: true });
  writeFileSync(mount.path('docs/letter.txt'), 'first draft\n');
  writeFileSync(mount.path('docs/deep/note'), 'note\n');
  chmodSync(mount.path('docs/letter.txt'), 0o640);
  utimesSync(mount.path('docs/letter.txt'), 1_600_000_000.5, 1_600_000_000.25);
  symlinkSync('letter.txt', mount.path('docs/link'));
  linkSync(mount.path('docs/deep/note'), mount.path('docs/second name'));
  writeFileSync(mount.path('big'), Buffer.alloc(300_000, 'b'));
  mkdirSync(mount.path('empty'));
  writeFileSync(mount.path('café %41\nline'), 'odd\n');
  writeFileSync(Buffer.concat([Buffer.from(mount.path('latin-')), Buffer.of(0xe9)]), 'bytes\n');
}

await t.test('a backup is plain files, follows the volume, and any moment of it comes back', async (t) => {
  await withMount(t, {}, async (mount) => {
    const dest = join(mount.place, 'dest');
    mkdirSync(dest);
    prepare(mount);
    t.match(await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd'), /is backed up to .* as "d"/);
    await mount.cliWell('backup', 'run', 'd');
    const first = await described(mount.directory);
    t.equal(await described(join(dest, 'LastBackup')), first, 'LastBackup is the tree');
    const manifest = JSON.parse(readFileSync(join(dest, 'tidemark-manifest.json'), 'utf8')) as { files: number; entries: { path: string; sha256?: string }[] };
    t.equal(manifest.entries.length, 10);
    t.match(manifest.entries.find(({ path }) => path === 'docs/letter.txt'), { mode: '0640', sha256: /^[0-9a-f]{64}$/ });
    const firstTime = new Date().toISOString();
    await sleep(1100);

    // All that can happen to names and bytes between two runs.
    appendFileSync(mount.path('docs/letter.txt'), 'second\n');
    renameSync(mount.path('docs/deep'), mount.path('moved'));
    writeFileSync(mount.path('moved/new'), 'new\n');
    rmSync(mount.path('empty'), { recursive: true });
    writeFileSync(mount.path('empty'), 'a file now\n');
    renameSync(mount.path('big'), mount.path('docs/bigger'));
    chmodSync(mount.path('docs/bigger'), 0o600);
    rmSync(mount.path('docs/link'));
    symlinkSync('elsewhere', mount.path('docs/link'));
    mkdirSync(mount.path('fresh/sub'), { recursive: true });
    writeFileSync(mount.path('fresh/sub/x'), 'x');
    writeFileSync(mount.path('fresh-b'), 'b');
    const report = (await mount.json('backup', 'run', 'd', '--json'))[0]!;
    t.ok((report['bytes'] as number) < 1000, 'what moved is not sent again');
    const second = await described(mount.directory);
    t.equal(await described(join(dest, 'LastBackup')), second);
    const [previous] = readdirSync(join(dest, 'PreviousBackup'));
    t.equal(readFileSync(join(dest, 'PreviousBackup', previous!, 'docs/letter.txt'), 'utf8'), 'first draft\n', 'what was replaced lies there as it was');

    // From the destination alone.
    await mount.unmount();
    await mount.cliWell('backup', 'restore', dest, '--to', join(mount.place, 'now'));
    t.equal(await described(join(mount.place, 'now')), second);
    await mount.cliWell('backup', 'restore', dest, '--at', firstTime, '--to', join(mount.place, 'then'));
    t.equal(await described(join(mount.place, 'then')), first);
    await mount.cliWell('backup', 'restore', dest, 'docs/letter.txt', '--to', join(mount.place, 'one'));
    t.strictSame(readdirSync(join(mount.place, 'one')), ['letter.txt']);
    isRefusal(t, await mount.cli('backup', 'restore', dest, 'none', '--to', join(mount.place, 'one')), /is not in the backup of/);
    isRefusal(t, await mount.cli('backup', 'restore', dest, '--at', '2001-01-01', '--to', join(mount.place, 'one')), /is that old; the oldest is of/);
  });
});

await t.test('what is altered, missing or damaged at the destination is noticed and sent again', async (t) => {
  await withMount(t, {}, async (mount) => {
    const dest = join(mount.place, 'dest');
    mkdirSync(dest);
    prepare(mount);
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd', '--test', 'Sun 03:00', '--test-path', 'docs', '--test-command', 'grep -q draft docs/letter.txt && test ! -e big');
    await mount.cliWell('backup', 'run', 'd');
    await mount.cliWell('backup', 'verify', 'd');
    await mount.cliWell('backup', 'test', 'd');
    writeFileSync(mount.path('docs/letter.txt'), 'something else\n');
    await mount.cliWell('backup', 'run', 'd');
    isRefusal(t, await mount.cli('backup', 'test', 'd'), /the command of the test restore ended with status 1/);
    const last = join(dest, 'LastBackup');
    rmSync(join(last, 'docs/letter.txt'));
    writeFileSync(join(last, 'big'), Buffer.alloc(300_000, 'c'));
    isRefusal(t, await mount.cli('backup', 'verify', 'd'), /1 of 6 files are missing \(docs\/letter.txt\).*1 of 5 files read back are not what was sent \(big\)/);
    const [faulty] = await mount.json('status', mount.directory);
    t.match(faulty?.['backups'], [{ name: 'd', toSendAgain: 2, faults: [/test restore/, /verify found/] }]);
    await mount.cliWell('backup', 'run', 'd');
    t.equal(await described(last), await described(mount.directory));
    await mount.cliWell('backup', 'verify', 'd');

    // The manifest: altered, cut off, gone.
    const manifest = join(dest, 'tidemark-manifest.json');
    for (const harm of [() => { writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"size":300000', '"size":300001')); }, () => { truncateSync(manifest, 100); }, () => { rmSync(manifest); }]) {
      harm();
      rmSync(join(last, 'docs/second name'), { force: true });
      const refused = await mount.cli('backup', 'restore', dest, '--to', join(mount.place, 'never'));
      t.equal(refused.status, 1);
      t.match(refused.stderr, /was altered|no finished backup/);
      t.match(await mount.cliWell('backup', 'run', 'd'), /was altered|is gone/);
      t.equal(await described(last), await described(mount.directory));
      await mount.cliWell('backup', 'verify', 'd');
    }
  });
});

await t.test('a place that is not this backup\'s, or not there, is refused in one line', async (t) => {
  await withMount(t, {}, async (mount) => {
    const [dest, other] = ['dest', 'other'].map((name) => join(mount.place, name)) as [string, string];
    mkdirSync(dest);
    mkdirSync(join(other, 'LastBackup'), { recursive: true });
    writeFileSync(mount.path('file'), 'x');
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, join(mount.place, 'none')), /does not exist; plug the drive in/);
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, mount.path()), /lies in the volume itself/, 2);
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, other), /has a LastBackup that is not of this backup/);
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, dest, '--schedule', 'sometimes'), /the schedule "sometimes" cannot be read.*write it like/);
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, dest, '--keep', 'a lot'), /no rung; write AGE:DISTANCE/);
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, 'ftp://me:secret@host/x'), /a password on the command line is seen by everybody/, 2);
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd');
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, dest, '--name', 'e'), /is where the backup "d" goes/);
    isRefusal(t, await mount.cli('backup', 'run', 'none'), /no mounted volume has a backup "none"/);
    await mount.cliWell('backup', 'run', 'd');
    await withMount(t, {}, async (stranger) => {
      isRefusal(t, await stranger.cli('backup', 'add', stranger.directory, dest), /belongs to the backup "d" of .*choose another place/);
    });
    // An empty mountpoint is not the drive.
    renameSync(dest, `${dest}-away`);
    mkdirSync(dest);
    writeFileSync(mount.path('file'), 'y');
    isRefusal(t, await mount.cli('backup', 'run', 'd'), /may not be plugged in/);
    t.strictSame(readdirSync(dest), []);
    rmSync(dest, { recursive: true });
    renameSync(`${dest}-away`, dest);
    const raised = async (): Promise<boolean> => JSON.stringify((await mount.json('status', mount.directory))[0]?.['alarms']).includes('"alarm":"backup"');
    await mount.cliWell('alarms', mount.directory, '--check-every', '1s');
    await until(raised, 'the alarm');
    await mount.cliWell('backup', 'run', 'd');
    t.equal(readFileSync(join(dest, 'LastBackup/file'), 'utf8'), 'y');
    await until(async () => !(await raised()), 'its end');
    await mount.cliWell('backup', 'remove', 'd');
    t.equal((await mount.json('backup', 'list', '--volume', mount.directory)).length, 0);
    t.strictSame(await mount.json('pins', mount.directory), []);
    // What it made is taken up again.
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd');
    await mount.cliWell('backup', 'run', 'd');
  });
});

await t.test('a daemon that is killed in the middle costs nothing: the next run goes on inside the file', async (t) => {
  await withMount(t, {}, async (mount) => {
    const dest = join(mount.place, 'dest');
    mkdirSync(dest);
    writeFileSync(mount.path('small'), 'x');
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd', '--bandwidth', '4M', '--schedule', '0 0 1 1 *');
    await mount.cliWell('backup', 'run', 'd');
    const good = readFileSync(join(dest, 'tidemark-manifest.json'));
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=12'], { stdio: 'ignore' });
    const running = mount.cli('backup', 'run', 'd');
    const staged = join(dest, 'tidemark-work/staged/large');
    await until(() => existsSync(staged) && readFileSync(staged).length > 2 << 20, 'a part to arrive');
    await mount.kill9();
    t.equal((await running).status, 1);
    t.ok(readFileSync(join(dest, 'tidemark-manifest.json')).equals(good), 'the last good backup stays');
    await mount.cliWell('backup', 'restore', dest, '--to', join(mount.place, 'good'));
    t.strictSame(readdirSync(join(mount.place, 'good')), ['small']);
    await mount.mount();
    writeFileSync(mount.path('later'), 'came after');
    await mount.cliWell('backup', 'run', 'd');
    t.equal(await described(join(dest, 'LastBackup')), await described(mount.directory));
    t.equal(existsSync(join(dest, 'tidemark-work/staged')), false);
  });
});

await t.test('a switch that is cut off anywhere is finished, and meanwhile the last good backup is whole', async (t) => {
  await withMount(t, {}, async (mount) => {
    const dest = join(mount.place, 'dest');
    mkdirSync(dest);
    for (const name of ['a', 'b', 'c', 'gone']) writeFileSync(mount.path(name), `${name} before\n`);
    await mount.cliWell('backup', 'add', mount.directory, dest, '--name', 'd');
    await mount.cliWell('backup', 'run', 'd');
    const before = await described(mount.directory);
    for (const name of ['a', 'b', 'c']) writeFileSync(mount.path(name), `${name} after\n`);
    rmSync(mount.path('gone'));
    const after = await described(mount.directory);
    await mount.cliWell('backup', 'pause', 'd');
    await mount.unmount();
    // A run whose process is killed at its n-th step; what the one before has left is what it finds.
    const seed = chooseSeed();
    t.comment(`TIDEMARK_SEED=${seed}`);
    const random = new Random(seed);
    for (const moves of [2 + random.below(4), 1 + random.below(3), 4 + random.below(6), 0]) {
      await mount.mount({ TIDEMARK_BACKUP_FAILPOINT: String(moves) });
      const outcome = await mount.cli('backup', 'run', 'd');
      const target = join(mount.place, `restored-${moves}`);
      await mount.cliWell('backup', 'restore', dest, '--to', target);
      const restored = await described(target);
      await mount.unmount();
      if (moves === 0) t.equal(outcome.status, 0, outcome.stderr);
      t.ok(restored === (outcome.status === 0 ? after : before) || restored === after, `after ${moves} steps the backup is the old one or the new one`);
    }
    t.equal(await described(join(dest, 'LastBackup')), after);
  });
});
