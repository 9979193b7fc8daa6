/**
 * Turns records of the log into entries of the index. In: one record at a time, in log order, inside one write
 * transaction of the index; `flush` before it commits. Runs on the indexer's thread.
 *
 * Invariants:
 * 1. The first undo record of a thing in a transaction counts; what a name is *after* a transaction, the last tells.
 * 2. Entries depend on the records alone, not on how they were cut into batches.
 * 3. Memory is bounded: what is remembered between batches is a cache of limited size.
 */
import { attributesBytes } from './attributes.js';
import { noteFloors } from './floors.js';
import { decodeName, decodePin, decodePlace, decodeXattr, endBodyBytes, endFlag, historyGapNote, keptGoesOn, pinRemoved } from './log-bodies.js';
import type { NameChange, Place } from './log-bodies.js';
import { recordType, sizeClassBytes } from './log-format.js';
import type { RecordView } from './log-reader.js';
import { dataKeyBytes, decodeNameEntry, filePrefix, fileTxidKey, isThereAfter, namedKey, numberKey, placed, pruningKey, table, timeKey, touched, txidMax } from './index-keys.js';
import { bodyOf, directoryKey, encodeNameEntry, fileOf, fileTxidPrefix, number8, packFile, placeKey, placeValue, swapFile, takesFile } from './index-packing.js';
import type { IndexStore } from './index-store.js';
import { markLosses } from './loss-marks.js';
import { fileIdBytes, readNumberBE, readNumberLE, txidBytes, writeFileId, writeNumberBE } from './ids.js';
import type { FileId } from './types.js';

interface Touch {
  bits: number;
  lsn: number;
}

const parentCacheEntries = 20_000;
/** A file that had more places than these within its last transactions is in none of them, as far as its parent's list goes. */
const placesLookedAt = 8;
const empty = Buffer.alloc(0);

export class IndexWriter {
  readonly #store: IndexStore;
  readonly #onBadBody: (lsn: number) => void;
  transactions = 0;
  external = 0;
  gaps = 0;
  /** By txid and packed file (latin1): what this batch has seen. */
  readonly #touches = new Map<number, Map<string, Touch>>();
  /** Up to this transaction, the index may hold touches that are no longer in memory. */
  #flushedUpTo: number;
  readonly #lastData = new Map<string, number>();
  /** Packed file (latin1) to packed parent; only a cache of `P`. */
  readonly #parents = new Map<string, Buffer | null>();
  readonly #scratch = Buffer.alloc(8 + fileIdBytes);
  readonly #dataKey = Buffer.alloc(dataKeyBytes);
  readonly #dataValue = Buffer.alloc(13);
  #lastTouch: Touch | undefined;
  /** LSN of the first part of a list whose last part has not come yet. */
  #keptStart: number | undefined;
  readonly #lastTouchKey = Buffer.alloc(8 + fileIdBytes);

  /** `onBadBody`: a record whose checksum is right but whose body makes no sense. */
  constructor(store: IndexStore, onBadBody: (lsn: number) => void) {
    this.#store = store;
    this.#onBadBody = onBadBody;
    const last = store.atOrBefore(numberKey(table.change, txidMax), 1);
    this.#flushedUpTo = last === undefined ? 0 : readNumberBE(last.key, 1);
  }

  apply(record: RecordView): void {
    try {
      this.#dispatch(record);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#onBadBody(record.lsn);
    }
  }

