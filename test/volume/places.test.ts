/**
 * Places that cannot be mounted: each is refused with one line and the remedy, and nothing is left behind.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isMountpoint, withDirectory, withMount } from '../support/mount.js';
import { isRoot, repositoryRoot } from '../support/places.js';
import { run } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(300_000);

const needsRoot = isRoot ? false : 'needs root';

void t.test('a directory that does not exist, or is a file, is refused', async (t) => {
  await withDirectory(t, {}, async (mount) => {
    writeFileSync(join(mount.place, 'file'), '');
    symlinkSync('nowhere', join(mount.place, 'dangling'));
    isRefusal(t, await mount.cli('mount', join(mount.place, 'absent')), /does not exist.*mkdir/);
    isRefusal(t, await mount.cli('mount', join(mount.place, 'dangling')), /does not exist/);
    isRefusal(t, await mount.cli('mount', join(mount.place, 'file')), /not a directory/);
  });
});

void t.test('a mountpoint that is absent, a file, not empty or inside the directory is refused', async (t) => {
  await withDirectory(t, {}, async (mount) => {
    const full = join(mount.place, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'file'), '');
    mkdirSync(join(mount.directory, 'inside'));
    isRefusal(t, await mount.cli('mount', mount.directory, join(mount.place, 'absent')), /does not exist/);
    isRefusal(t, await mount.cli('mount', mount.directory, join(full, 'file')), /not a directory/);
    isRefusal(t, await mount.cli('mount', mount.directory, full), /not empty/);
    isRefusal(t, await mount.cli('mount', mount.directory, join(mount.directory, 'inside')), /inside/);
    t.notOk(existsSync(join(mount.directory, '.tidemark')), 'no store was made');
  });
});

void t.test('what is mounted already, or lies in a mount of ours, or has one inside, is refused', async (t) => {
  await withMount(t, { prepare: (directory) => mkdirSync(join(directory, 'inside')) }, async (mount) => {
    isRefusal(t, await mount.cli('mount', mount.directory), /already mounted.*unmount/);
    isRefusal(t, await mount.cli('mount', mount.path('inside')), /inside the mounted volume|already/);
    isRefusal(t, await mount.cli('mount', mount.place), /mounted volume inside|already/);
    t.ok(isMountpoint(mount.mountpoint), 'the mount goes on');
  });
});

void t.test('a read-only file system is refused', { skip: needsRoot }, async (t) => {
  await withDirectory(t, {}, async (mount) => {
    execFileSync('mount', ['--bind', mount.directory, mount.directory]);
    execFileSync('mount', ['-o', 'remount,bind,ro', mount.directory]);
    isRefusal(t, await mount.cli('mount', mount.directory), /read-only/);
    t.same(readdirSync(mount.directory), []);
    execFileSync('umount', [mount.directory]);
  });
});

void t.test('a file system that cannot keep history is refused', { skip: needsRoot }, async (t) => {
  await withDirectory(t, {}, async (mount) => {
    execFileSync('mount', ['-t', 'proc', 'proc', mount.directory]);
    const outcome = await mount.cli('mount', mount.directory);
    execFileSync('umount', ['-l', mount.directory]);
    isRefusal(t, outcome, /cannot|may not|no permission/);
  });
});

void t.test('without /dev/fuse the remedy is told', { skip: needsRoot }, async (t) => {
  await withDirectory(t, {}, async (mount) => {
    const hidden = (...words: string[]): ReturnType<typeof run> => {
      // A mount namespace of its own, in which /dev is empty but for what Node needs.
      const script = 'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && exec "$@"';
      return run('unshare', ['--mount', 'sh', '-c', script, 'sh', process.execPath, join(repositoryRoot, 'dist/tools/main.js'), ...words], {
        environment: { TIDEMARK_RUNTIME_DIR: mount.runtime },
      });
    };
    isRefusal(t, await hidden('mount', mount.directory), /\/dev\/fuse.*modprobe/);
  });
});

void t.test('an ordinary user without fusermount3, or without permission, is told', { skip: needsRoot }, async (t) => {
  await withDirectory(t, { uid: 65534, environment: { PATH: '/nonexistent' } }, async (mount) => {
    isRefusal(t, await mount.cli('mount', mount.directory), /fusermount3.*install/);
  });
  await withDirectory(t, { uid: 65534 }, async (mount) => {
    const foreign = join(mount.place, 'foreign');
    mkdirSync(foreign, { mode: 0o755 });
    isRefusal(t, await mount.cli('mount', foreign), /may not|permission/);
  });
});

void t.test('wrong usage ends with status 2', async (t) => {
  await withDirectory(t, {}, async (mount) => {
    isRefusal(t, await mount.cli('mount'), /DIR|argument/i, 2);
    isRefusal(t, await mount.cli('moutn', mount.directory), /unknown|moutn/, 2);
    isRefusal(t, await mount.cli('mount', mount.directory, '--no-such-option'), /option/, 2);
    isRefusal(t, await mount.cli('mount', mount.directory, '--interval=soon'), /interval|500ms/, 2);
    isRefusal(t, await mount.cli('mount', mount.directory, '--history=some'), /strict|relaxed/, 2);
    isRefusal(t, await mount.cli('cat', mount.directory), /--at/, 2);
  });
});
