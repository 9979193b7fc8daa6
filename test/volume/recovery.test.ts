/**
 * Getting things back, on real mounts and with changes of several users and programs: the recovery bin, undelete, `.snapshots/@deleted`.
 */
import { chmodSync, closeSync, existsSync, lstatSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { run, runWell } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);
t.jobs = 3;

const skip = isRoot ? false : 'needs root';
const [anna, ben] = [61001, 61002];

function test(name: string, body: (t: Test, mount: Mount) => Promise<void>, mountArguments: readonly string[] = []): void {
  void t.test(name, { skip }, async (t) => {
    await withMount(t, { arguments: mountArguments }, async (mount) => {
      chmodSync(mount.mountpoint, 0o777);
      await body(t, mount);
    });
  });
}

/** A shell script of a user, in the mount. */
function as(mount: Mount, uid: number, script: string): Promise<string> {
  return runWell('sh', ['-ec', `umask 0; ${script}`], { uid, cwd: mount.mountpoint });
}

async function lastTransaction(mount: Mount): Promise<number> {
  const [status] = await mount.json('status', mount.mountpoint);
  return Number(status?.['txid']);
}

test('a transaction is one user\'s, its process the whole one', async (t, mount) => {
  const before = await lastTransaction(mount);
  // A page that the kernel still has when somebody else makes something, and two handles on one file.
  await Promise.all([as(mount, anna, 'exec 3>open; echo anna >&3; sleep 1.5; echo more >&3'), sleep(1200).then(() => as(mount, ben, 'touch beside'))]);
  const script = "require('node:fs').promises.writeFile('threaded', 'x').then(() => console.log(process.pid))";
  const pid = Number(await runWell(process.execPath, ['-e', script], { uid: anna, cwd: mount.mountpoint }));
  const changes = await mount.json('log', mount.mountpoint, '--since', `txn-${before}`);
  for (const { path, uid } of changes.filter(({ path }) => path === '/open' || path === '/beside')) t.equal(uid, path === '/open' ? anna : ben, String(path));
  t.ok(changes.filter(({ path }) => path === '/open').length >= 2, 'both writes are told of');
  t.strictSame([...new Set(changes.filter(({ path }) => path === '/threaded').map(({ pid }) => pid))], [pid], 'not the thread\'s');
});

test('the bin tells what was lost, how, when and by whom, newest first', async (t, mount) => {
  await as(mount, anna, 'mkdir d; for f in a b c e; do echo 12345678 > d/$f.txt; done; echo new > tmp');
  const begin = await lastTransaction(mount);
  await as(mount, ben, 'rm d/a.txt; mv tmp d/b.txt; mv d/e.txt d/moved');
  truncateSync(mount.path('d', 'c.txt'), 3);
  const file = openSync(mount.path('d', 'c.txt'), 'r+');
  for (let count = 0; count < 3; count++) {
    writeSync(file, String(count), 0);
    await runWell('sync', ['-d', mount.path('d', 'c.txt')]);
  }
  closeSync(file);
  const items = await mount.json('bin', mount.mountpoint, '--since', `txn-${begin}`);
  t.strictSame(items.map(({ kind, path, size, uid }) => [kind, path, size, uid]), [
    ['overwritten', '/d/c.txt', 3, 0],
    ['truncated', '/d/c.txt', 9, 0],
    ['replaced', '/d/b.txt', 9, ben],
    ['deleted', '/d/a.txt', 9, ben],
  ], 'what one process overwrote again and again, once');
  t.ok(items.every(({ sure, pid }) => sure === true && Number(pid) > 0));
  const paths = async (...more: string[]): Promise<unknown[]> => (await mount.json('bin', mount.mountpoint, ...more)).map(({ path }) => path);
  t.strictSame(await paths('a.*'), ['/d/a.txt']);
  t.strictSame(await paths('d/[ab].txt', '--by-user', String(ben), '--by-command', 'rm'), ['/d/a.txt']);
  t.strictSame(await paths('--limit', '1', '--by-user', String(ben)), ['/d/b.txt']);
  t.match(await mount.cliWell('bin', mount.path('d'), 'a.txt'), /^\d{4}-.* txn-\d+ +deleted +9 B +61002 rm\[\d+\] +\/d\/a\.txt\n$/);
  t.match((await mount.cli('bin', mount.mountpoint, 'nothing*')).stderr, /nothing was deleted or overwritten in .* in the last 24 hours/);
  await mount.cliWell('pin', mount.mountpoint, 'backup-1', '--at', `txn-${begin}`);
  await mount.cliWell('pin', mount.mountpoint, 'backup-2');
  await mount.cliWell('pin', mount.mountpoint, 'backup-0', '--at', `txn-${begin}`);
  t.match((await mount.cli('bin', mount.mountpoint)).stderr, /nothing was deleted or overwritten in .* since the last backup \(@backup-2\)/);
  await mount.cliWell('unpin', mount.mountpoint, 'backup-2');
  t.equal((await paths()).length, 4, 'since the backup before');
  isRefusal(t, await mount.cli('bin', mount.path('never')), /never is not there now/);
  isRefusal(t, await mount.cli('bin', mount.mountpoint, '--by-user', 'no-such-user'), /There is no such user/, 2);
});

