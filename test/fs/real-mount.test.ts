/** `.snapshots` on a real mount: what docs/SEMANTICS.md promises about it, in the same words. */
import {
  chmodSync, chownSync, closeSync, existsSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, readlinkSync, renameSync, rmSync,
  statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nativeOnly, testedDriver } from '../support/driver.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { repositoryRoot } from '../support/places.js';
import { isInstalled, run, runWell, until } from '../support/processes.js';

t.setTimeout(300_000);

const stranger = 65534;
const isRoot = process.getuid?.() === 0;
const missing = ['/dev/fuse', join(repositoryRoot, 'native/build/Release/tidemark.node'), join(repositoryRoot, 'dist/tools/main.js')].find((path) => !existsSync(path));
const skip = missing === undefined ? false : `${missing} is missing`;

/** The number of the last transaction, as `.snapshots/@txn-N` takes it; everything done until now is in it, since listing the moments ends the open one. */
async function lastTxid(mount: Mount): Promise<string> {
  readdirSync(mount.path('.snapshots'));
  const [status] = await mount.json('status', mount.mountpoint);
  const found = status?.['txid'] ?? (status?.['position'] as Record<string, unknown> | undefined)?.['txid'];
  if (found === undefined) throw new Error(`no txid in ${JSON.stringify(status)}`);
  return String(found);
}

async function snapshotOf(mount: Mount): Promise<string> {
  return mount.path('.snapshots', `@txn-${await lastTxid(mount)}`);
}

const othersLeftOut = isRoot ? nativeOnly('lets only the user in who mounts') : 'needs root, to be others';
const asStranger = (program: string, ...words: string[]) => run(program, words, { uid: stranger });

t.test('contents are those of that moment, whatever happens to the live tree later', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('sub'), { mode: 0o751 });
    writeFileSync(mount.path('sub/file'), 'first');
    symlinkSync('../elsewhere', mount.path('sub/link'));
    const then = await snapshotOf(mount);
    writeFileSync(mount.path('sub/file'), 'second, and longer');
    rmSync(mount.path('sub/link'));
    renameSync(mount.path('sub'), mount.path('moved'));
    const later = await snapshotOf(mount);
    rmSync(mount.path('moved'), { recursive: true });
    t.equal(readFileSync(join(then, 'sub/file'), 'utf8'), 'first');
    t.equal(readlinkSync(join(then, 'sub/link')), '../elsewhere');
    t.equal(statSync(join(then, 'sub')).mode & 0o7777, 0o751);
    t.same(readdirSync(join(then, 'sub')).sort(), ['file', 'link']);
    t.notOk(existsSync(join(then, 'moved')));
    t.equal(readFileSync(join(later, 'moved/file'), 'utf8'), 'second, and longer');
    t.same(readdirSync(join(later, 'moved')), ['file']);
    t.notOk(existsSync(mount.path('moved')));
  });
});

t.test('every live directory answers to .snapshots, which is not listed', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('a/b'), { recursive: true });
    writeFileSync(mount.path('a/b/c'), 'x');
    const deep = mount.path('a/b/.snapshots', `@txn-${await lastTxid(mount)}`);
    t.same(readdirSync(deep), ['c']);
    t.same(readdirSync(mount.mountpoint), ['a']);
    t.same(readdirSync(mount.path('a/b')), ['c']);
    t.equal(statSync(mount.path('a/.snapshots')).mode, 0o040555);
    t.notOk(existsSync(join(deep, '.snapshots')));
  });
});

t.test('with --snapshots=visible the root lists it, other directories do not', { skip }, async (t) => {
  await withMount(t, { arguments: ['--snapshots=visible'] }, async (mount) => {
    mkdirSync(mount.path('a'));
    t.same(readdirSync(mount.mountpoint).sort(), ['.snapshots', 'a']);
    t.same(readdirSync(mount.path('a')), []);
  });
});

t.test('listed moments are named by their time, which is their modification time', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'x');
    const names = readdirSync(mount.path('.snapshots'));
    t.ok(names.length > 0);
    for (const name of names) {
      t.match(name, /^@\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?Z$/);
      const { mtime } = statSync(mount.path('.snapshots', name));
      t.equal(mtime.toISOString().slice(0, 19).replaceAll(':', '-'), name.slice(1, 20));
    }
  });
});

t.test('a moment that has not ended shows everything whose call had returned', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    for (let round = 0; round < 20; round++) {
      const text = `round ${round}`;
      writeFileSync(mount.path('file'), text);
      const now = new Date(Date.now() + 1).toISOString().slice(0, 19);
      t.equal(readFileSync(mount.path('.snapshots', `@${now}Z`, 'file'), 'utf8'), text);
    }
  });
});