  /** Writes what was gathered over the batch. */
  flush(): void {
    for (const [txid, files] of this.#touches) this.#flushTouches(txid, files);
    for (const [file, txid] of this.#lastData) {
      const key = Buffer.concat([Buffer.of(table.dataLast), Buffer.from(file, 'latin1')]);
      const known = this.#store.get(key);
      if (known === undefined || readNumberBE(known, 0) < txid) this.#store.put(key, number8(txid));
    }
    this.#lastData.clear();
    if (this.#parents.size > parentCacheEntries) this.#parents.clear();
  }

  #dispatch(record: RecordView): void {
    switch (record.type) {
      case recordType.extent:
      case recordType.hole: return this.#extent(record);
      case recordType.attributes: return this.#attributes(record);
      case recordType.name: return this.#name(record);
      case recordType.xattr: return this.#xattr(record);
      case recordType.place: return this.#place(record);
      case recordType.end: return this.#end(record);
      case recordType.pin: return this.#pin(record);
      case recordType.kept: return this.#kept(record);
      case recordType.floor: return noteFloors(this.#store, record);
      case recordType.note:
        if (record.aux === historyGapNote) this.gaps++;
        return;
      default:
    }
  }

  #extent(record: RecordView): void {
    const { buffer, start } = record;
    const classBytes = sizeClassBytes[record.aux];
    const offset = readNumberLE(buffer, start + 32);
    const size = readNumberLE(buffer, start + 40);
    if (classBytes === undefined || offset % classBytes !== 0 || size > classBytes) throw new RangeError('no such extent');
    const key = this.#dataKey;
    key[0] = table.data;
    swapFile(buffer, start, key, 1);
    key[1 + fileIdBytes] = record.aux;
    writeNumberBE(key, 2 + fileIdBytes, offset / classBytes);
    writeNumberBE(key, 10 + fileIdBytes, record.txid);
    writeNumberBE(this.#dataValue, 0, record.lsn);
    this.#dataValue.writeUInt32BE(size, 8);
    this.#dataValue[12] = record.type === recordType.hole ? 1 : 0;
    this.#store.putNew(key, this.#dataValue);
    if (this.#touch(record, touched.data)) {
      const file = key.toString('latin1', 1, filePrefix);
      this.#lastData.set(file, Math.max(this.#lastData.get(file) ?? 0, record.txid));
    }
  }

  #attributes(record: RecordView): void {
    const body = bodyOf(record);
    if (body.length < attributesBytes) throw new RangeError('attributes are cut');
    this.#store.putNew(fileTxidKey(table.attributes, fileOf(record), record.txid), body.subarray(0, attributesBytes));
    this.#touch(record, touched.attributes);
  }

  #xattr(record: RecordView): void {
    const { name, value } = decodeXattr(bodyOf(record), record.aux);
    this.#store.putNew(namedKey(table.xattr, fileOf(record), name, record.txid), value === undefined ? Buffer.of(0) : Buffer.concat([Buffer.of(1), value]));
    this.#touch(record, touched.xattr);
  }

