/**
 * Segment and record headers of the log, as docs/FORMAT.md lays them out. In: bytes. Out: values, and the other way
 * round for the records the engine itself hands to the addon.
 *
 * Invariants:
 * 1. decode(encode(x)) equals x.
 * 2. A header that is decoded has been checked: magic, version, lengths and, for segments, the checksum.
 */
import { crc32c as portableCrc32c } from './crc32c.js';
import { VolumeError } from './errors.js';
import { generationOf, inodeOf, readNumberLE } from './ids.js';
import type { FileId } from './types.js';

export const logFormatVersion = 1;
export const segmentHeaderBytes = 64;
export const recordHeaderBytes = 48;
/** A record's header and body, without padding. */
export const recordBytesMax = 2 * 1024 * 1024;
export const recordAlignment = 8;
export const sizeClassBytes = [4096, 65536, 1048576] as const;

export const recordType = {
  extent: 1, hole: 2, attributes: 3, name: 4, xattr: 5, place: 6, end: 7, intent: 8, note: 9, pin: 10, kept: 11, floor: 12,
} as const;
export const recordTypeMax = 12;

export type Crc = (bytes: Uint8Array, seed?: number) => number;

const segmentMagic = Buffer.from('TIDELOG1', 'latin1');
const packedMagic = Buffer.from('TIDEPCK1', 'latin1');

export interface SegmentHeader {
  readonly volumeId: Buffer;
  readonly number: number;
  /** LSN of the segment's first byte. */
  readonly base: number;
  /** The first transaction without an END when the segment began. */
  readonly openTxid: number;
  /** Of a packed segment: how long it was before, in bytes. Absent in others. */
  readonly packedBytes?: number;
}

/** A record's header; the body follows it in the log. */
export interface RecordHeader {
  readonly type: number;
  readonly flags: number;
  readonly aux: number;
  readonly file: FileId;
  readonly txid: bigint;
  readonly offset: bigint;
  readonly size: bigint;
}

export function encodeSegmentHeader(header: SegmentHeader, crc: Crc = portableCrc32c): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  (header.packedBytes === undefined ? segmentMagic : packedMagic).copy(bytes, 0);
  bytes.writeUInt32LE(logFormatVersion, 8);
  bytes.writeUInt32LE(segmentHeaderBytes, 12);
  header.volumeId.copy(bytes, 16, 0, 16);
  bytes.writeBigUInt64LE(BigInt(header.number), 32);
  bytes.writeBigUInt64LE(BigInt(header.base), 40);
  bytes.writeBigUInt64LE(BigInt(header.openTxid), 48);
  bytes.writeUInt32LE(header.packedBytes ?? 0, 56);
  bytes.writeUInt32LE(crc(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** Undefined when the bytes are no segment header or are damaged. Throws VolumeError EFORMAT for a newer version. */
export function decodeSegmentHeader(bytes: Buffer, crc: Crc = portableCrc32c): SegmentHeader | undefined {
  const kind = segmentKind(bytes);
  if (bytes.length < segmentHeaderBytes || kind === undefined) return undefined;
  if (crc(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return undefined;
  const version = bytes.readUInt32LE(8);
  if (version > logFormatVersion) {
    throw new VolumeError('EFORMAT', `the log has format ${version}, this tidemark reads up to ${logFormatVersion}; update it`);
  }
  return {
    volumeId: Buffer.from(bytes.subarray(16, 32)),
    number: readNumberLE(bytes, 32),
    base: readNumberLE(bytes, 40),
    openTxid: readNumberLE(bytes, 48),
    ...(kind === 'packed' ? { packedBytes: bytes.readUInt32LE(56) } : {}),
  };
}

/** What a segment's first bytes say it is, whether its header is sound or not. */
export function segmentKind(bytes: Buffer): 'plain' | 'packed' | undefined {
  if (bytes.subarray(0, segmentMagic.length).equals(segmentMagic)) return 'plain';
  return bytes.subarray(0, packedMagic.length).equals(packedMagic) ? 'packed' : undefined;
}

/** A whole record, checksum included, padded to the alignment. */
export function encodeRecord(header: RecordHeader, body: Buffer, crc: Crc = portableCrc32c): Buffer {
  const length = recordHeaderBytes + body.length;
  const bytes = Buffer.alloc(alignRecord(length));
  bytes.writeUInt32LE(length, 4);
  bytes[8] = header.type;
  bytes[9] = header.flags;
  bytes.writeUInt16LE(header.aux, 10);
  bytes.writeUInt32LE(generationOf(header.file), 12);
  bytes.writeBigUInt64LE(header.txid, 16);
  bytes.writeBigUInt64LE(inodeOf(header.file), 24);
  bytes.writeBigUInt64LE(header.offset, 32);
  bytes.writeBigUInt64LE(header.size, 40);
  body.copy(bytes, recordHeaderBytes);
  bytes.writeUInt32LE(crc(bytes.subarray(4, length)), 0);
  return bytes;
}

/** true when a record of plausible length and type may start here; its checksum is still to be compared. */
export function plausibleHeader(bytes: Buffer, start: number): boolean {
  const length = bytes.readUInt32LE(start + 4);
  const type = bytes[start + 8]!;
  return length >= recordHeaderBytes && length <= recordBytesMax && type >= 1 && type <= recordTypeMax;
}

/** true when a whole record stands at `start` and its checksum is right. */
export function soundRecord(bytes: Buffer, start: number, crc: Crc): boolean {
  const length = bytes.readUInt32LE(start + 4);
  if (start + length > bytes.length) return false;
  return crc(bytes.subarray(start + 4, start + length)) === bytes.readUInt32LE(start);
}

export function alignRecord(length: number): number {
  return Math.ceil(length / recordAlignment) * recordAlignment;
}

export function segmentFileName(number: number): string {
  return `${number.toString(16).padStart(16, '0')}.log`;
}
