/**
 * Whether something failed because the disk is full. In: what was thrown. Out: yes or no.
 *
 * Invariants:
 * 1. LMDB tells of a page of which only a part could be written as of an I/O error (5, a number): that counts when the disk is full indeed.
 */
import { statfsSync } from 'node:fs';

const enospc = 28;
const edquot = 122;
const eio = 5;
/** LMDB writes at most so much at once. */
const nothingBytes = 1 << 20;

/** `directory`: where it was written to. */
export function isDiskFull(error: unknown, directory: string): boolean {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  if (code === enospc || code === edquot || code === 'ENOSPC' || code === 'EDQUOT') return true;
  if (code !== eio) return false;
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < nothingBytes;
}
