/**
 * Writes and looks into the past at a steady pace until it is told to stop (the end of its input), and says how long each took. In: a mount, and which stretch of time
 * to look into. Out: `{"writes": […], "lookups": […]}`, milliseconds.
 *
 * Invariants:
 * 1. A write is a 4 KiB overwrite and its fdatasync; a lookup is of a moment that nobody asked for before.
 */
import { closeSync, fdatasyncSync, openSync, statSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatMoment } from '../../engine/moments.js';

const blockBytes = 4096;
const blocks = 4096;
/** Between two writes; a lookup stands between. */
const paceMs = 5;

const [mount = '', fromNs = '0', toNs = '0'] = process.argv.slice(2);
const [from, span] = [BigInt(fromNs), BigInt(toNs) - BigInt(fromNs)];
const writes: number[] = [];
const lookups: number[] = [];
const bytes = Buffer.alloc(blockBytes);
let isOver = false;
process.stdin.on('end', () => (isOver = true)).resume();

function timed(times: number[], work: () => void): void {
  const startedAt = performance.now();
  work();
  times.push(performance.now() - startedAt);
}

const fd = openSync(`${mount}/load`, 'r+');
for (let count = 0; !isOver; count++) {
  bytes.writeDoubleLE(Math.random(), 0);
  timed(writes, () => {
    writeSync(fd, bytes, 0, blockBytes, Math.floor(Math.random() * blocks) * blockBytes);
    fdatasyncSync(fd);
  });
  await sleep(paceMs);
  const moment = formatMoment(from + (span * BigInt(Math.floor(Math.random() * 2 ** 32))) / BigInt(2 ** 32), 'nanosecond');
  timed(lookups, () => statSync(`${mount}/.snapshots/@${moment}`));
  await sleep(paceMs);
}
closeSync(fd);
console.log(JSON.stringify({ writes, lookups }));
