/**
 * Answers in the form that fuse-native's layer of C takes: arrays of 32-bit numbers for `struct stat` and `struct statvfs`. In: what the addon answered. Out: the arrays.
 *
 * Invariants:
 * 1. What does not fit loses as little as can be: inode numbers their upper half, times what is below a millisecond, and times before 1970 become 1970.
 */
import type { DirectoryEntry, FileSystemSizes, KernelAttributes } from './kernel-wire.js';

const statWords = 18;
const statvfsWords = 11;
const wordLimit = 1n << 32n;
/** Set in inode numbers below `.snapshots`; the highest bit of what is left of them is, too. */
const snapshotBit = 1n << 63n;
const shownSnapshotBit = 1n << 31n;

/** `struct stat`. */
export function statOf(attributes: KernelAttributes): Uint32Array {
  const { mode, uid, gid, size, nlink, rdev, blksize, blocks, atimeMs, mtimeMs, ctimeMs } = attributes;
  const stat = new Uint32Array(statWords);
  stat.set([mode, uid, gid, 0, 0, 0, nlink, shownInode(attributes.ino), rdev, blksize]);
  putWide(stat, 3, size);
  putWide(stat, 10, blocks);
  putWide(stat, 12, fromEpoch(atimeMs));
  putWide(stat, 14, fromEpoch(mtimeMs));
  putWide(stat, 16, fromEpoch(ctimeMs));
  return stat;
}

/** What a listing tells of an entry. */
export function listedStatOf(entry: DirectoryEntry): Uint32Array {
  const stat = new Uint32Array(statWords);
  stat[0] = entry.type << 12;
  stat[7] = shownInode(entry.ino);
  return stat;
}

/** `struct statvfs`. Disks of more blocks than 32 bits can tell have larger blocks. */
export function statvfsOf(sizes: FileSystemSizes): Uint32Array {
  let shift = 0n;
  while (sizes.blocks >> shift >= wordLimit) shift++;
  const inBlocks = (blocks: bigint): number => Number(blocks >> shift);
  const clipped = (count: bigint): number => Number(count < wordLimit ? count : wordLimit - 1n);
  const stat = new Uint32Array(statvfsWords);
  const unit = sizes.fragmentSize * 2 ** Number(shift);
  const freeFiles = clipped(sizes.freeFiles);
  stat.set([Math.max(sizes.blockSize, unit), unit, inBlocks(sizes.blocks), inBlocks(sizes.freeBlocks), inBlocks(sizes.availableBlocks), clipped(sizes.files), freeFiles, freeFiles, 0, 0, sizes.longestName]);
  return stat;
}

function shownInode(ino: bigint): number {
  const low = ino % wordLimit;
  return Number((ino & snapshotBit) === 0n ? low : low | shownSnapshotBit);
}

function fromEpoch(ms: bigint): bigint {
  return ms < 0n ? 0n : ms;
}

function putWide(words: Uint32Array, at: number, value: bigint): void {
  words[at] = Number(value % wordLimit);
  words[at + 1] = Number(value / wordLimit);
}
