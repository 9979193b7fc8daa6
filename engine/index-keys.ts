/**
 * The keys and values of the index: one ordered table of bytes, whose first byte says what an entry is. Everything
 * below is derived from the log and can be made again from it.
 *
 * | key | value |
 * |---|---|
 * | `T` txid | body of the END record |
 * | `S` time | txid |
 * | `N` directory, name, 0, txid | name change: before, after (file ids), types (u16 each), operation, LSN |
 * | `A` file, txid | attributes before txid, 80 bytes |
 * | `X` file, name, 0, txid | 1 and the value before txid, or 0 when there was none |
 * | `D` file, class, block, txid | LSN of the record (its bytes stand 48 further on), how many bytes, 1 for a hole |
 * | `d` file | the newest txid that has a `D` entry |
 * | `C` txid, file | what happened to the file in txid (bits below), LSN of its first record |
 * | `C` txid, directory, name | LSN of the name change |
 * | `R` directory, txid | – (something in the directory changed in txid) |
 * | `L` txid | – (a name lost its file in txid; the recovery bin is made of these and of the next) |
 * | `l` txid | – (bytes were overwritten or cut off in txid) |
 * | `P` file, txid, directory, name | bits: was there before, is there after, was seen there; type |
 * | `K` directory, name | the file that a PLACE record saw there, and its type |
 * | `I` name of a pin | txid, time it was made |
 * | `M` | how far the log has been read, and counts |
 * | `F` | the oldest transaction that is still a moment (missing: 0), and up to which transactions only those in `T` are |
 * | `G` file | – (its object is about to be removed) |
 * | `F` 1 | LSN of the KEPT record whose pruning is not finished |
 * | `F` 2 file | – (the file's floor is not in force yet) |
 * | `B` file | its floor: txid, LSN of the FLOOR record, 1 when nothing shows the file any more, held transactions as in KEPT |
 * | `F` 3 file | – (its `D` entries have not been merged yet by that pruning) |
 *
 * Invariants:
 * 1. Numbers in keys are big-endian and of fixed width, so that the order of keys is the order of numbers. Names are
 *    followed by a zero byte, which no name contains, so that all entries of a name stand together.
 * 2. No key is longer than 300 bytes (names: 255).
 */
import { fileIdBytes, readFileId, readNumberBE, txidBytes, writeFileId, writeNumberBE } from './ids.js';
import type { FileId } from './types.js';

export const table = {
  transaction: 0x54, time: 0x53, name: 0x4e, attributes: 0x41, xattr: 0x58, data: 0x44, dataLast: 0x64,
  change: 0x43, directory: 0x52, place: 0x50, known: 0x4b, pin: 0x49, progress: 0x4d, floor: 0x46, removal: 0x47, fileFloor: 0x42, gone: 0x4c,
  overwritten: 0x6c,
} as const;

/** What happened to a file in a transaction. `names`: names in this directory changed; `gone`: one of them lost its file, which was not renamed. */
export const touched = { attributes: 1, data: 2, xattr: 4, names: 8, gone: 16 } as const;
/** What is known of a file's name in a directory at a transaction. */
export const placed = { before: 1, after: 2, seen: 4 } as const;

/** By the bits of a `P` entry: true when the file stood there before the transaction. */
export function wasThereBefore(bits: number): boolean {
  return (bits & placed.before) !== 0 || ((bits & placed.seen) !== 0 && (bits & placed.after) === 0);
}

/** By the bits of a `P` entry: true when the file stands there after the transaction. */
export function isThereAfter(bits: number): boolean {
  return (bits & placed.after) !== 0 || ((bits & placed.seen) !== 0 && (bits & placed.before) === 0);
}

export const txidMax = 2 ** 53 - 1;
export const progressKey = Buffer.of(table.progress);
export const floorKey = Buffer.of(table.floor);
export const pruningKey = Buffer.of(table.floor, 1);
export const pendingFloorPrefix = Buffer.of(table.floor, 2);
export const unmergedPrefix = Buffer.of(table.floor, 3);

/** `tag` and a number. */
export function numberKey(tag: number, value: number): Buffer {
  const key = Buffer.allocUnsafe(1 + 8);
  key[0] = tag;
  writeNumberBE(key, 1, value);
  return key;
}

/** `tag` and a time in ns (not before 1970). */
export function timeKey(timeNs: bigint): Buffer {
  const key = Buffer.allocUnsafe(1 + 8);
  key[0] = table.time;
  key.writeBigUInt64BE(timeNs < 0n ? 0n : timeNs, 1);
  return key;
}

