/** Nobody can change or remove history from inside a mount, root included: every system call that changes something is tried on the store and on the past. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../support/compile.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { run, runWell } from '../support/processes.js';

t.setTimeout(120_000);

const callsAtLeast = 60;

/** Of each file of the store that only grows, or stays: the hash of its first bytes. */
function digests(store: string, sizes?: ReadonlyMap<string, number>): Map<string, string> {
  const names = [...readdirSync(join(store, 'log')).map((name) => join('log', name)), 'volume.json'];
  const objects = readdirSync(join(store, 'objects'), { recursive: true, encoding: 'utf8' }).map((name) => join('objects', name));
  const files = [...names, ...objects].filter((name) => statSync(join(store, name)).isFile() && (sizes === undefined || sizes.has(name)));
  return new Map(files.map((name) => [name, createHash('sha256').update(readFileSync(join(store, name)).subarray(0, sizes?.get(name))).digest('hex')]));
}

function sizesOf(store: string, names: Iterable<string>): Map<string, number> {
  return new Map([...names].map((name) => [name, statSync(join(store, name)).size]));
}

/** What was tried, where, and how it ended. */
async function attempts(mount: Mount, program: string, uid: number | undefined): Promise<string[]> {
  const live = mount.path('live');
  const then = mount.path('.snapshots', '@then');
  const log = readdirSync(join(mount.directory, '.tidemark', 'log'))[0] ?? '';
  const targets: readonly (readonly [file: string, directory: string, fresh: string])[] = [
    [join(then, 'folder', 'file'), join(then, 'folder'), join(then, 'fresh')],
    [join(then, 'folder', 'file'), then, mount.path('.snapshots', '@fresh')],
    [join(then, 'gone'), mount.path('.snapshots'), mount.path('.snapshots', 'fresh')],
    [join(then, 'link'), mount.path('folder', '.snapshots'), mount.path('folder', '.snapshots', 'fresh')],
    [mount.path('.tidemark', 'log', log), mount.path('.tidemark', 'objects'), mount.path('.tidemark', 'fresh')],
    [mount.path('.tidemark', 'volume.json'), mount.path('.tidemark'), mount.path('.tidemark')],
    [join(then, '.tidemark', 'volume.json'), join(then, '.tidemark'), join(then, '.tidemark')],
  ];
  const tried: string[] = [];
  for (const [file, directory, fresh] of targets) {
    const printed = await runWell(program, [file, directory, fresh, live], uid === undefined ? {} : { uid });
    tried.push(...printed.trimEnd().split('\n').map((line) => `${file}: ${line}`));
  }
  return tried;
}

void t.test('history is out of everybody\'s reach', { skip: await unlessInstalled('gcc', 'setfattr') }, async (t) => {
  await withMount(t, { apart: true, prepare: (directory) => mkdirSync(join(directory, 'alias')) }, async (mount) => {
    const program = join(mount.place, 'change-everything');
    await compile(['test/volume/change-everything.c'], program);
    const store = join(mount.directory, '.tidemark');
    mkdirSync(mount.path('folder'));
    for (const name of ['live', 'gone', 'folder/file']) writeFileSync(mount.path(name), `what stands in ${name}\n`.repeat(1000), { mode: 0o666 });
    await runWell('sh', ['-ec', 'setfattr -n user.kept -v value folder/file; ln -s folder/file link; chmod 777 . folder; chmod 666 live folder/file'], { cwd: mount.mountpoint });
    await mount.cliWell('pin', mount.mountpoint, 'then');
    unlinkSync(mount.path('gone'));
    writeFileSync(mount.path('folder', 'file'), 'something else');
    await mount.cliWell('status', mount.mountpoint);
    const past = (): Promise<string> => runWell('sh', ['-ec', 'find . -printf "%P %m %U %G %s %T@ %n %l\\n" | sort; find . -type f | sort | xargs cat; getfattr -R -d -m - . | sort'], { cwd: mount.path('.snapshots', '@then') });
    const before = digests(store);
    const sizes = sizesOf(store, before.keys());
    const was = await past();
    for (const uid of isRoot ? [undefined, 65534] : [undefined]) {
      const tried = await attempts(mount, program, uid);
      t.ok(tried.length > callsAtLeast * 3, `${tried.length} attempts as ${uid ?? 'the owner of the mount'}`);
      t.same(tried.filter((line) => line.endsWith(' done')), [], 'none succeeds');
      // What can be tried through a descriptor alone fails for the descriptor.
      if (uid === undefined) t.same(tried.filter((line) => line.includes('@then/folder/file: ') && /chmod|chown|utim|truncate\(path|unlink\(|setxattr\(path, "user|O_RDWR|open\(O_W/.test(line) && !/ (?:EROFS|EISDIR)$/.test(line)), [], 'the past is read-only');
    }
    if (isRoot) {
      // As a directory that ignores case would give it another name, which most kernels cannot.
      await runWell('mount', ['--bind', store, join(mount.directory, 'alias')]);
      t.throws(() => statSync(mount.path('alias')), { code: 'ENOENT' }, 'the store is not there by another name');
      await runWell('umount', [join(mount.directory, 'alias')]);
    }
    t.equal(await past(), was, 'the past is as it was');
    t.same(digests(store, sizes), before, 'the store has lost nothing');
    t.equal((await mount.cli('verify', mount.directory)).status, 0);
  });
});

void t.test('what recovery reads from a file that has left the tree cannot be forged', { skip: await unlessInstalled('setfattr') }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('file');
    writeFileSync(path, 'text');
    const fd = openSync(path, 'r+');
    fsyncSync(fd);
    unlinkSync(path);
    // It lies in the store now, and only this descriptor leads to it.
    for (const name of ['user.tidemark', 'trusted.tidemark']) {
      for (const action of [['-n', name, '-v', 'x'], ['-x', name]]) {
        const outcome = await run('setfattr', [...action, `/proc/${process.pid}/fd/${fd}`]);
        t.match(outcome.stderr, /not permitted/, `${action.join(' ')} is refused`);
      }
      t.not((await run('getfattr', ['-n', name, `/proc/${process.pid}/fd/${fd}`])).status, 0, 'nor is it shown');
    }
    closeSync(fd);
  });
});
