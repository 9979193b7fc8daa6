/**
 * write(2) until all is written: it may take less than it was given.
 */
import { writeSync } from 'node:fs';

/** Writes all bytes at `position`, or where the descriptor stands. Throws what write(2) says; then a part may be written. */
export function writeAll(fd: number, bytes: Buffer, position?: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position === undefined ? null : position + done);
}
