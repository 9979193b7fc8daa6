/**
 * Reading and stamping packed attributes (FORMAT: 80 bytes) without decoding all of them: a listing of ten thousand
 * entries must not make ten thousand objects of ten fields. In: buffers from History. Out: single fields, or new buffers.
 *
 * Invariants:
 * 1. A buffer that came from History is never written to: it may be shared.
 */
import { constants } from 'node:fs';

/** Length of packed attributes in bytes. */
export const attributesLength = 80;

const offsets = { mode: 0, uid: 4, gid: 8, nlink: 12, size: 24, atimeS: 40, mtimeS: 48, ctimeS: 56, atimeNs: 64, mtimeNs: 68, ctimeNs: 72 } as const;
const nsPerSecond = 1_000_000_000n;

/** Type and permission bits, as st_mode. */
export function modeOf(attributes: Buffer): number {
  return attributes.readUInt32LE(offsets.mode);
}

/** Size in bytes. */
export function sizeOf(attributes: Buffer): number {
  return Number(attributes.readBigUInt64LE(offsets.size));
}

/** true when user, group, or any of the permission, setuid, setgid and sticky bits differ. */
export function ownershipDiffers(left: Buffer, right: Buffer): boolean {
  return ((modeOf(left) ^ modeOf(right)) & 0o7777) !== 0
    || left.readUInt32LE(offsets.uid) !== right.readUInt32LE(offsets.uid)
    || left.readUInt32LE(offsets.gid) !== right.readUInt32LE(offsets.gid);
}

/** A copy whose modification time is `timeNs` (ns since the epoch). */
export function withModificationTime(attributes: Buffer, timeNs: bigint): Buffer {
  const copy = Buffer.from(attributes);
  writeTime(copy, offsets.mtimeS, offsets.mtimeNs, timeNs);
  return copy;
}

/** Attributes of a directory that nobody can write, all of whose times are `timeNs` (ns since the epoch). */
export function readOnlyDirectory(uid: number, gid: number, timeNs: bigint): Buffer {
  const attributes = Buffer.alloc(attributesLength);
  attributes.writeUInt32LE(constants.S_IFDIR | 0o555, offsets.mode);
  attributes.writeUInt32LE(uid, offsets.uid);
  attributes.writeUInt32LE(gid, offsets.gid);
  // One link tells find(1) that it cannot count subdirectories from here, which is so: names that are not listed resolve.
  attributes.writeUInt32LE(1, offsets.nlink);
  writeTime(attributes, offsets.atimeS, offsets.atimeNs, timeNs);
  writeTime(attributes, offsets.mtimeS, offsets.mtimeNs, timeNs);
  writeTime(attributes, offsets.ctimeS, offsets.ctimeNs, timeNs);
  return attributes;
}

function writeTime(attributes: Buffer, secondsOffset: number, nanosecondsOffset: number, timeNs: bigint): void {
  // Floor, not truncation: nanoseconds of times before 1970 count upwards as well.
  const nanoseconds = ((timeNs % nsPerSecond) + nsPerSecond) % nsPerSecond;
  attributes.writeBigInt64LE((timeNs - nanoseconds) / nsPerSecond, secondsOffset);
  attributes.writeUInt32LE(Number(nanoseconds), nanosecondsOffset);
}
