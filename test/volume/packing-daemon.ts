/**
 * A daemon that packs: `packing-daemon.js DIRECTORY MOUNTPOINT` opens and mounts, says "ready", and answers each line with a line. "now": the number of the last
 * transaction. The inode number of a file: packs all segments that may be packed, without what they hold of that file's bytes, and tells in JSON what
 * came of each. At the end of its input it unmounts and closes.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { loadAddon } from '../../engine/native.js';
import { recordType, segmentFileName } from '../../engine/log-format.js';
import { packSegment } from '../../engine/segment-packing.js';
import { VolumeError } from '../../engine/errors.js';
import type { PackResult } from '../../engine/segment-packing.js';
import { Volume } from '../../engine/volume.js';
import { mountVolume } from '../../fs/mount.js';

const [directory, mountpoint] = process.argv.slice(2);
if (directory === undefined || mountpoint === undefined) throw new Error('usage: packing-daemon.js DIRECTORY MOUNTPOINT');

const volume = await Volume.open(directory);
const { crc32c, unsharedBytes } = await loadAddon();
// The store is in sight, for it is mounted elsewhere.
const log = join(directory, '.tidemark/log');
const mounted = await mountVolume(volume, {
  mountpoint, driver: 'native', writeback: true, intervalMs: 1000, keepAwake: false, snapshotsVisible: false, snapshotAccess: 'then-and-now', allowOther: true, source: directory,
});
console.log('ready');

async function packWithout(inode: bigint): Promise<PackResult[]> {
  const results: PackResult[] = [];
  for (let segment = 1; segment <= readdirSync(log).length; segment++) {
    const packableBelow = Number(volume.native.packableBelow());
    try {
      results.push(packSegment({ directory: log, segment, packableBelow, crc: crc32c, ownBytes: unsharedBytes(join(log, segmentFileName(segment))) }, ({ type, buffer, start }) =>
        type !== recordType.extent || buffer.readBigUInt64LE(start + 24) !== inode));
    } catch (error) {
      if (error instanceof VolumeError && error.code === 'EINVAL') return results;
      throw error;
    }
    if (results.at(-1)?.isPacked === true) await volume.native.replaceSegment(segment);
  }
  return results;
}

for await (const line of createInterface(process.stdin)) {
  console.log(line === 'now' ? String((await volume.settled()).txid) : JSON.stringify(await packWithout(BigInt(line))));
}
await mounted.unmount();
await volume.close();
process.exit();
