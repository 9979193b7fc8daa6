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
import { PruningWindow } from './pruning-window.js';
import { firstValue, mergePlaceBits, mergeUndos, nameValue } from './undo-merging.js';
import type { Merge, OnGone } from './undo-merging.js';

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
  /** Files and names looked after together; more would only take memory. */
  readonly windowThings: number;
}

/** A file with more data entries than these is looked after once, at the end: it may be in every window. */
const heavyEntries = 2000;
const transactionsInStep = 500;
const entriesInStep = 4000;
const nothing = Buffer.alloc(0);

/** Runs the pruning step by step. */
export function* pruneIndex(options: PruningOptions): Generator<void> {
  yield* new Pruning(options).run();
}

class Pruning {
  readonly #options: PruningOptions;
  readonly #index: IndexStore;
  readonly #kept: Kept;
  readonly #heavy = new Set<FileId>();
  /** The transactions between which the present window merges: (after, upTo]. */
  #after = -1;
  #upTo = 0;
  readonly #dataGone = ({ value }: IndexEntry): void => { this.#options.onDead(readNumberBE(value, 0)); };

  constructor(options: PruningOptions) {
    this.#options = options;
    this.#index = options.index;
    this.#kept = options.kept;
  }

  * run(): Generator<void> {
    // First of all: who asks for a moment that is gone must not be shown another one.
    yield* this.#forgetTransactions();
    let window = new PruningWindow();
    for (let txid = this.#nextGone(0); txid !== undefined; txid = this.#nextGone(txid)) {
      this.#collect(txid, window);
      if (window.count < this.#options.windowThings) continue;
      yield* this.#merge(window);
      window = new PruningWindow();
    }
    yield* this.#merge(window);
    for (const file of this.#heavy) yield* this.#mergeAll(fileKey(table.data, file), this.#dataGone);
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

  #collect(txid: number, window: PruningWindow): void {
    window.txids.push(txid);
    const prefix = fileTxidPrefix(txid);
    for (const { key, value } of this.#index.scan(prefix, prefix.length)) {
      window.count++;
      const file = readFileId(key, prefix.length);
      const name = key.subarray(prefix.length + fileIdBytes);
      if (name.length === 0) window.files.set(file, (window.files.get(file) ?? 0) | value[0]!);
      else window.noteName(file, Buffer.from(name));
    }
  }

  /** The rows of the transactions come last: a crash before leaves them, and they lead here again. */
  * #merge({ txids, files, names }: PruningWindow): Generator<void> {
    if (txids.length === 0) return;
    yield;
    // Files that came or went: with an entry of a name, the last way to one of them may go.
    const moved = new Set<FileId>();
    this.#after = this.#kept.before(txids[0]!) ?? -1;
    this.#upTo = this.#kept.atOrAfter(txids.at(-1)!);
    for (const [directory, ofDirectory] of names) {
      for (const name of ofDirectory.values()) yield* this.#mergeName(directory, name, moved);
    }
    for (const [file, bits] of files) yield* this.#mergeFile(file, bits);
    for (const file of moved) this.#mergePlaces(file);
    for (const file of moved) yield* this.#reclaim(file);
    yield;
    for (const [index, txid] of txids.entries()) {
      this.#moveChanges(txid);
      if (index % transactionsInStep === 0) yield;
    }
  }

  /** Its changes become those of the next kept transaction; of the oldest one, nobody can say what it changed. */
  #moveChanges(txid: number): void {
    const shownBy = this.#kept.atOrAfter(txid);
    const prefix = fileTxidPrefix(txid);
    for (const entry of [...this.#index.scan(prefix, prefix.length)]) {
      const file = readFileId(entry.key, prefix.length);
      const isName = entry.key.length > prefix.length + fileIdBytes;
      this.#index.remove(entry.key);
      if (shownBy <= this.#kept.oldest) continue;
      this.#mergeChange(entry, shownBy, isName);
      // Made again from a log without the END, the index has not been told.
      const directory = isName ? file : this.#parentOf(file, shownBy);
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

  * #mergeFile(file: FileId, bits: number): Generator<void> {
    yield* this.#mergeRange(fileTxidKey(table.attributes, file, this.#after + 1), filePrefix, firstValue);
    if (bits & touched.xattr) yield* this.#mergeAll(fileKey(table.xattr, file), undefined);
    if (bits & touched.data && !this.#isHeavy(file)) yield* this.#mergeAll(fileKey(table.data, file), this.#dataGone);
    this.#mergePlaces(file);
  }

  #isHeavy(file: FileId): boolean {
    if (this.#heavy.has(file)) return true;
    let count = 0;
    for (const _ of this.#index.scan(fileKey(table.data, file), filePrefix)) if (++count > heavyEntries) break;
    if (count > heavyEntries) this.#heavy.add(file);
    return count > heavyEntries;
  }

  /** Entries of one thing, those of the present window. */
  * #mergeRange(start: Buffer, prefixLength: number, merge: Merge, onGone?: OnGone): Generator<void> {
    yield* mergeUndos(this.#index, this.#kept, { start, prefixLength, upTo: this.#upTo, merge, onGone });
  }

  * #mergeName(directory: FileId, name: Buffer, moved: Set<FileId>): Generator<void> {
    const note = ({ value }: IndexEntry): void => {
      const { before, after } = decodeNameEntry(value);
      for (const file of [before, after]) if (file !== 0n) moved.add(file);
    };
    const start = namedKey(table.name, directory, name, this.#after + 1);
    // What arrives with the first entry may have left again with a later one.
    const first = this.#index.atOrAfter(start, namedPrefix(name));
    if (first !== undefined) note(first);
    yield* this.#mergeRange(start, namedPrefix(name), nameValue, note);
  }

  /** All entries of a file in one table. */
  * #mergeAll(start: Buffer, onGone: OnGone | undefined): Generator<void> {
    yield* mergeUndos(this.#index, this.#kept, { start, prefixLength: filePrefix, upTo: Infinity, merge: firstValue, onGone });
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
    for (let from = fileTxidKey(table.directory, directory, this.#after + 1); ;) {
      const entry = this.#index.atOrAfter(from, filePrefix);
      const txid = entry === undefined ? Infinity : txidAtEnd(entry.key);
      if (entry === undefined || txid > this.#upTo) return;
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
      const shown = (bits & (placed.before | placed.seen)) === 0 ? undefined : this.#kept.before(txid);
      if (shown === undefined) continue;
      // It may not have merged yet.
      const undo = this.#index.atOrAfter(namedKey(table.name, parent, name, shown + 1), namedPrefix(name));
      if (undo !== undefined && txidAtEnd(undo.key) <= txid && decodeNameEntry(undo.value).before === file) return true;
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
        if (++count % entriesInStep === 0) yield;
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
      if (++count % entriesInStep === 0) yield;
    }
    this.#removeLater(undefined);
    this.#index.put(floorKey, Buffer.concat([number8(this.#kept.oldest), number8(this.#options.horizon)]));
  }
}