  #name(record: RecordView): void {
    const change = decodeName(bodyOf(record), record.aux);
    const directory = fileOf(record);
    const key = namedKey(table.name, directory, change.name, record.txid);
    const known = this.#store.get(key);
    const value = encodeNameEntry(change, record.lsn);
    // What was before, and where the first record stands, is kept; what is after, the last record tells.
    known?.copy(value, 0, 0, 12);
    known?.copy(value, 24, 24, 26);
    known?.copy(value, 29, 29);
    this.#store.put(key, value);
    const changeKey = Buffer.concat([fileTxidPrefix(record.txid), packFile(directory), change.name]);
    this.#store.putNew(changeKey, number8(record.lsn));
    if (change.before !== 0n) this.#unplace(change.before, directory, change, record.txid);
    if (change.after !== 0n) this.#placeAt(change.after, directory, change.name, record.txid, placed.after, change.typeAfter);
    this.#touch(record, touched.names | (takesFile(change) ? touched.gone : 0));
  }

  #unplace(file: FileId, directory: FileId, change: NameChange, txid: number): void {
    const key = placeKey(file, txid, directory, change.name);
    const known = this.#store.get(key);
    const bits = known?.[0] ?? 0;
    // A name that came and went within the transaction was not there before.
    this.#store.put(key, placeValue(bits & placed.after ? bits & ~placed.after : bits | placed.before, change.typeBefore));
    this.#parents.delete(packFile(file).toString('latin1'));
  }

  #placeAt(file: FileId, directory: FileId, name: Buffer, txid: number, bit: number, type: number): void {
    const key = placeKey(file, txid, directory, name);
    const bits = this.#store.get(key)?.[0] ?? 0;
    this.#store.put(key, placeValue(bits | bit, type));
    this.#parents.delete(packFile(file).toString('latin1'));
  }

  #place(record: RecordView): void {
    const place = decodePlace(bodyOf(record), record.aux);
    const file = fileOf(record);
    this.#placeAt(file, place.parent, place.name, record.txid, this.#isArrival(file, place, record.txid) ? placed.after : placed.seen, place.type);
    const value = Buffer.alloc(fileIdBytes + 2);
    writeFileId(value, 0, file);
    value.writeUInt16BE(place.type & 0xffff, fileIdBytes);
    this.#store.put(Buffer.concat([Buffer.of(table.known), packFile(place.parent), place.name]), value);
  }

  /** true when the transaction made this very name, before the file had an id to tell; the name's entry learns it now. */
  #isArrival(file: FileId, place: Place, txid: number): boolean {
    const key = namedKey(table.name, place.parent, place.name, txid);
    const known = this.#store.get(key);
    if (known === undefined) return false;
    const entry = decodeNameEntry(known);
    if (entry.after !== 0n || entry.typeAfter === 0) return entry.after === file;
    const value = Buffer.from(known);
    writeFileId(value, 12, file);
    this.#store.put(key, value);
    return true;
  }

  #end(record: RecordView): void {
    const body = bodyOf(record);
    if (body.length < endBodyBytes + record.aux) throw new RangeError('an END is cut');
    const key = numberKey(table.transaction, record.txid);
    if (this.#store.get(key) === undefined) {
      this.transactions++;
      if (body[21]! & endFlag.external) this.external++;
    }
    this.#store.put(key, body.subarray(0, endBodyBytes + record.aux));
    this.#store.put(timeKey(body.readBigInt64LE(0)), number8(record.txid));
    this.#noteParents(record.txid);
  }

  #pin(record: RecordView): void {
    const { madeAtNs, name } = decodePin(bodyOf(record), record.aux);
    const key = Buffer.concat([Buffer.of(table.pin), name]);
    if (record.flags & pinRemoved) return this.#store.remove(key);
    const value = Buffer.alloc(16);
    writeNumberBE(value, 0, record.txid);
    value.writeBigInt64BE(madeAtNs, 8);
    this.#store.put(key, value);
  }

  /** What is to go is left to the pruner (index-pruning.ts); here only where it finds what is kept. */
  #kept(record: RecordView): void {
    if (record.aux === 0) this.#keptStart = record.lsn;
    if (record.flags & keptGoesOn) return;
    if (this.#keptStart !== undefined) this.#store.put(pruningKey, number8(this.#keptStart));
    this.#keptStart = undefined;
  }

  /** Notes that something happened to the record's file in its transaction; true when this batch did not know it yet. */
  #touch(record: RecordView, bit: number): boolean {
    const key = this.#scratch;
    writeNumberBE(key, 0, record.txid);
    swapFile(record.buffer, record.start, key, 8);
    // Records of one file mostly stand together: the comparison saves making a string for each.
    let touch = this.#lastTouch !== undefined && key.equals(this.#lastTouchKey) ? this.#lastTouch : undefined;
    if (touch === undefined) {
      let files = this.#touches.get(record.txid);
      if (files === undefined) this.#touches.set(record.txid, files = new Map());
      const file = key.toString('latin1', txidBytes);
      touch = files.get(file);
      if (touch === undefined) files.set(file, touch = { bits: 0, lsn: record.lsn });
      key.copy(this.#lastTouchKey);
      this.#lastTouch = touch;
    }
    const fresh = (touch.bits & bit) === 0;
    touch.bits |= bit;
    return fresh;
  }

  #flushTouches(txid: number, files: Map<string, Touch>): void {
    for (const [file, touch] of files) this.#flushTouch(txid, Buffer.from(file, 'latin1'), touch);
    this.#touches.delete(txid);
    this.#lastTouch = undefined;
    this.#flushedUpTo = Math.max(this.#flushedUpTo, txid);
  }

  #flushTouch(txid: number, file: Buffer, touch: Touch): void {
    const key = Buffer.concat([fileTxidPrefix(txid), file]);
    const known = txid <= this.#flushedUpTo ? this.#store.get(key) : undefined;
    const value = Buffer.alloc(9);
    value[0] = touch.bits | (known?.[0] ?? 0);
    writeNumberBE(value, 1, known === undefined ? touch.lsn : readNumberBE(known, 1));
    this.#store.put(key, value);
    if (touch.bits & touched.names) this.#store.put(directoryKey(file, txid), empty);
  }

  /** A transaction has ended: what changed in files changed something in the directories that hold them. */
  #noteParents(txid: number): void {
    const isWhole = txid > this.#flushedUpTo;
    const files = this.#touches.get(txid) ?? new Map<string, Touch>();
    this.#flushTouches(txid, files);
    if (isWhole) {
      for (const [file, touch] of files) this.#noteParent(txid, Buffer.from(file, 'latin1'), touch.bits);
      return;
    }
    const prefix = fileTxidPrefix(txid);
    for (const { key, value } of this.#store.scan(prefix, prefix.length)) {
      if (key.length === prefix.length + fileIdBytes) this.#noteParent(txid, key.subarray(prefix.length), value[0]!);
    }
  }

  #noteParent(txid: number, file: Buffer, bits: number): void {
    markLosses(this.#store, txid, bits);
    // A directory whose names changed has its own attributes change too: that is no change in its parent.
    const parent = bits & touched.names ? null : this.#parentOf(file);
    if (parent !== null) this.#store.put(directoryKey(parent, txid), empty);
  }

  #parentOf(file: Buffer): Buffer | null {
    const text = file.toString('latin1');
    const known = this.#parents.get(text);
    if (known !== undefined) return known;
    const start = Buffer.concat([Buffer.of(table.place), file, Buffer.alloc(8, 0xff)]);
    let parent: Buffer | null = null;
    let steps = 0;
    for (const { key, value } of this.#store.scanBack(start, filePrefix)) {
      if (isThereAfter(value[0]!)) parent = Buffer.from(key.subarray(filePrefix + 8, filePrefix + 8 + fileIdBytes));
      if (parent !== null || ++steps === placesLookedAt) break;
    }
    this.#parents.set(text, parent);
    return parent;
  }
}