t.test('moments that cannot be read, in the future, or before the oldest do not exist', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'x');
    for (const name of ['nothing', '@', '@nonsense', '@txn-999999', '@1999-01-01T00-00-00Z', '@2999-01-01T00-00-00Z']) {
      t.throws(() => lstatSync(mount.path('.snapshots', name)), { code: 'ENOENT' }, name);
    }
  });
});

t.test('every change below .snapshots fails with EROFS, whoever asks', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'x');
    const then = await snapshotOf(mount);
    const file = join(then, 'file');
    const changes: Record<string, () => void> = {
      'open for writing': () => openSync(file, 'r+'),
      truncate: () => openSync(file, 'w'),
      create: () => writeFileSync(join(then, 'new'), ''),
      mkdir: () => mkdirSync(join(then, 'new')),
      unlink: () => rmSync(file),
      rename: () => renameSync(file, join(then, 'other')),
      link: () => linkSync(file, join(then, 'other')),
      symlink: () => symlinkSync('x', join(then, 'other')),
      chmod: () => chmodSync(file, 0o600),
      chown: () => chownSync(file, 1, 1),
      'mkdir in .snapshots': () => mkdirSync(mount.path('.snapshots/new')),
    };
    for (const [what, change] of Object.entries(changes)) t.throws(change, { code: isRoot ? 'EROFS' : /EROFS|EACCES/ }, what);
    t.throws(() => mkdirSync(mount.path('.snapshots')), { code: 'EEXIST' }, 'and .snapshots cannot be made');
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'x');
  });
});

t.test('inode numbers differ from live ones, are stable, and hard links share one', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('one'), 'x');
    linkSync(mount.path('one'), mount.path('two'));
    const then = await snapshotOf(mount);
    const inode = (path: string): bigint => lstatSync(path, { bigint: true }).ino;
    t.equal(inode(join(then, 'one')), inode(join(then, 'two')));
    t.not(inode(join(then, 'one')), inode(mount.path('one')));
    // libfuse's inode numbers have 32 bits.
    t.ok((BigInt.asUintN(64, inode(join(then, 'one'))) >> (testedDriver === 'native' ? 63n : 31n)) === 1n);
    t.equal(lstatSync(join(then, 'one')).nlink, 2);
    const before = inode(join(then, 'one'));
    await mount.remount();
    t.equal(inode(join(then, 'one')), before, 'also after a new mount');
  });
});

t.test('a handle stays readable while the live file is overwritten, truncated and deleted', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const size = 1 << 20;
    writeFileSync(mount.path('file'), Buffer.alloc(size, 'a'));
    const descriptor = openSync(join(await snapshotOf(mount), 'file'), 'r');
    try {
      const bytes = Buffer.alloc(4096);
      const isOld = (position: number): boolean => readSync(descriptor, bytes, 0, 4096, position) === 4096 && bytes.every((byte) => byte === 97);
      t.ok(isOld(0));
      writeFileSync(mount.path('file'), Buffer.alloc(size, 'b'));
      t.ok(isOld(512 * 1024), 'overwritten');
      writeFileSync(mount.path('file'), '');
      t.ok(isOld(768 * 1024), 'truncated');
      rmSync(mount.path('file'));
      t.ok(isOld(size - 4096), 'deleted');
    } finally {
      closeSync(descriptor);
    }
  });
});

t.test('excluded names are there now and not in the past', { skip }, async (t) => {
  await withMount(t, { arguments: ['--exclude=*.tmp'] }, async (mount) => {
    writeFileSync(mount.path('kept'), 'x');
    writeFileSync(mount.path('a.tmp'), 'x');
    const then = await snapshotOf(mount);
    t.same(readdirSync(mount.mountpoint).sort(), ['a.tmp', 'kept']);
    t.same(readdirSync(then), ['kept']);
    t.throws(() => lstatSync(join(then, 'a.tmp')), { code: 'ENOENT' });
  });
});

t.test('cp -r out of a snapshot gives the tree of then', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    for (let directory = 0; directory < 10; directory++) {
      mkdirSync(mount.path(`d${directory}`));
      for (let file = 0; file < 50; file++) writeFileSync(mount.path(`d${directory}`, `f${file}`), `${directory} ${file}`.repeat(file));
    }
    const then = await snapshotOf(mount);
    await runWell('cp', ['-a', mount.mountpoint, join(mount.place, 'expected')]);
    for (let file = 0; file < 50; file += 2) writeFileSync(mount.path('d3', `f${file}`), 'changed');
    rmSync(mount.path('d4'), { recursive: true });
    await runWell('cp', ['-a', then, join(mount.place, 'copied')]);
    await runWell('diff', ['-r', join(mount.place, 'expected'), join(mount.place, 'copied')]);
    t.pass('no difference');
  });
});

