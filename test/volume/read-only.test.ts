/**
 * Below `.snapshots` nothing can be changed, whoever asks; inode numbers are stable and differ from live ones; an old
 * program's setuid does not act.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nativeOnly } from '../support/driver.js';
import { withMount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { run, runWell } from '../support/processes.js';

t.setTimeout(120_000);

void t.test('every change below .snapshots is EROFS', async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('folder'));
    writeFileSync(mount.path('folder', 'file'), 'text');
    await mount.cliWell('pin', mount.mountpoint, 'then');
    const then = mount.path('.snapshots', '@then');
    const [folder, file, fresh] = [join(then, 'folder'), join(then, 'folder', 'file'), join(then, 'new')];
    const changes: readonly [string, () => void][] = [
      ['write', () => fs.openSync(file, 'r+')],
      ['append', () => fs.appendFileSync(file, 'x')],
      ['truncate', () => fs.truncateSync(file, 0)],
      ['create', () => fs.writeFileSync(fresh, '')],
      ['mkdir', () => fs.mkdirSync(fresh)],
      ['rmdir', () => fs.rmdirSync(folder)],
      ['unlink', () => fs.unlinkSync(file)],
      ['rename', () => fs.renameSync(file, fresh)],
      ['link', () => fs.linkSync(file, fresh)],
      ['symlink', () => fs.symlinkSync('x', fresh)],
      ['chmod', () => fs.chmodSync(file, 0o600)],
      ['chown', () => fs.chownSync(file, process.getuid?.() ?? 0, process.getgid?.() ?? 0)],
      ['utimes', () => fs.utimesSync(file, 1, 1)],
      ['create in the list', () => fs.mkdirSync(mount.path('.snapshots', 'new'))],
      ['create a moment', () => fs.mkdirSync(mount.path('.snapshots', '@mine'))],
    ];
    for (const [what, change] of changes) t.throws(change, { code: 'EROFS' }, what);
    const outcome = await run('setfattr', ['-n', 'user.x', '-v', 'y', file]);
    t.match(outcome.stderr, /Read-only file system/);
    t.throws(() => fs.renameSync(mount.path('folder', 'file'), fresh), /EROFS|EXDEV/, 'rename into the past');
    t.equal(readFileSync(file, 'utf8'), 'text');
  });
});

void t.test('inode numbers of the past are stable, differ from live ones, and are shared by hard links', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('a'), 'text');
    fs.linkSync(mount.path('a'), mount.path('b'));
    await mount.cliWell('pin', mount.mountpoint, 'then');
    const number = (name: string): bigint => statSync(mount.path('.snapshots', '@then', name), { bigint: true }).ino;
    const before = number('a');
    t.equal(number('b'), before);
    t.not(statSync(mount.path('a'), { bigint: true }).ino, before);
    fs.unlinkSync(mount.path('a'));
    writeFileSync(mount.path('b'), 'changed');
    t.equal(number('a'), before, 'after changes');
    await mount.remount();
    t.equal(number('a'), before, 'after a remount');
    t.equal(number('b'), before);
  });
});

void t.test('setuid does not act in the past', { skip: isRoot ? nativeOnly('lets only the user in who mounts') : 'needs root' }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const program = mount.path('id');
    await runWell('cp', ['/usr/bin/id', program]);
    chownSync(program, 61001, 61001);
    chmodSync(program, 0o4755);
    await mount.cliWell('pin', mount.mountpoint, 'then');
    const past = mount.path('.snapshots', '@then', 'id');
    t.equal(statSync(past).mode & 0o7777, 0o4755, 'the mode shown is the old one');
    t.equal((await runWell(program, ['-u'], { uid: 65534 })).trim(), '61001', 'it acts in the live tree');
    const outcome = await run(past, ['-u'], { uid: 65534 });
    t.not(outcome.stdout.trim(), '61001', 'not in the past');
    t.ok(outcome.stdout.trim() === '65534' || /not permitted/.test(outcome.stderr), 'it runs as its caller, or not at all');
  });
});
