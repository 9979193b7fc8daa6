/**
 * Requests and answers of the kernel's FUSE protocol 7.19 (linux/fuse.h), as bytes: what a driver without a connection of its own hands to the addon, and what it gets back. In:
 * plain values. Out: the arguments of a request, little-endian; of an answer, plain values.
 *
 * Invariants:
 * 1. Lengths and offsets are those of the structs named; what a field is not told is 0.
 */

export const protocolMinor = 19;

export const opcode = {
  forget: 2, getattr: 3, setattr: 4, readlink: 5, symlink: 6, mknod: 8, mkdir: 9, unlink: 10, rmdir: 11, rename: 12, link: 13, open: 14, read: 15, write: 16, statfs: 17, release: 18,
  fsync: 20, setxattr: 21, getxattr: 22, listxattr: 23, removexattr: 24, opendir: 27, readdir: 28, releasedir: 29, fsyncdir: 30, create: 35,
} as const;

/** struct fuse_attr. */
export interface KernelAttributes {
  readonly ino: bigint;
  readonly size: bigint;
  readonly blocks: bigint;
  /** Milliseconds since 1970, rounded down. */
  readonly atimeMs: bigint;
  readonly mtimeMs: bigint;
  readonly ctimeMs: bigint;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** As the kernel encodes it. */
  readonly rdev: number;
  readonly blksize: number;
}

/** What SETATTR sets; the rest stays. */
export interface AttributeChange {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: bigint;
  readonly times?: { readonly atimeMs: bigint; readonly mtimeMs: bigint };
  /** A handle open for writing, for `size`. */
  readonly handle?: bigint;
}

export interface DirectoryEntry {
  readonly ino: bigint;
  /** mode >> 12. */
  readonly type: number;
  readonly name: Buffer;
  /** Where the next one is read. */
  readonly next: bigint;
}

export interface FileSystemSizes {
  readonly blocks: bigint;
  readonly freeBlocks: bigint;
  readonly availableBlocks: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
  readonly blockSize: number;
  readonly longestName: number;
  /** The unit of blocks, bytes. */
  readonly fragmentSize: number;
}

const attributesAfterEntry = 40;
const attributesAfterTimeout = 16;
/** struct fuse_entry_out. */
export const entryLength = 128;

/** Strings, each ended by a NUL. */
export function names(...all: readonly Uint8Array[]): Buffer {
  return Buffer.concat(all.flatMap((name) => [name, Buffer.alloc(1)]));
}

/** 32-bit numbers, one behind the other. */
export function words(...all: readonly number[]): Buffer {
  const packed = Buffer.alloc(all.length * 4);
  all.forEach((word, index) => packed.writeUInt32LE(word >>> 0, index * 4));
  return packed;
}

/** RENAME, LINK: 8 bytes for the other node, then names. */
export function withOther(...all: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.alloc(8), names(...all)]);
}

/** struct fuse_getattr_in. */
export function getattrIn(handle?: bigint): Buffer {
  const packed = Buffer.alloc(16);
  if (handle !== undefined) {
    packed.writeUInt32LE(1, 0);
    packed.writeBigUInt64LE(handle, 8);
  }
  return packed;
}

/** struct fuse_setattr_in. */
export function setattrIn(change: AttributeChange): Buffer {
  const packed = Buffer.alloc(88);
  let valid = 0;
  if (change.mode !== undefined) valid |= put32(packed, 68, change.mode, 1 << 0);
  if (change.uid !== undefined) valid |= put32(packed, 76, change.uid, 1 << 1);
  if (change.gid !== undefined) valid |= put32(packed, 80, change.gid, 1 << 2);
  if (change.size !== undefined) valid |= put64(packed, 16, change.size, 1 << 3);
  if (change.times !== undefined) {
    valid |= putTime(packed, 32, 56, change.times.atimeMs, 1 << 4);
    valid |= putTime(packed, 40, 60, change.times.mtimeMs, 1 << 5);
  }
  if (change.handle !== undefined) valid |= put64(packed, 8, change.handle, 1 << 6);
  packed.writeUInt32LE(valid, 0);
  return packed;
}

