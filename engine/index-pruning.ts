/**
 * Brings the index to what is kept: the log has told (a KEPT record) which transactions up to a horizon are still moments. In: the index, the kept
 * transactions, a way to remove objects. Out: an index in which those that are gone have merged into the next kept one.
 *
 * Invariants:
 * 1. What a kept transaction shows does not change, at no step on the way.
 * 2. The result depends on the records of the log alone; doing it again, or after a crash in the middle, gives the same.
 * 3. Each step (up to the next yield) fits into one transaction of the index, and memory is bounded.
 * 4. An object goes only when no kept transaction shows it under any name, and it is in no live directory.
 */
import { decodeNameEntry, decodePlaceEntry, fileKey, filePrefix, fileTxidKey, floorKey, isThereAfter, namedKey, namedPrefix, numberKey, placed, table, timeKey, touched, txidAtEnd } from './index-keys.js';
import { directoryKey, fileTxidPrefix, number8, packFile, placeKey, placeValue } from './index-packing.js';
import type { IndexEntry, IndexStore } from './index-store.js';
import { fileIdBytes, readFileId, readNumberBE, writeNumberBE } from './ids.js';
import type { Kept } from './kept.js';
import type { FileId } from './types.js';
import { firstValue, mergePlaceBits, mergeUndos, nameValue } from './undo-merging.js';

export interface PruningOptions {
  readonly index: IndexStore;
  readonly kept: Kept;
  /** Transactions above are not judged yet. */
  readonly horizon: number;
  /** true when the file has left the live tree and its object is there. */
  readonly isObject: (file: FileId) => boolean;
  readonly removeObject: (file: FileId) => void;
  /** Told of positions in the log at which bytes lost their need. */
  readonly onDead: (lsn: number) => void;
}

/** Files and names looked after together: more would only take memory. */
const windowThings = 4000;

const nothing = Buffer.alloc(0);

/** Runs the pruning step by step. */
export function* pruneIndex(options: PruningOptions): Generator<void> {
  yield* new Pruning(options).run();
}

class Pruning {
  readonly #options: PruningOptions;
  readonly #index: IndexStore;
  readonly #kept: Kept;
  /** What the merged transactions touched: files with their bits, names by directory. */
  #files = new Map<FileId, number>();
  #names = new Map<FileId, Map<string, Buffer>>();
  #count = 0;
  readonly #dataGone = ({ value }: IndexEntry): void => { this.#options.onDead(readNumberBE(value, 0)); };

  constructor(options: PruningOptions) {
    this.#options = options;
    this.#index = options.index;
    this.#kept = options.kept;
  }

