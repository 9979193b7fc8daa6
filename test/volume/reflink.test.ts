/**
 * On file systems with reflink (xfs, btrfs, on loop devices) what a truncation or a large overwrite destroys shares blocks with the file it comes
 * from: a truncation writes hardly anything, and the past is exact all the same, also after kill -9. (How much of an overwrite is shared depends on
 * how the kernel cuts it into requests: only whole, aligned MiB are.)
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { imageOf, makeLoopDisk } from '../support/loop-disk.js';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';

t.setTimeout(240_000);

const mebibyte = 1 << 20;
const fileBytes = 64 * mebibyte;
/** Metadata, the log's own records and the last part of the file; far below the file. */
const mostWritten = fileBytes / 4;

/** Bytes written to the disk below a directory since it was set up. */
async function writtenBytes(image: string): Promise<number> {
  await runWell('sync', []);
  const device = (await runWell('losetup', ['--noheadings', '--output', 'NAME', '--associated', image])).trim().replace('/dev/', '');
  return Number(readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/)[6]) * 512;
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

for (const fileSystem of ['xfs', 'btrfs']) {
  const skip = !isRoot ? 'needs root' : await unlessInstalled(`mkfs.${fileSystem}`);
  void t.test(fileSystem, { skip }, async (t) => {
    await withMount(t, { prepare: (directory) => makeLoopDisk(fileSystem, directory, 1024 * mebibyte) }, async (mount) => {
      const image = imageOf(mount.directory);
      const content = randomBytes(fileBytes);
      const expected = createHash('sha256').update(content).digest('hex');
      for (const name of ['truncated', 'overwritten']) writeFileSync(mount.path(name), content, { flush: true });
      await mount.cliWell('pin', mount.mountpoint, 'then');

      const before = await writtenBytes(image);
      truncateSync(mount.path('truncated'), 5);
      const written = (await writtenBytes(image)) - before;
      t.ok(written < mostWritten, `${written} bytes written for a truncation`);

      await runWell('dd', ['if=/dev/zero', `of=${mount.path('overwritten')}`, 'bs=1M', 'count=64', 'conv=notrunc,fsync', 'status=none']);

      const unchanged = async (when: string): Promise<void> => {
        for (const name of ['truncated', 'overwritten']) t.equal(await digest(mount.path('.snapshots', '@then', name)), expected, `${name}, ${when}`);
      };
      await unchanged('at once');
      await mount.kill9();
      await mount.mount();
      await unchanged('after kill -9');
      await mount.cliWell('verify', mount.mountpoint);
    });
  });
}
