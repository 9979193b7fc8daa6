/**
 * A daemon that holds changes back: `holding-daemon.js DIRECTORY MOUNTPOINT` opens, holds, mounts, says "ready". A line lets changes go on, which it answers with a line. At the
 * end of its input it unmounts and closes.
 */
import { createInterface } from 'node:readline';
import { Volume } from '../../engine/volume.js';
import { mountVolume } from '../../fs/mount.js';

const [directory, mountpoint] = process.argv.slice(2);
if (directory === undefined || mountpoint === undefined) throw new Error('usage: holding-daemon.js DIRECTORY MOUNTPOINT');

const volume = await Volume.open(directory);
volume.native.holdChanges();
const mounted = await mountVolume(volume, {
  mountpoint, driver: 'native', writeback: true, intervalMs: 1000, keepAwake: false, snapshotsVisible: false, snapshotAccess: 'then-and-now', allowOther: true, source: directory,
});
console.log('ready');
for await (const _ of createInterface(process.stdin)) {
  volume.native.releaseChanges();
  console.log('released');
}
await mounted.unmount();
await volume.close();
process.exit();
