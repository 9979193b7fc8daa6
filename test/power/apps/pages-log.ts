/**
 * The files of a database that works as PostgreSQL does, byte by byte: relation files of pages, a write-ahead log in segments of one size, a control file. In: values.
 * Out: bytes, and back. pages.ts writes them, check-pages.ts plays the log.
 *
 * Invariants:
 * 1. A position (lsn) counts all bytes of the log: position p lies in segment p / segmentBytes. A segment is used again under another name with what it held,
 *    so a record counts only where its own position and checksum say so.
 * 2. A record changes pages; the first one of a page after a checkpoint has the whole of it, as the page on the disk may be torn.
 * 3. A page, and a record, has a checksum over the rest of it.
 */
import { crc32 } from 'node:zlib';
import type { ApplicationBase } from './application.js';

export interface PagesWitness extends ApplicationBase {
  readonly kind: 'pages';
  /** Position of the first record. */
  readonly start: number;
  /** All records, without gaps from there. */
  readonly log: Buffer[];
  /** Of each writer: positions at which its commits end, in order. */
  readonly commitEnds: readonly number[][];
}

export const pageBytes = 8192;
export const segmentBytes = 16 * 2 ** 20;
export const relationCount = 2;
/** Of each relation. */
export const pageCount = 512;
const pageHeadBytes = 16;
const recordHeadBytes = 24;
const changeHeadBytes = 16;

export interface PageChange {
  readonly relation: number;
  readonly page: number;
  /** Where in the page the bytes go; 0 for a whole page. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface LogRecord {
  readonly lsn: number;
  /** Position behind it. */
  readonly end: number;
  readonly changes: readonly PageChange[];
}

export function relationPath(relation: number): string {
  return `base/${relation}`;
}

export const controlPath = 'control';

export function segmentPath(segment: number): string {
  return `wal/${String(segment).padStart(8, '0')}`;
}

/** A page as it is before its first change. */
export function freshPage(relation: number, page: number): Buffer {
  const bytes = Buffer.alloc(pageBytes, (relation * 97 + page * 31) & 0xff);
  bytes.writeUInt32LE(page, 4);
  return sealPage(bytes, 0);
}

/** Notes which record changed the page last, and its checksum; gives the page. */
export function sealPage(bytes: Buffer, lsn: number): Buffer {
  bytes.writeBigUInt64LE(BigInt(lsn), 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

export function isWholePage(bytes: Buffer, page: number): boolean {
  return bytes.length === pageBytes && bytes.readUInt32LE(4) === page && crc32(bytes.subarray(4)) === bytes.readUInt32LE(0);
}

export function lsnOfPage(bytes: Buffer): number {
  return Number(bytes.readBigUInt64LE(8));
}

/** Where a change of a part of a page may begin. */
export const firstFreeOffset = pageHeadBytes;

export function encodeRecord(lsn: number, changes: readonly PageChange[]): Buffer {
  const parts = changes.flatMap(({ relation, page, offset, bytes }) => {
    const head = Buffer.alloc(changeHeadBytes);
    for (const [index, value] of [relation, page, offset, bytes.length].entries()) head.writeUInt32LE(value, index * 4);
    return [head, bytes];
  });
  const record = Buffer.concat([Buffer.alloc(recordHeadBytes), ...parts]);
  record.writeUInt32LE(record.length, 4);
  record.writeBigUInt64LE(BigInt(lsn), 8);
  record.writeUInt32LE(changes.length, 16);
  record.writeUInt32LE(crc32(record.subarray(4)), 0);
  return record;
}

/** The record at a position; undefined where the log ends. `read`: bytes of the log, fewer where there are no more. */
export function decodeRecord(lsn: number, read: (lsn: number, length: number) => Buffer): LogRecord | undefined {
  const head = read(lsn, recordHeadBytes);
  if (head.length < recordHeadBytes || Number(head.readBigUInt64LE(8)) !== lsn) return undefined;
  const length = head.readUInt32LE(4);
  const bytes = read(lsn, length);
  if (length < recordHeadBytes || bytes.length < length || crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return undefined;
  const changes: PageChange[] = [];
  for (let at = recordHeadBytes, left = bytes.readUInt32LE(16); left > 0; left -= 1) {
    const [relation, page, offset, size] = [0, 4, 8, 12].map((each) => bytes.readUInt32LE(at + each)) as [number, number, number, number];
    at += changeHeadBytes;
    changes.push({ relation, page, offset, bytes: bytes.subarray(at, at + size) });
    at += size;
  }
  return { lsn, end: lsn + length, changes };
}

/** Does to a page what a record says. */
export function applyChange(page: Buffer, { offset, bytes }: PageChange, lsn: number): void {
  bytes.copy(page, offset);
  sealPage(page, lsn);
}

/** From where on the log has to be played. */
export function encodeControl(redo: number): Buffer {
  const bytes = Buffer.alloc(pageBytes);
  bytes.writeBigUInt64LE(BigInt(redo), 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(4, 512)), 0);
  return bytes;
}

/** undefined: it is damaged. */
export function decodeControl(bytes: Buffer): number | undefined {
  if (bytes.length !== pageBytes || crc32(bytes.subarray(4, 512)) !== bytes.readUInt32LE(0)) return undefined;
  return Number(bytes.readBigUInt64LE(8));
}