/** struct fuse_read_in, of READ and READDIR; struct fuse_write_in is laid out alike. */
export function rangeIn(handle: bigint, offset: bigint, length: number): Buffer {
  const packed = Buffer.alloc(40);
  packed.writeBigUInt64LE(handle, 0);
  packed.writeBigUInt64LE(offset, 8);
  packed.writeUInt32LE(length, 16);
  return packed;
}

/** struct fuse_release_in. */
export function releaseIn(handle: bigint): Buffer {
  const packed = Buffer.alloc(24);
  packed.writeBigUInt64LE(handle, 0);
  return packed;
}

/** struct fuse_fsync_in. */
export function fsyncIn(handle: bigint, dataOnly: boolean): Buffer {
  const packed = Buffer.alloc(16);
  packed.writeBigUInt64LE(handle, 0);
  packed.writeUInt32LE(dataOnly ? 1 : 0, 8);
  return packed;
}

/** Out of struct fuse_attr_out. */
export function attributesOf(answer: Buffer): KernelAttributes {
  return unpackAttributes(answer, attributesAfterTimeout);
}

/** Out of struct fuse_entry_out. */
export function entryAttributesOf(answer: Buffer): KernelAttributes {
  return unpackAttributes(answer, attributesAfterEntry);
}

/** The handle in struct fuse_open_out; of CREATE it stands behind the entry. */
export function handleOf(answer: Buffer, start = 0): bigint {
  return answer.readBigUInt64LE(start);
}

/** The length in struct fuse_getxattr_out, or struct fuse_write_out. */
export function lengthOf(answer: Buffer): number {
  return answer.readUInt32LE(0);
}

/** The structs fuse_dirent of an answer to READDIR. */
export function entriesOf(answer: Buffer): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < answer.length;) {
    const nameLength = answer.readUInt32LE(at + 16);
    const name = answer.subarray(at + 24, at + 24 + nameLength);
    entries.push({ ino: answer.readBigUInt64LE(at), next: answer.readBigUInt64LE(at + 8), type: answer.readUInt32LE(at + 20), name });
    at += Math.ceil((24 + nameLength) / 8) * 8;
  }
  return entries;
}

/** Out of struct fuse_statfs_out. */
export function sizesOf(answer: Buffer): FileSystemSizes {
  const number = (index: number): bigint => answer.readBigUInt64LE(index * 8);
  return {
    blocks: number(0), freeBlocks: number(1), availableBlocks: number(2), files: number(3), freeFiles: number(4),
    blockSize: answer.readUInt32LE(40), longestName: answer.readUInt32LE(44), fragmentSize: answer.readUInt32LE(48),
  };
}

function unpackAttributes(answer: Buffer, start: number): KernelAttributes {
  const wide = (index: number): bigint => answer.readBigUInt64LE(start + index * 8);
  const word = (index: number): number => answer.readUInt32LE(start + 48 + index * 4);
  const ms = (index: number): bigint => answer.readBigInt64LE(start + (3 + index) * 8) * 1000n + BigInt(Math.floor(word(index) / 1_000_000));
  return {
    ino: wide(0), size: wide(1), blocks: wide(2), atimeMs: ms(0), mtimeMs: ms(1), ctimeMs: ms(2),
    mode: word(3), nlink: word(4), uid: word(5), gid: word(6), rdev: word(7), blksize: word(8),
  };
}

function put32(packed: Buffer, at: number, value: number, bit: number): number {
  packed.writeUInt32LE(value >>> 0, at);
  return bit;
}

function put64(packed: Buffer, at: number, value: bigint, bit: number): number {
  packed.writeBigUInt64LE(value, at);
  return bit;
}

/** Rounded down, also before 1970. */
function putTime(packed: Buffer, secondsAt: number, nanosecondsAt: number, ms: bigint, bit: number): number {
  const rest = ((ms % 1000n) + 1000n) % 1000n;
  packed.writeBigInt64LE((ms - rest) / 1000n, secondsAt);
  packed.writeUInt32LE(Number(rest) * 1_000_000, nanosecondsAt);
  return bit;
}