t.test('what is closed cannot be opened in the past by others from then on', { skip: skip || othersLeftOut }, async (t) => {
  await withMount(t, { arguments: [] }, async (mount) => {
    mkdirSync(mount.path('door'));
    mkdirSync(mount.path('safe'), { mode: 0o700 });
    for (const name of ['file', 'moved', 'deleted', 'link']) writeFileSync(mount.path('door', name), name);
    const door = join(await snapshotOf(mount), 'door');
    const reads = async (name: string): Promise<boolean> => (await asStranger('cat', join(door, name))).stdout === name;
    const isFound = async (name: string): Promise<boolean> => (await asStranger('stat', join(door, name))).status === 0;
    for (const name of ['file', 'moved', 'deleted']) t.ok(await reads(name), `${name} is open`);

    chmodSync(mount.path('door/file'), 0o600);
    t.notOk(await reads('file'), 'closed by chmod');
    t.ok(await isFound('file'), 'and still seen, as in the live tree');
    t.equal(readFileSync(join(door, 'file'), 'utf8'), 'file', 'root reads on');
    chmodSync(mount.path('door/file'), 0o644);
    t.ok(await reads('file'), 'opened again');

    renameSync(mount.path('door/moved'), mount.path('safe/moved'));
    t.notOk(await reads('moved'), 'moved into a closed directory');
    rmSync(mount.path('door/deleted'));
    t.ok(await reads('deleted'), 'a deleted file keeps its permissions');

    chmodSync(mount.path('door'), 0o700);
    for (const name of ['file', 'deleted']) t.notOk(await reads(name), `${name} behind a closed door`);
    await until(async () => !(await isFound('file')), 'the kernel to forget what is behind the door', 15_000);
    t.not((await asStranger('ls', door)).status, 0, 'nor listed');
    chmodSync(mount.path('door'), 0o755);
    t.ok(await reads('file'), 'the door is open again');
  });
});

t.test('what was secret then stays secret', { skip: skip || othersLeftOut }, async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('door'), { mode: 0o700 });
    writeFileSync(mount.path('door/inside'), 'x');
    writeFileSync(mount.path('secret'), 'x', { mode: 0o600 });
    const then = await snapshotOf(mount);
    chmodSync(mount.path('secret'), 0o644);
    chmodSync(mount.path('door'), 0o755);
    t.equal((await asStranger('cat', mount.path('secret'))).status, 0, 'open now');
    t.not((await asStranger('cat', join(then, 'secret'))).status, 0);
    t.not((await asStranger('cat', join(then, 'door/inside'))).status, 0);
  });
});

t.test('with --snapshot-access=then the permission of then is enough', { skip: skip || othersLeftOut }, async (t) => {
  await withMount(t, { arguments: ['--snapshot-access=then'] }, async (mount) => {
    writeFileSync(mount.path('file'), 'file');
    const then = await snapshotOf(mount);
    chmodSync(mount.path('file'), 0o600);
    t.equal((await asStranger('cat', join(then, 'file'))).stdout, 'file');
  });
});

t.test('ACLs of then and of now are both obeyed', { skip: skip || othersLeftOut || (!(await isInstalled('setfacl')) && 'setfacl is not installed') }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('opened-later'), 'x', { mode: 0o600 });
    writeFileSync(mount.path('closed-later'), 'x', { mode: 0o600 });
    const grant = (name: string) => runWell('setfacl', ['-m', `u:${stranger}:r`, mount.path(name)]);
    await grant('closed-later');
    const then = await snapshotOf(mount);
    t.equal((await asStranger('cat', join(then, 'closed-later'))).status, 0);
    await runWell('setfacl', ['-b', mount.path('closed-later')]);
    await grant('opened-later');
    t.equal((await asStranger('cat', mount.path('opened-later'))).status, 0);
    t.not((await asStranger('cat', join(then, 'closed-later'))).status, 0, 'taken back now');
    t.not((await asStranger('cat', join(then, 'opened-later'))).status, 0, 'not granted then');
  });
});

t.test('setuid does nothing when a file of then is run', { skip: skip || othersLeftOut }, async (t) => {
  await withMount(t, {}, async (mount) => {
    await runWell('cp', ['/usr/bin/id', mount.path('id')]);
    chmodSync(mount.path('id'), 0o4755);
    const then = await snapshotOf(mount);
    t.equal((await asStranger(mount.path('id'), '-u')).stdout.trim(), '0', 'it does in the live tree');
    t.equal(statSync(join(then, 'id')).mode & 0o7777, 0o4755, 'the bit is shown');
    t.not((await asStranger(join(then, 'id'), '-u')).stdout.trim(), '0');
  });
});