  * run(): Generator<void> {
    // First of all: who asks for a moment that is gone must not be shown another one.
    yield* this.#forgetTransactions();
    for (let txid = this.#nextGone(0); txid !== undefined; txid = this.#nextGone(txid)) {
      this.#mergeTransaction(txid);
      if (this.#count < windowThings) continue;
      yield;
      yield* this.#mergeThings();
    }
    yield* this.#mergeThings();
  }

  /** The next transaction after `txid`, up to the horizon, that has changes in the index and is not kept, or shows nothing older. */
  #nextGone(txid: number): number | undefined {
    for (let last = txid; ;) {
      const entry = this.#index.atOrAfter(numberKey(table.change, last + 1), 1);
      if (entry === undefined) return undefined;
      last = readNumberBE(entry.key, 1);
      if (last > this.#options.horizon) return undefined;
      if (!this.#kept.has(last) || last <= this.#kept.oldest) return last;
    }
  }

  /** Its changes become those of the next kept transaction; of the oldest one, nobody can say what it changed. */
  #mergeTransaction(txid: number): void {
    const shownBy = this.#kept.atOrAfter(txid);
    const prefix = fileTxidPrefix(txid);
    for (const entry of [...this.#index.scan(prefix, prefix.length)]) {
      const file = readFileId(entry.key, prefix.length);
      const name = entry.key.subarray(prefix.length + fileIdBytes);
      if (name.length > 0) this.#noteName(file, name);
      else this.#noteFile(file, entry.value[0]!);
      this.#index.remove(entry.key);
      if (shownBy <= this.#kept.oldest) continue;
      this.#mergeChange(entry, shownBy, name.length > 0);
      // Made again from a log without the END, the index has not been told.
      const directory = name.length > 0 ? file : this.#parentOf(file, txid);
      if (directory !== undefined) this.#index.put(directoryKey(packFile(directory), shownBy), nothing);
    }
  }

  #mergeChange({ key, value }: IndexEntry, shownBy: number, isName: boolean): void {
    const moved = Buffer.from(key);
    writeNumberBE(moved, 1, shownBy);
    const known = this.#index.get(moved);
    if (known === undefined) return this.#index.put(moved, value);
    const merged = Buffer.from(known);
    const at = isName ? 0 : 1;
    if (!isName) merged[0] = known[0]! | value[0]!;
    writeNumberBE(merged, at, Math.min(readNumberBE(known, at), readNumberBE(value, at)));
    this.#index.put(moved, merged);
  }

  #parentOf(file: FileId, txid: number): FileId | undefined {
    for (const { key, value } of this.#index.scanBack(Buffer.concat([fileTxidKey(table.place, file, txid), Buffer.alloc(fileIdBytes + 256, 0xff)]), filePrefix)) {
      const place = decodePlaceEntry(key, value);
      if (isThereAfter(place.bits)) return place.parent;
    }
    return undefined;
  }

  #noteFile(file: FileId, bits: number): void {
    this.#files.set(file, (this.#files.get(file) ?? 0) | bits);
    this.#count++;
  }

