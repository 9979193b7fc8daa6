/**
 * The 80 bytes of attributes of docs/FORMAT.md, decoded and encoded.
 *
 * Invariants:
 * 1. decodeAttributes(encodeAttributes(a)) equals a for every a whose times fit i64 seconds.
 */
import type { Attributes } from './types.js';

export const attributesBytes = 80;
/** mode & formatMask is the file's type. */
export const formatMask = 0o170000;
export const directoryType = 0o040000;
export const regularType = 0o100000;
export const symlinkType = 0o120000;

const nsPerSecond = 1_000_000_000n;

export function decodeAttributes(packed: Buffer): Attributes {
  return {
    mode: packed.readUInt32LE(0),
    uid: packed.readUInt32LE(4),
    gid: packed.readUInt32LE(8),
    nlink: packed.readUInt32LE(12),
    rdev: packed.readBigUInt64LE(16),
    size: packed.readBigUInt64LE(24),
    blocks: packed.readBigUInt64LE(32),
    atimeNs: packed.readBigInt64LE(40) * nsPerSecond + BigInt(packed.readUInt32LE(64)),
    mtimeNs: packed.readBigInt64LE(48) * nsPerSecond + BigInt(packed.readUInt32LE(68)),
    ctimeNs: packed.readBigInt64LE(56) * nsPerSecond + BigInt(packed.readUInt32LE(72)),
  };
}

/** The size alone. */
export function sizeInAttributes(packed: Buffer): bigint {
  return packed.readBigUInt64LE(24);
}

export function encodeAttributes(attributes: Attributes): Buffer {
  const packed = Buffer.alloc(attributesBytes);
  packed.writeUInt32LE(attributes.mode, 0);
  packed.writeUInt32LE(attributes.uid, 4);
  packed.writeUInt32LE(attributes.gid, 8);
  packed.writeUInt32LE(attributes.nlink, 12);
  packed.writeBigUInt64LE(attributes.rdev, 16);
  packed.writeBigUInt64LE(attributes.size, 24);
  packed.writeBigUInt64LE(attributes.blocks, 32);
  writeTime(packed, 40, 64, attributes.atimeNs);
  writeTime(packed, 48, 68, attributes.mtimeNs);
  writeTime(packed, 56, 72, attributes.ctimeNs);
  return packed;
}

function writeTime(packed: Buffer, secondsOffset: number, nanosecondsOffset: number, timeNs: bigint): void {
  // Nanoseconds count forward from the second also before 1970, as the kernel has it.
  const nanoseconds = ((timeNs % nsPerSecond) + nsPerSecond) % nsPerSecond;
  packed.writeBigInt64LE((timeNs - nanoseconds) / nsPerSecond, secondsOffset);
  packed.writeUInt32LE(Number(nanoseconds), nanosecondsOffset);
}
