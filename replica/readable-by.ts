/**
 * Which entries of a backup somebody may read, by the modes and owners that its manifest has: those of the file, and of each directory on the way. Pure.
 *
 * Invariants:
 * 1. Something is shown if all directories above it may be searched and the one that it lies in may be read; a file, if it may be read itself, too.
 */
import type { Entry } from './entry.js';
import { parentOf } from './paths.js';

export interface Reader {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

const [read, search] = [4, 1];

/** `entries`: all of the backup, parents before children. */
export function readableBy<T extends { readonly entry: Entry }>(entries: readonly T[], reader: Reader): T[] {
  /** What he may do in each directory; the root is everybody's. */
  const allowed = new Map<string, number>([['', read | search]]);
  const shown: T[] = [];
  for (const one of entries) {
    const { entry } = one;
    const above = allowed.get(parentOf(entry.path)) ?? 0;
    const mine = bitsFor(entry, reader);
    if (entry.type === 'directory') allowed.set(entry.path, (above & search) === 0 ? 0 : mine);
    const isListed = (above & search) !== 0 && (above & read) !== 0;
    if (isListed && (entry.type === 'directory' || entry.type === 'symlink' || (mine & read) !== 0)) shown.push(one);
  }
  return shown;
}

/** As the kernel decides: the owner's bits for the owner, even where others have more. */
function bitsFor({ mode, uid, gid }: Entry, reader: Reader): number {
  if (reader.uid === 0) return read | search;
  if (reader.uid === uid) return (mode >> 6) & 7;
  return reader.gid === gid || reader.groups.includes(gid) ? (mode >> 3) & 7 : mode & 7;
}
