/**
 * A block of the disk that cannot be read (btrfs finds that its checksum is wrong): a write that would destroy it fails, and takes nothing of the
 * past of its neighbours with it.
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../support/compile.js';
import { imageOf, makeLoopDisk, mountLoopDisk } from '../support/loop-disk.js';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { runWell } from '../support/processes.js';

t.setTimeout(120_000);

const blockBytes = 4096;
const readable = Buffer.alloc(blockBytes, 'the first block, ');
const unreadable = Buffer.alloc(blockBytes, 'the second block, ');

/** A file of two blocks, of which the disk lost the second. */
async function prepare(directory: string): Promise<void> {
  await makeLoopDisk('btrfs', directory, 256 << 20);
  writeFileSync(join(directory, 'file'), Buffer.concat([readable, unreadable]), { flush: true });
  await runWell('umount', [directory]);
  const at = readFileSync(imageOf(directory)).indexOf(unreadable);
  const disk = openSync(imageOf(directory), 'r+');
  writeSync(disk, 'X', at);
  closeSync(disk);
  await mountLoopDisk(directory);
}

const skip = !isRoot ? 'needs root' : await unlessInstalled('mkfs.btrfs');
void t.test('a write over a block that cannot be read fails, and the next one is captured whole', { skip }, async (t) => {
  // One transaction: what the first write saved must not count for the second.
  await withMount(t, { arguments: ['--interval=60s'], prepare }, async (mount) => {
    await mount.cliWell('pin', mount.mountpoint, 'then');
    const program = join(mount.place, 'bad-block');
    await compile(['test/volume/bad-block.c'], program);
    t.equal(await runWell(program, [mount.path('file')]), 'EIO, 0\n', 'what the writes of both blocks, and of the first alone, gave');
    const past = openSync(mount.path('.snapshots', '@then', 'file'), 'r');
    const bytes = Buffer.alloc(blockBytes);
    readSync(past, bytes, 0, blockBytes, 0);
    t.same(bytes, readable, 'the past of the first block');
    t.throws(() => readSync(past, bytes, 0, blockBytes, blockBytes), { code: 'EIO' }, 'the second block of the past');
    closeSync(past);
  });
});