test('undelete brings back what was deleted last, with everything', async (t, mount) => {
  const path = mount.path('f');
  for (const text of ['one', 'two']) {
    writeFileSync(path, text);
    chmodSync(path, 0o640);
    unlinkSync(path);
    await sleep(1100);
  }
  const [newest, oldest] = await mount.json('bin', mount.mountpoint, 'f');
  t.match(await mount.cliWell('undelete', path), /is back as it was at .*, before it was deleted at .*: 1 item \(3 B\)/);
  t.equal(readFileSync(path, 'utf8'), 'two');
  t.equal(statSync(path).mode & 0o777, 0o640);
  isRefusal(t, await mount.cli('undelete', path), /\/f exists already; bring the deleted one back under another name with --to/);
  await mount.cliWell('undelete', path, '--to', mount.path('other'), '--at', `txn-${oldest?.['txid']}`);
  t.equal(readFileSync(mount.path('other'), 'utf8'), 'one', 'what had been deleted by then');
  await mount.cliWell('undelete', path, '--to', mount.path('third'), '--at', `txn-${Number(newest?.['txid']) - 1}`);
  t.equal(readFileSync(mount.path('third'), 'utf8'), 'two', 'what was there then');
  isRefusal(t, await mount.cli('undelete', path, '--to', mount.path('other')), /other exists already; choose another place/);
  const nowhere = await mount.cli('undelete', path, '--to', `${mount.place}/never/x`);
  t.match([nowhere.status, nowhere.stdout], [1, ''], 'nothing is said to be back');
  isRefusal(t, await mount.cli('undelete', mount.path('never')), /nothing that was deleted as .*never is kept/);
  renameSync(path, mount.path('renamed'));
  const [done] = await mount.json('undelete', path);
  t.equal(readFileSync(path, 'utf8'), 'two', 'what was renamed is not what was deleted');
  t.equal(typeof done?.['txid'], 'number');
});

test('undelete brings a tree back as it was before rm -r, links, attributes and ACLs included', async (t, mount) => {
  await as(mount, anna, `mkdir -p a/b/c; echo 1 > a/b/one; ln a/b/one a/b/c/two; ln -s one a/b/link; mkfifo a/b/c/pipe; truncate -s 1M a/b/sparse; setfattr -n user.k -v v a/b/one
    setfacl -m u:${ben}:r a/b/one; echo old > a/b/old; chmod 750 a/b/c; echo kept > kept; ln kept a/b/again`);
  await as(mount, ben, 'rm a/b/old');
  const describe = 'getfattr -Rd -m - a; find a -printf "%P %y %m %U %s %l %n\\n" | sort';
  const before = await runWell('sh', ['-c', describe], { cwd: mount.mountpoint });
  await as(mount, anna, 'rm -r a');
  t.match(await mount.cliWell('undelete', mount.path('a', 'b')), /a\/b is back .*: 9 items/);
  const after = await runWell('sh', ['-c', describe], { cwd: mount.mountpoint });
  // A link to a file outside comes back as a file of its own.
  t.equal(after, before.replace(/^(b\/again .*) 2$/m, '$1 1'), 'parents come back, too');
  t.equal(lstatSync(mount.path('a', 'b', 'one')).ino, lstatSync(mount.path('a', 'b', 'c', 'two')).ino);
  await as(mount, anna, 'echo x > x; ln x y; rm x');
  t.match(await mount.cliWell('undelete', mount.path('x')), /is back: a name of the file that is still there as .*\/y/);
  t.equal(lstatSync(mount.path('x')).ino, lstatSync(mount.path('y')).ino);
});

