/** What is the driver fuse-native's own: what it refuses, what it makes of libfuse's ways, and changes behind its back. */
import { closeSync, existsSync, fchmodSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, readdirSync, renameSync, rmSync, rmdirSync, mkdirSync, statSync, unlinkSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { unlessFuseNative } from '../support/driver.js';
import { isMountpoint, withDirectory, withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot, repositoryRoot } from '../support/places.js';
import { run, runWell, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(300_000);

const skip = unlessFuseNative();
const driver = '--driver=fuse-native';

const externalCount = async (mount: Mount): Promise<unknown> => (await mount.json('status', mount.mountpoint))[0]?.['externalTransactions'];
const pathsOf = async (mount: Mount): Promise<string[]> => (await mount.json('log', mount.mountpoint)).map(({ path }) => String(path));

void t.test('where the package is missing, one line says so and nothing is changed', async (t) => {
  await withDirectory(t, { arguments: [driver] }, async (mount) => {
    const missing = join(mount.place, 'missing.cjs');
    writeFileSync(missing, "const m = require('module'); const r = m._resolveFilename; m._resolveFilename = function (name, ...rest) { return r.call(this, name === 'fuse-native' ? 'not-installed' : name, ...rest); };");
    const outcome = await run(process.execPath, ['--require', missing, join(repositoryRoot, 'dist/tools/main.js'), 'mount', mount.directory, driver], { environment: { TIDEMARK_RUNTIME_DIR: mount.runtime } });
    isRefusal(t, outcome, /the driver fuse-native cannot be used here \(it is not installed\); .*npm install fuse-native/);
    t.same(readdirSync(mount.directory), [], 'no store');
    t.notOk(isMountpoint(mount.directory));
  });
});

void t.test('others are not let in', { skip }, async (t) => {
  await withDirectory(t, { arguments: [driver, '--allow-other'] }, async (mount) => {
    isRefusal(t, await mount.tryMount(), /the driver fuse-native lets only the user in who mounts; leave out --allow-other/);
    t.same(readdirSync(mount.directory), [], 'no store');
  });
  if (!isRoot) return;
  await withMount(t, { arguments: [driver] }, async (mount) => {
    t.match((await run('ls', [mount.mountpoint], { uid: 65534 })).stderr, /Permission denied/);
  });
});

void t.test('what is deleted or replaced while it is open goes under its own name, and stays for those who have it open', { skip }, async (t) => {
  await withMount(t, { arguments: [driver] }, async (mount) => {
    mkdirSync(mount.path('d'));
    writeFileSync(mount.path('d/open'), 'text');
    const file = openSync(mount.path('d/open'), 'r+');
    unlinkSync(mount.path('d/open'));
    t.same(readdirSync(mount.path('d')), [], 'no name of libfuse');
    writeSync(file, 'more', 4);
    fchmodSync(file, 0o600);
    t.equal(fstatSync(file).mode & 0o777, 0o600);
    t.equal(fstatSync(file).nlink, 0);
    ftruncateSync(file, 6);
    const bytes = Buffer.alloc(10);
    t.equal(bytes.toString('utf8', 0, readSync(file, bytes, 0, 10, 0)), 'textmo');
    t.throws(() => rmdirSync(mount.path('d')), { code: 'ENOTEMPTY' }, 'the directory stays for as long');
    closeSync(file);
    rmdirSync(mount.path('d'));

    writeFileSync(mount.path('kept'), 'old');
    const old = openSync(mount.path('kept'), 'r');
    writeFileSync(mount.path('new'), 'new');
    renameSync(mount.path('new'), mount.path('kept'));
    t.equal(readFileSync(mount.path('kept'), 'utf8'), 'new');
    t.equal(readFileSync(old, 'utf8'), 'old');
    closeSync(old);
    const paths = await pathsOf(mount);
    t.ok(paths.includes('/d/open'));
    t.notOk(paths.some((path) => path.includes('fuse_hidden')), 'nor in the log');
  });
});

void t.test('a modification time that is not the access time is set', { skip }, async (t) => {
  await withMount(t, { arguments: [driver] }, async (mount) => {
    writeFileSync(mount.path('file'), 'x');
    utimesSync(mount.path('file'), 1_000_000_000.123, 1_100_000_000.456);
    const { atimeMs, mtimeMs } = statSync(mount.path('file'));
    t.equal(atimeMs, 1_000_000_000_123);
    t.equal(mtimeMs, 1_100_000_000_456);
  });
});

void t.test('a name that is not UTF-8 cannot be made, and is not there', { skip }, async (t) => {
  const name = Buffer.from([0x61, 0xff]);
  const at = (directory: string): Buffer => Buffer.concat([Buffer.from(`${directory}/`), name]);
  await withMount(t, { arguments: [driver], apart: true, prepare: (directory) => writeFileSync(at(directory), 'x') }, async (mount) => {
    t.same(readdirSync(mount.mountpoint), []);
    t.throws(() => readFileSync(at(mount.mountpoint)), { code: 'ENOENT' });
    t.throws(() => { writeFileSync(at(mount.mountpoint), 'y'); }, { code: 'EILSEQ' });
    t.equal(readFileSync(at(mount.directory), 'utf8'), 'x');
  });
});

void t.test('changes behind the back of a mount are recorded while it stands, and its own are not taken for such', { skip }, async (t) => {
  await withMount(t, { arguments: [driver], apart: true }, async (mount) => {
    mkdirSync(mount.path('folder'));
    for (const name of ['written', 'removed', 'kept', 'folder/moved']) writeFileSync(mount.path(name), `${name}\n`);
    await mount.cliWell('pin', mount.mountpoint, 'before');
    const bare = (name: string): string => join(mount.directory, name);
    const isNoticed = (path: string) => until(async () => (await pathsOf(mount)).includes(path), `${path} to be noticed`, 30_000);
    // Noticed when it happens, not at the next mount.
    writeFileSync(bare('first'), 'x');
    await isNoticed('/first');
    writeFileSync(bare('written'), 'by another way\n');
    rmSync(bare('removed'));
    renameSync(bare('folder/moved'), bare('moved'));
    await isNoticed('/removed');
    for (let round = 0; round < 20; round++) {
      writeFileSync(mount.path('kept'), `round ${round}\n`);
      renameSync(mount.path('kept'), mount.path('other'));
      renameSync(mount.path('other'), mount.path('kept'));
    }
    // Seen when the mount ends, at the latest.
    writeFileSync(bare('last'), 'x');
    await mount.remount();
    const external = (await mount.json('log', mount.mountpoint)).filter((change) => change['external'] === true).map(({ path }) => String(path));
    for (const path of ['/first', '/written', '/removed', '/last']) t.ok(external.includes(path), path);
    t.ok(external.some((path) => path.endsWith('/moved')));
    t.notOk(external.some((path) => path === '/kept' || path === '/other'), 'what came through the mount');
    t.equal(readFileSync(mount.path('.snapshots/@before/kept'), 'utf8'), 'kept\n');
    t.equal(readFileSync(mount.path('written'), 'utf8'), 'by another way\n');
    await mount.unmount();
    await mount.cliWell('verify', mount.directory);
  });
});

void t.test('a killed daemon has kept all that was written, and umount(8) ends one as `tidemark unmount` does', { skip }, async (t) => {
  await withMount(t, { arguments: [driver] }, async (mount) => {
    for (let index = 0; index < 20; index++) writeFileSync(mount.path(`file-${index}`), `old ${index}`);
    await mount.cliWell('pin', mount.mountpoint, 'then');
    for (let index = 0; index < 20; index++) writeFileSync(mount.path(`file-${index}`), `new ${index}`);
    await mount.kill9();
    await mount.mount();
    t.equal(await externalCount(mount), 0);
    for (let index = 0; index < 20; index++) {
      t.equal(readFileSync(mount.path(`file-${index}`), 'utf8'), `new ${index}`);
      t.equal(readFileSync(mount.path('.snapshots/@then', `file-${index}`), 'utf8'), `old ${index}`);
    }
    const { pid } = mount;
    await (isRoot ? runWell('umount', [mount.mountpoint]) : runWell('fusermount3', ['-u', mount.mountpoint]));
    await until(() => !existsSync(`/proc/${pid}/exe`), 'the daemon to end');
    await mount.cliWell('verify', mount.directory);
  });
});