/** `tag` and a file. */
export function fileKey(tag: number, file: FileId): Buffer {
  const key = Buffer.allocUnsafe(1 + fileIdBytes);
  key[0] = tag;
  writeFileId(key, 1, file);
  return key;
}

export function fileFloorKey(file: FileId): Buffer {
  return fileKey(table.fileFloor, file);
}

export function pendingFloorKey(file: FileId): Buffer {
  return Buffer.concat([pendingFloorPrefix, fileKey(0, file).subarray(1)]);
}

/** `tag`, a file (or directory), a txid. */
export function fileTxidKey(tag: number, file: FileId, txid: number): Buffer {
  const key = Buffer.allocUnsafe(1 + fileIdBytes + txidBytes);
  key[0] = tag;
  writeFileId(key, 1, file);
  writeNumberBE(key, 1 + fileIdBytes, txid);
  return key;
}

/** `tag`, a file (or directory), a name, 0, a txid. */
export function namedKey(tag: number, file: FileId, name: Buffer, txid: number): Buffer {
  const key = Buffer.allocUnsafe(1 + fileIdBytes + name.length + 1 + txidBytes);
  key[0] = tag;
  let offset = writeFileId(key, 1, file);
  offset += name.copy(key, offset);
  key[offset] = 0;
  writeNumberBE(key, offset + 1, txid);
  return key;
}

/** The length of a namedKey without its txid. */
export function namedPrefix(name: Buffer): number {
  return 1 + fileIdBytes + name.length + 1;
}

export const filePrefix = 1 + fileIdBytes;

/** The name inside a namedKey. */
export function nameInKey(key: Buffer): Buffer {
  return key.subarray(filePrefix, key.length - 1 - txidBytes);
}

/** The txid that ends a key. */
export function txidAtEnd(key: Buffer): number {
  return readNumberBE(key, key.length - txidBytes);
}

export const dataKeyBytes = 1 + fileIdBytes + 1 + 8 + txidBytes;
export const dataPrefix = 1 + fileIdBytes + 1;

export function dataKey(file: FileId, sizeClass: number, block: number, txid: number): Buffer {
  const key = Buffer.allocUnsafe(dataKeyBytes);
  key[0] = table.data;
  writeFileId(key, 1, file);
  key[1 + fileIdBytes] = sizeClass;
  writeNumberBE(key, dataPrefix, block);
  writeNumberBE(key, dataPrefix + 8, txid);
  return key;
}

/** A name's change in a transaction, decoded from an `N` value. */
export interface NameEntry {
  readonly before: FileId;
  readonly after: FileId;
  readonly typeBefore: number;
  readonly typeAfter: number;
  readonly operation: number;
  readonly lsn: number;
}

export const nameValueBytes = fileIdBytes * 2 + 2 + 2 + 1 + 8;

export function decodeNameEntry(value: Buffer): NameEntry {
  return {
    before: readFileId(value, 0),
    after: readFileId(value, 12),
    typeBefore: value.readUInt16BE(24),
    typeAfter: value.readUInt16BE(26),
    operation: value[28]!,
    lsn: readNumberBE(value, 29),
  };
}

export interface PlaceEntry {
  readonly txid: number;
  readonly parent: FileId;
  readonly name: Buffer;
  readonly bits: number;
  readonly type: number;
}

/** Decodes a `P` entry. */
export function decodePlaceEntry(key: Buffer, value: Buffer): PlaceEntry {
  return {
    txid: readNumberBE(key, filePrefix),
    parent: readFileId(key, filePrefix + txidBytes),
    name: key.subarray(filePrefix + txidBytes + fileIdBytes),
    bits: value[0]!,
    type: value.readUInt16BE(1),
  };
}

/** How far the index has read, and what it counted. */
export interface Progress {
  readonly readUpTo: number;
  readonly transactions: number;
  readonly external: number;
  /** Damaged regions met. */
  readonly damaged: number;
  /** Notes of a history gap met. */
  readonly gaps: number;
}

export const emptyProgress: Progress = { readUpTo: 0, transactions: 0, external: 0, damaged: 0, gaps: 0 };

export function encodeProgress(progress: Progress): Buffer {
  const value = Buffer.alloc(40);
  [progress.readUpTo, progress.transactions, progress.external, progress.damaged, progress.gaps]
    .forEach((count, index) => writeNumberBE(value, index * 8, count));
  return value;
}

export function decodeProgress(value: Buffer): Progress {
  return {
    readUpTo: readNumberBE(value, 0),
    transactions: readNumberBE(value, 8),
    external: readNumberBE(value, 16),
    damaged: readNumberBE(value, 24),
    gaps: readNumberBE(value, 32),
  };
}
