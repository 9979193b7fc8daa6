/**
 * The small change of the index's writer: records' fields as packed bytes, and the keys and values made of them. Pure.
 *
 * Invariants:
 * 1. What is packed here, index-keys.ts and its readers unpack.
 */
import { fileKey, nameValueBytes, numberKey, table } from './index-keys.js';
import { fileIdBytes, makeFileId, readFileId, writeFileId, writeNumberBE } from './ids.js';
import { nameOperation } from './log-bodies.js';
import type { NameChange } from './log-bodies.js';
import { recordHeaderBytes } from './log-format.js';
import type { RecordView } from './log-reader.js';
import type { FileId } from './types.js';

export function bodyOf(record: RecordView): Buffer {
  return record.buffer.subarray(record.start + recordHeaderBytes, record.start + record.length);
}

export function fileOf(record: RecordView): FileId {
  return makeFileId(record.buffer.readBigUInt64LE(record.start + 24), record.buffer.readUInt32LE(record.start + 12));
}

/** The record's file as 12 big-endian bytes. */
export function swapFile(buffer: Buffer, start: number, target: Buffer, offset: number): void {
  target.writeUInt32BE(buffer.readUInt32LE(start + 28), offset);
  target.writeUInt32BE(buffer.readUInt32LE(start + 24), offset + 4);
  target.writeUInt32BE(buffer.readUInt32LE(start + 12), offset + 8);
}

export function packFile(file: FileId): Buffer {
  const packed = Buffer.allocUnsafe(fileIdBytes);
  writeFileId(packed, 0, file);
  return packed;
}

export function fileTxidPrefix(txid: number): Buffer {
  return numberKey(table.change, txid);
}

export function directoryKey(directory: Buffer, txid: number): Buffer {
  return Buffer.concat([Buffer.of(table.directory), directory, number8(txid)]);
}

export function placeKey(file: FileId, txid: number, directory: FileId, name: Buffer): Buffer {
  return Buffer.concat([fileKey(table.place, file), number8(txid), packFile(directory), name]);
}

export function placeValue(bits: number, type: number): Buffer {
  const value = Buffer.alloc(3);
  value[0] = bits;
  value.writeUInt16BE(type & 0xffff, 1);
  return value;
}

export function encodeNameEntry(change: NameChange, lsn: number): Buffer {
  const value = Buffer.alloc(nameValueBytes);
  writeFileId(value, 0, change.before);
  writeFileId(value, 12, change.after);
  value.writeUInt16BE(change.typeBefore & 0xffff, 24);
  value.writeUInt16BE(change.typeAfter & 0xffff, 26);
  value[28] = change.operation;
  writeNumberBE(value, 29, lsn);
  return value;
}

export function number8(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeNumberBE(bytes, 0, value);
  return bytes;
}

/** The file a `K` entry names. */
export function decodeKnown(value: Buffer): { file: FileId; type: number } {
  return { file: readFileId(value, 0), type: value.readUInt16BE(fileIdBytes) };
}

/** The name leads to its file no longer, and no other name of this change does. */
export function takesFile({ before, after, operation }: NameChange): boolean {
  return before !== 0n && after !== before && operation !== nameOperation.renameAway && operation !== nameOperation.exchange;
}
