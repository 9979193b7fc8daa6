/**
 * File ids and transaction numbers between their two forms: bigint in interfaces, big-endian bytes in index keys, so
 * that the order of keys is the order of numbers.
 *
 * Invariants:
 * 1. A packed file id is 12 bytes: inode (8), generation (4).
 * 2. No function here keeps a reference to a buffer it was given.
 */
import type { FileId, Lsn, Txid } from './types.js';

export const fileIdBytes = 12;
export const txidBytes = 8;

const inodeMask = 0xffff_ffff_ffff_ffffn;

// Between a bigint and its halves (little-endian, as are all machines this runs on) without the bigints in between that Buffer's functions make.
const wide = new BigUint64Array(1);
const narrow = new Uint32Array(wide.buffer);

export function makeFileId(inode: bigint, generation: number): FileId {
  return (inode | (BigInt(generation) << 64n)) as FileId;
}

export function inodeOf(file: FileId): bigint {
  return file & inodeMask;
}

export function generationOf(file: FileId): number {
  return Number(file >> 64n);
}

export function writeFileId(target: Buffer, offset: number, file: FileId): number {
  // Takes the low 64 bits.
  wide[0] = file;
  target.writeUInt32BE(narrow[1]!, offset);
  target.writeUInt32BE(narrow[0]!, offset + 4);
  return target.writeUInt32BE(Number(file >> 64n), offset + 8);
}

export function readFileId(source: Buffer, offset: number): FileId {
  narrow[1] = source.readUInt32BE(offset);
  narrow[0] = source.readUInt32BE(offset + 4);
  return makeFileId(wide[0]!, source.readUInt32BE(offset + 8));
}

export function txid(value: bigint | number): Txid {
  return BigInt(value) as Txid;
}

export function lsn(value: bigint | number): Lsn {
  return BigInt(value) as Lsn;
}

/** Unsigned 64-bit big-endian as a number; exact below 2^53, which no txid, LSN or block number reaches. */
export function readNumberBE(source: Buffer, offset: number): number {
  return source.readUInt32BE(offset) * 0x1_0000_0000 + source.readUInt32BE(offset + 4);
}

export function writeNumberBE(target: Buffer, offset: number, value: number): number {
  target.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset);
  return target.writeUInt32BE(value >>> 0, offset + 4);
}

/** Unsigned 64-bit little-endian as a number; exact below 2^53. */
export function readNumberLE(source: Buffer, offset: number): number {
  return source.readUInt32LE(offset) + source.readUInt32LE(offset + 4) * 0x1_0000_0000;
}