  #noteName(directory: FileId, name: Buffer): void {
    const names = this.#names.get(directory) ?? new Map<string, Buffer>();
    this.#names.set(directory, names);
    names.set(name.toString('latin1'), Buffer.from(name));
    this.#count++;
  }

  * #mergeThings(): Generator<void> {
    const [files, names] = [this.#files, this.#names];
    this.#files = new Map();
    this.#names = new Map();
    this.#count = 0;
    const leaving = new Set<FileId>();
    for (const [directory, ofDirectory] of names) {
      for (const name of ofDirectory.values()) {
        this.#noteLeaving(directory, name, leaving);
        yield* mergeUndos(this.#index, this.#kept, namedKey(table.name, directory, name, 0), namedPrefix(name), nameValue);
      }
    }
    for (const [file, bits] of files) yield* this.#mergeFile(file, bits);
    for (const file of leaving) yield* this.#mergeFile(file, 0);
    for (const file of leaving) yield* this.#reclaim(file);
    yield;
  }

  /** Files that a name leads to in the past: with a moment, the last way to one of them may go. */
  #noteLeaving(directory: FileId, name: Buffer, leaving: Set<FileId>): void {
    for (const { key, value } of this.#index.scan(namedKey(table.name, directory, name, 0), namedPrefix(name))) {
      if (txidAtEnd(key) > this.#options.horizon) return;
      const { before, after } = decodeNameEntry(value);
      if (before !== 0n) leaving.add(before);
      if (after !== 0n) leaving.add(after);
    }
  }

  * #mergeFile(file: FileId, bits: number): Generator<void> {
    const { data, xattr } = touched;
    yield* mergeUndos(this.#index, this.#kept, fileKey(table.attributes, file), filePrefix, firstValue);
    if (bits & xattr) yield* mergeUndos(this.#index, this.#kept, fileKey(table.xattr, file), filePrefix, firstValue);
    if (bits & data) yield* mergeUndos(this.#index, this.#kept, fileKey(table.data, file), filePrefix, firstValue, this.#dataGone);
    this.#mergePlaces(file);
  }

  /** Also of the directories that the file was in: something in them changed at another moment now. */
  #mergePlaces(file: FileId): void {
    const merged = new Map<string, { readonly key: Buffer; readonly bits: number; readonly type: number }>();
    const directories = new Set<FileId>([file]);
    const prefix = fileKey(table.place, file);
    for (const { key, value } of [...this.#index.scan(prefix, prefix.length)]) {
      const { txid, parent, name, type } = decodePlaceEntry(key, value);
      directories.add(parent);
      if (txid > this.#options.horizon) continue;
      const to = placeKey(file, this.#kept.atOrAfter(txid), parent, name);
      const text = to.toString('latin1');
      const known = merged.get(text)?.bits;
      merged.set(text, { key: to, bits: known === undefined ? value[0]! : mergePlaceBits(known, value[0]!), type });
      this.#index.remove(key);
    }
    for (const { key, bits, type } of merged.values()) {
      if (bits !== 0) this.#index.put(key, placeValue(bits, type));
    }
    for (const directory of directories) this.#mergeDirectory(directory);
  }

  #mergeDirectory(directory: FileId): void {
    const prefix = fileKey(table.directory, directory);
    for (let from: Buffer = prefix; ;) {
      const entry = this.#index.atOrAfter(from, filePrefix);
      const txid = entry === undefined ? Infinity : txidAtEnd(entry.key);
      if (entry === undefined || txid > this.#options.horizon) return;
      from = fileTxidKey(table.directory, directory, txid + 1);
      if (this.#kept.has(txid) && txid > this.#kept.oldest) continue;
      this.#index.remove(entry.key);
      const shownBy = this.#kept.atOrAfter(txid);
      if (shownBy > this.#kept.oldest) this.#index.put(directoryKey(packFile(directory), shownBy), entry.value);
    }
  }

  /** Removes an object, and all that is known of it, when nothing leads to it any more; then those that were in it. */
  * #reclaim(first: FileId): Generator<void> {
    const candidates = [first];
    for (let file = candidates.pop(); file !== undefined; file = candidates.pop()) {
      if (this.#isShown(file) || !this.#options.isObject(file)) continue;
      this.#options.removeObject(file);
      for (const { value } of this.#index.scan(fileKey(table.name, file), filePrefix)) {
        const { before } = decodeNameEntry(value);
        if (before !== 0n) candidates.push(before);
      }
      yield* this.#forgetFile(file);
    }
  }

  #isShown(file: FileId): boolean {
    for (const { key, value } of this.#index.scan(fileKey(table.place, file), filePrefix)) {
      const { txid, parent, name, bits } = decodePlaceEntry(key, value);
      if ((bits & (placed.before | placed.seen)) === 0) continue;
      const undo = this.#index.get(namedKey(table.name, parent, name, txid));
      if (undo !== undefined && decodeNameEntry(undo).before === file) return true;
    }
    return false;
  }

  * #forgetFile(file: FileId): Generator<void> {
    for (const tag of [table.attributes, table.xattr, table.data, table.dataLast, table.name, table.known, table.directory, table.place]) {
      let count = 0;
      for (const entry of this.#index.scan(fileKey(tag, file), filePrefix)) {
        const { key } = entry;
        if (tag === table.data) this.#dataGone(entry);
        if (tag === table.attributes || tag === table.data) this.#index.remove(Buffer.concat([fileTxidPrefix(txidAtEnd(key)), packFile(file)]));
        // The walk goes on from the last entry that it has seen: that one is removed with the next.
        this.#removeLater(key);
        if (++count % windowThings === 0) yield;
      }
      this.#removeLater(undefined);
    }
  }

  #waiting: Buffer | undefined;

  #removeLater(key: Buffer | undefined): void {
    if (this.#waiting !== undefined) this.#index.remove(this.#waiting);
    this.#waiting = key;
  }

  /** The moments themselves. */
  * #forgetTransactions(): Generator<void> {
    let count = 0;
    for (const { key, value } of this.#index.scan(numberKey(table.transaction, 0), 1)) {
      const txid = readNumberBE(key, 1);
      if (txid > this.#options.horizon) break;
      this.#removeLater(undefined);
      if (this.#kept.has(txid)) continue;
      this.#index.remove(timeKey(value.readBigInt64LE(0)));
      this.#removeLater(key);
      if (++count % windowThings === 0) yield;
    }
    this.#removeLater(undefined);
    this.#index.put(floorKey, Buffer.concat([number8(this.#kept.oldest), number8(this.#options.horizon)]));
  }
}