test('@deleted shows what was deleted, in its directories, with times where a name was deleted twice', async (t, mount) => {
  const shown = (...names: string[]): string[] => readdirSync(mount.path('.snapshots', '@deleted', ...names)).sort();
  mkdirSync(mount.path('live', 'sub'), { recursive: true });
  chmodSync(mount.path('live'), 0o777);
  t.notOk(readdirSync(mount.path('.snapshots')).includes('@deleted'), 'not listed while there is nothing in it');
  for (const text of ['first', 'second', 'third']) {
    writeFileSync(mount.path('live', 'sub', 'report.txt'), text);
    unlinkSync(mount.path('live', 'sub', 'report.txt'));
    if (text === 'first') await sleep(1100);
  }
  await as(mount, anna, 'mkdir -p gone/deep; echo x > gone/deep/x; echo y > gone/y; rm -r gone; echo z > moved; mv moved live/moved');
  t.ok(readdirSync(mount.path('.snapshots')).includes('@deleted'));
  t.strictSame([shown(), shown('gone'), shown('gone', 'deep'), shown('live')], [['gone', 'live'], ['deep', 'y'], ['x'], ['sub']]);
  const names = shown('live', 'sub');
  t.equal(names.length, 3);
  t.match(names[0], /^report \(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d{9})?Z\)\.txt$/);
  const read = (...path: string[]): string => readFileSync(mount.path('.snapshots', '@deleted', ...path), 'utf8');
  t.strictSame(names.map((name) => read('live', 'sub', name)).sort(), ['first', 'second', 'third']);
  t.equal(read('live', 'sub', 'report.txt'), 'third', 'the last one has the plain name');
  t.equal(read('gone', 'deep', 'x'), 'x\n');
  t.equal(readFileSync(mount.path('live', '.snapshots', '@deleted', 'sub', 'report.txt'), 'utf8'), 'third', 'in every directory');
  t.strictSame(readdirSync(mount.path('live', 'sub', '.snapshots', '@deleted')).sort(), names);
  await runWell('cp', ['-a', mount.path('.snapshots', '@deleted'), `${mount.place}/copy`]);
  t.equal(readFileSync(`${mount.place}/copy/gone/deep/x`, 'utf8'), 'x\n');
  for (const change of [() => writeFileSync(mount.path('.snapshots', '@deleted', 'new'), ''), () => unlinkSync(mount.path('.snapshots', '@deleted', 'gone', 'y')), () => rmSync(mount.path('.snapshots', '@deleted', 'gone'), { recursive: true })]) {
    t.throws(change, { code: 'EROFS' });
  }
  t.notOk(existsSync(mount.path('.snapshots', '@deleted', 'never')));
  isRefusal(t, await mount.cli('pin', mount.mountpoint, 'deleted'), /means what was deleted/);
  await mount.remount();
  t.strictSame(shown('live', 'sub'), names, 'the same after a restart');
});

test('@deleted asks for the permission of then and of now', async (t, mount) => {
  const told = async (path: string, uid = anna): Promise<string> => {
    const outcome = await run('cat', [mount.path('.snapshots', '@deleted', path)], { uid });
    return outcome.status === 0 ? outcome.stdout.trim() : /Permission denied|No such file/.exec(outcome.stderr)?.[0] ?? outcome.stderr;
  };
  const make = (name: string, mode: number): void => {
    mkdirSync(mount.path(name), { mode: 0o755 });
    writeFileSync(mount.path(name, 'open'), 'text', { mode });
  };
  make('plain', 0o644);
  make('secret', 0o600);
  make('closed', 0o644);
  make('opened', 0o644);
  make('gone', 0o644);
  make('listed', 0o600);
  await runWell('setfacl', ['-m', `u:${anna}:r`, mount.path('listed', 'open')]);
  await runWell('setfacl', ['-m', `u:${anna}:-`, mount.path('opened')]);
  for (const name of ['plain', 'secret', 'closed', 'opened', 'listed']) unlinkSync(mount.path(name, 'open'));
  rmSync(mount.path('gone'), { recursive: true });
  chmodSync(mount.path('closed'), 0o700);
  await runWell('setfacl', ['-b', mount.path('opened')]);
  t.equal(await told('plain/open'), 'text');
  t.equal(await told('secret/open'), 'Permission denied', 'what was secret then stays secret');
  t.equal(await told('closed/open'), 'Permission denied', 'what was closed later is closed in the past');
  t.equal(await told('opened/open'), 'Permission denied', 'what lay in a closed directory then');
  t.equal(await told('opened/open', ben), 'text');
  t.equal(await told('listed/open'), 'text', 'an ACL of then');
  t.equal(await told('listed/open', ben), 'Permission denied');
  t.equal(await told('gone/open'), 'text');
  const listing = await run('ls', [mount.path('.snapshots', '@deleted', 'opened')], { uid: anna });
  t.equal(listing.stdout, '', 'nor its name');
  chmodSync(mount.path('closed'), 0o755);
  t.equal(await told('closed/open'), 'text', 'opened again');
});
