/**
 * Packs a segment and dies at a step: `packing-child.js LOG SEGMENT END STEP EVERY` kills itself before the STEPth call that changes anything on the disk (1 is
 * the first), and leaves out the records whose LSN is not a multiple of EVERY. Exit status 0 when there were not so many calls.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { crc32c } from '../../engine/crc32c.js';
import { segmentFileName } from '../../engine/log-format.js';
import { packSegment } from '../../engine/segment-packing.js';

const [directory = '', segment, packableBelow, step, every] = process.argv.slice(2);
let left = Number(step);

function dieInTime(): void {
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

for (const name of ['writeSync', 'fsyncSync', 'renameSync', 'rmSync', 'closeSync'] as const) {
  const call = fs[name] as (...words: unknown[]) => unknown;
  Object.assign(fs, {
    [name]: (...words: unknown[]) => {
      dieInTime();
      return call(...words);
    },
  });
}
syncBuiltinESMExports();

packSegment({ directory, segment: Number(segment), packableBelow: Number(packableBelow), crc: crc32c, ownBytes: fs.statSync(join(directory, segmentFileName(Number(segment)))).blocks * 512, leastShare: 0 },
  ({ lsn }) => lsn % Number(every) === 0);
