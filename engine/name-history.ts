/**
 * The names of a directory as of a snapshot, by the index alone: which names differ from the live directory, and how. In: the index.
 * Out: undo entries.
 *
 * Invariants:
 * 1. For a name, the earliest entry after the snapshot tells what it was; without one it is as it is now.
 * 2. The work grows with the changes since the snapshot or with the names ever used there, whichever is less.
 */
import type { ChangedSince } from './changed-since.js';
import { decodeNameEntry, fileKey, fileTxidKey, filePrefix, nameInKey, namedKey, namedPrefix, numberKey, table, txidAtEnd, txidMax } from './index-keys.js';
import type { NameEntry } from './index-keys.js';
import type { IndexEntry, IndexStore } from './index-store.js';
import { fileIdBytes, readFileId, readNumberBE, writeFileId } from './ids.js';
import type { FileId } from './types.js';

/** Changes since the snapshot up to which following them is cheaper than looking at every name. */
const followMax = 256;

export interface NamedEntry extends NameEntry {
  readonly name: Buffer;
  readonly txid: number;
}

/** What a name was. */
export type NameUndo = Pick<NamedEntry, 'name' | 'before' | 'typeBefore'>;

/** What undoes the changes of a name since the snapshot; undefined when it has not changed. */
export function nameUndo(index: IndexStore, directory: FileId, name: Buffer, snapshot: number): NamedEntry | undefined {
  const entry = index.atOrAfter(namedKey(table.name, directory, name, snapshot + 1), namedPrefix(name));
  return entry === undefined ? undefined : decode(entry);
}

/** The last change of a name at or before a transaction. */
export function nameChangeUpTo(index: IndexStore, directory: FileId, name: Buffer, txid: number): NamedEntry | undefined {
  const entry = index.atOrBefore(namedKey(table.name, directory, name, txid), namedPrefix(name));
  return entry === undefined ? undefined : decode(entry);
}

/** The undo entry of every name of the directory that has changed since the snapshot. `changed`: what is known of the time since then, if it is. */
export function nameUndos(index: IndexStore, directory: FileId, snapshot: number, changed?: ChangedSince): NameUndo[] {
  if (changed !== undefined) return lookAtChanged(index, directory, changed);
  return followChanges(index, directory, snapshot) ?? lookAtAllNames(index, directory, snapshot);
}

/** Every change of every name of the directory, by name and then by txid. */
export function* allNameChanges(index: IndexStore, directory: FileId): Generator<NamedEntry> {
  for (const entry of index.scan(fileKey(table.name, directory), filePrefix)) yield decode(entry);
}

/** Every change of one name, oldest first. */
export function* nameChanges(index: IndexStore, directory: FileId, name: Buffer): Generator<NamedEntry> {
  for (const entry of index.scan(namedKey(table.name, directory, name, 0), namedPrefix(name))) yield decode(entry);
}

/** The names of a directory that changed in one transaction. */
export function* namesIn(index: IndexStore, txid: number, directory: FileId): Generator<Buffer> {
  const start = changeKey(txid, directory);
  for (const { key } of index.scan(start, start.length)) {
    if (key.length > start.length) yield key.subarray(start.length);
  }
}

export interface ChangeRows {
  /** Files something happened to: bits (index-keys `touched`), LSN of the first record. */
  readonly files: Map<FileId, { bits: number; lsn: number }>;
  readonly names: { readonly directory: FileId; readonly name: Buffer; readonly lsn: number }[];
}

/** All that the index notes of one transaction. */
export function changeRows(index: IndexStore, txid: number): ChangeRows {
  const rows: ChangeRows = { files: new Map(), names: [] };
  const start = numberKey(table.change, txid);
  for (const entry of index.scan(start, start.length)) addChangeRow(rows, entry);
  return rows;
}

/** Sorts one `C` entry in; returns what it says of a file (no bits for an entry of a name). */
export function addChangeRow(rows: ChangeRows, { key, value }: IndexEntry): { file: FileId; bits: number } {
  const file = readFileId(key, 9);
  if (key.length > 9 + fileIdBytes) {
    rows.names.push({ directory: file, name: key.subarray(9 + fileIdBytes), lsn: readNumberBE(value, 0) });
    return { file, bits: 0 };
  }
  const bits = value[0]!;
  const known = rows.files.get(file);
  if (known === undefined) rows.files.set(file, { bits, lsn: readNumberBE(value, 1) });
  else known.bits |= bits;
  return { file, bits };
}

function lookAtChanged(index: IndexStore, directory: FileId, changed: ChangedSince): NameUndo[] {
  const found: NameUndo[] = [];
  for (const [text, txid] of changed.names(directory)) {
    const name = Buffer.from(text, 'latin1');
    const value = index.get(namedKey(table.name, directory, name, txid));
    // It may have merged into a later one meanwhile.
    const undo = value === undefined ? nameUndo(index, directory, name, txid) : { name, before: readFileId(value, 0), typeBefore: value.readUInt16BE(24) };
    if (undo !== undefined) found.push(undo);
  }
  return found;
}

/** Undefined when there were too many changes for this way to be the shorter one. */
function followChanges(index: IndexStore, directory: FileId, snapshot: number): NamedEntry[] | undefined {
  const txids: number[] = [];
  for (const { key } of index.scan(fileTxidKey(table.directory, directory, snapshot + 1), filePrefix)) {
    if (txids.push(txidAtEnd(key)) > followMax) return undefined;
  }
  const found = new Map<string, NamedEntry>();
  for (const txid of txids) {
    for (const name of namesIn(index, txid, directory)) {
      const text = name.toString('latin1');
      const value = found.has(text) ? undefined : index.get(namedKey(table.name, directory, name, txid));
      if (value !== undefined) found.set(text, { ...decodeNameEntry(value), name: Buffer.from(name), txid });
    }
  }
  return [...found.values()];
}

function lookAtAllNames(index: IndexStore, directory: FileId, snapshot: number): NamedEntry[] {
  const found: NamedEntry[] = [];
  let from: Buffer = fileKey(table.name, directory);
  for (;;) {
    const entry = index.atOrAfter(from, filePrefix);
    if (entry === undefined) return found;
    const name = nameInKey(entry.key);
    if (txidAtEnd(entry.key) > snapshot) {
      found.push(decode(entry));
      from = namedKey(table.name, directory, name, txidMax);
    } else {
      from = namedKey(table.name, directory, name, snapshot + 1);
    }
  }
}

function changeKey(txid: number, directory: FileId): Buffer {
  const key = Buffer.concat([numberKey(table.change, txid), Buffer.alloc(fileIdBytes)]);
  writeFileId(key, 9, directory);
  return key;
}

function decode({ key, value }: IndexEntry): NamedEntry {
  return { ...decodeNameEntry(value), name: Buffer.from(nameInKey(key)), txid: txidAtEnd(key) };
}
