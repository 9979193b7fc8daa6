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
import { ChangeMerging, parentAt } from './change-merging.js';
import { pruneToFloors } from './floor-pruning.js';
import { Floors } from './floors.js';
import { decodeNameEntry, decodePlaceEntry, fileKey, filePrefix, fileTxidKey, isThereAfter, namedKey, namedPrefix, numberKey, placed, table, timeKey, touched, txidAtEnd, unmergedPrefix } from './index-keys.js';
import { directoryKey, fileTxidPrefix, packFile } from './index-packing.js';
import type { IndexEntry, IndexTable } from './index-store.js';
import { fileIdBytes, readFileId, readNumberBE, txidBytes } from './ids.js';
import { keepJudged } from './judged.js';
import type { Kept } from './kept.js';
import { removeLossMarks } from './loss-marks.js';
import type { FileId } from './types.js';
import { mergePlaces } from './place-merging.js';
import { PruningWindow } from './pruning-window.js';
import { firstValue, mergeUndos, nameValue } from './undo-merging.js';
import type { Merge, OnGone } from './undo-merging.js';

export interface PruningOptions {
  readonly index: IndexTable;
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

/** A file with more data entries than these is looked after once, at the end: it may be in every window, and each time all of them would be walked. */
const heavyEntries = 16;
// Of a millisecond or two: pruner.ts takes several together, unless somebody waits for the index.
const rowsInStep = 40;
const entriesInStep = 200;
const rowsReadInStep = 400;
const nothing = Buffer.alloc(0);

/** Runs the pruning step by step. */
export function* pruneIndex(options: PruningOptions): Generator<void> {
  yield* new Pruning(options).run();
}

class Pruning {
  readonly #options: PruningOptions;
  readonly #index: IndexTable;
  readonly #kept: Kept;
  /** The transactions between which the present window merges: (after, upTo]. */
  #after = -1;
  #upTo = 0;
  #window = new PruningWindow();
  readonly #dataGone = ({ value }: IndexEntry): void => { this.#options.onDead(readNumberBE(value, 0)); };

  constructor(options: PruningOptions) {
    this.#options = options;
    this.#index = options.index;
    this.#kept = options.kept;
  }

  * run(): Generator<void> {
    // First of all: who asks for a moment that is gone must not be shown another one.
    yield* this.#forgetTransactions();
    // Floors speak of moments that were kept when they were set: some of them may be given up now.
    yield* pruneToFloors(this.#options);
    let count = 0;
    for (const row of this.#index.scan(numberKey(table.change, 0), 1)) {
      const txid = readNumberBE(row.key, 1);
      if (txid > this.#options.horizon) break;
      if (++count % rowsReadInStep === 0) yield;
      if (!this.#goes(txid)) continue;
      if (this.#window.count >= this.#options.windowThings && this.#window.txids.at(-1) !== txid) yield* this.#merge();
      this.#window.note(txid, row);
    }
    yield* this.#merge();
    yield* this.#mergeHeavy();
  }

  /** It is not kept, or shows nothing older. */
  #goes(txid: number): boolean {
    return txid <= this.#kept.oldest || !this.#kept.has(txid);
  }

  /** The rows of the transactions come last: a crash before leaves them, and they lead here again. */
  * #merge(): Generator<void> {
    const { txids, names } = this.#window;
    if (txids.length === 0) return;
    yield;
    // Files that came or went: with an entry of a name, the last way to one of them may go.
    const moved = new Set<FileId>();
    this.#after = this.#kept.before(txids[0]!) ?? -1;
    this.#upTo = this.#kept.atOrAfter(txids.at(-1)!);
    for (const [directory, ofDirectory] of names) {
      for (const name of ofDirectory.values()) {
        yield* this.#mergeName(directory, name, moved);
        yield;
      }
    }
    for (const [file, bits] of this.#window.inOrder()) {
      yield* this.#mergeFile(file, bits);
      yield;
    }
    for (const file of moved) {
      yield* this.#mergePlaces(file);
      yield;
    }
    for (const file of moved) yield* this.#reclaim(file);
    yield;
    yield* this.#moveChanges(txids[0]!, txids.at(-1)!);
    this.#window = new PruningWindow();
  }

  /** Changes become those of the next kept transaction; of the oldest one, nobody can say what it changed. */
  * #moveChanges(first: number, last: number): Generator<void> {
    const prefix = fileTxidPrefix(first);
    const merging = new ChangeMerging(this.#index);
    let count = 0;
    let [unmarking, unmarked] = [-1, 0];
    for (const entry of this.#index.scan(prefix, 1)) {
      const txid = readNumberBE(entry.key, 1);
      if (txid > last) return;
      if (!this.#goes(txid)) continue;
      if (++count % rowsInStep === 0) yield;
      if (txid !== unmarking) [unmarking, unmarked] = [txid, 0];
      const shownBy = this.#kept.atOrAfter(txid);
      const file = readFileId(entry.key, prefix.length);
      const isName = entry.key.length > prefix.length + fileIdBytes;
      this.#index.remove(entry.key);
      if (!isName) {
        removeLossMarks(this.#index, txid, entry.value[0]! & ~unmarked);
        unmarked |= entry.value[0]!;
      }
      if (shownBy <= this.#kept.oldest || !merging.merge(entry, shownBy, isName)) continue;
      // Made again from a log without the END, the index has not been told.
      const directory = isName ? file : parentAt(this.#index, file, shownBy);
      if (directory !== undefined) this.#index.put(directoryKey(packFile(directory), shownBy), nothing);
    }
  }

  * #mergeFile(file: FileId, bits: number): Generator<void> {
    yield* this.#mergeRange(fileTxidKey(table.attributes, file, this.#after + 1), filePrefix, firstValue);
    if (bits & touched.xattr) yield* this.#mergeAll(fileKey(table.xattr, file), undefined);
    if (bits & touched.data) yield* this.#mergeData(file);
    yield* this.#mergePlaces(file);
    // What changed in the files of a directory they lead to by themselves.
    if (bits & touched.names) yield* this.#mergeDirectory(file);
  }

  /** That a file is heavy is noted in the index: after a crash the rows that lead to it may be gone. */
  * #mergeData(file: FileId): Generator<void> {
    const note = Buffer.concat([unmergedPrefix, packFile(file)]);
    if (this.#index.get(note) !== undefined) return;
    const entries: IndexEntry[] = [];
    for (const entry of this.#index.scan(fileKey(table.data, file), filePrefix, heavyEntries + 1)) {
      if (entries.push(entry) > heavyEntries) return this.#index.put(note, nothing);
    }
    yield* mergeUndos(this.#index, this.#kept, { entries, upTo: Infinity, merge: firstValue, onGone: this.#dataGone });
  }

  * #mergeHeavy(): Generator<void> {
    for (const { key } of this.#index.scan(unmergedPrefix, unmergedPrefix.length)) {
      yield* this.#mergeAll(fileKey(table.data, readFileId(key, unmergedPrefix.length)), this.#dataGone);
      this.#index.remove(key);
      yield;
    }
  }

  /** Entries of one thing, those of the present window. */
  * #mergeRange(start: Buffer, prefixLength: number, merge: Merge, onGone?: OnGone): Generator<void> {
    yield* mergeUndos(this.#index, this.#kept, { entries: this.#index.scan(start, prefixLength), upTo: this.#upTo, merge, onGone });
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
    yield* mergeUndos(this.#index, this.#kept, { entries: this.#index.scan(start, filePrefix), upTo: Infinity, merge: firstValue, onGone });
  }

  /** Also of the directories that the file was in: something in them changed at another moment now. */
  * #mergePlaces(file: FileId): Generator<void> {
    const directories = new Set<FileId>();
    yield* mergePlaces(this.#index, this.#kept, { file, upTo: this.#upTo, onDirectory: (directory) => { directories.add(directory); } });
    for (const directory of directories) yield* this.#mergeDirectory(directory);
  }

  * #mergeDirectory(directory: FileId): Generator<void> {
    if (this.#window.merged.has(directory)) return;
    this.#window.merged.add(directory);
    let count = 0;
    for (const { key, value } of this.#index.scan(fileTxidKey(table.directory, directory, this.#after + 1), filePrefix)) {
      const txid = txidAtEnd(key);
      if (txid > this.#upTo) return;
      if (++count % entriesInStep === 0) yield;
      if (this.#kept.has(txid) && txid > this.#kept.oldest) continue;
      this.#index.remove(key);
      const shownBy = this.#kept.atOrAfter(txid);
      if (shownBy > this.#kept.oldest) this.#index.put(directoryKey(packFile(directory), shownBy), value);
    }
  }

  /** Removes an object, and all that is known of it, when nothing leads to it any more; then those that were in it. */
  * #reclaim(first: FileId): Generator<void> {
    const candidates = [first];
    for (let file = candidates.pop(); file !== undefined; file = candidates.pop()) {
      // It may have left the tree a moment ago, by records that the index has not read yet: those decide about it.
      if (this.#isShown(file) || this.#isThere(file)) continue;
      if (this.#options.isObject(file)) this.#options.removeObject(file);
      else if (!new Floors(this.#index).isGone(file)) continue;
      for (const { value } of this.#index.scan(fileKey(table.name, file), filePrefix)) {
        const { before } = decodeNameEntry(value);
        if (before !== 0n) candidates.push(before);
      }
      yield* this.#forgetFile(file);
    }
  }

  /** As far as the index has read, it stands somewhere in the live tree. */
  #isThere(file: FileId): boolean {
    const places = new Map<string, number>();
    for (const { key, value } of this.#index.scan(fileKey(table.place, file), filePrefix)) places.set(key.toString('latin1', filePrefix + txidBytes), value[0]!);
    return [...places.values()].some(isThereAfter);
  }

  #isShown(file: FileId): boolean {
    for (const { key, value } of this.#index.scan(fileKey(table.place, file), filePrefix)) {
      const { txid, parent, name, bits } = decodePlaceEntry(key, value);
      const shown = (bits & (placed.before | placed.seen)) === 0 ? undefined : this.#kept.before(txid);
      if (shown === undefined) continue;
      const undo = this.#index.atOrAfter(namedKey(table.name, parent, name, shown + 1), namedPrefix(name));
      if (undo !== undefined && txidAtEnd(undo.key) <= txid && decodeNameEntry(undo.value).before === file) return true;
    }
    return false;
  }

  * #forgetFile(file: FileId): Generator<void> {
    for (const tag of [table.attributes, table.xattr, table.data, table.dataLast, table.name, table.known, table.directory, table.place, table.fileFloor]) {
      let count = 0;
      for (const entry of this.#index.scan(fileKey(tag, file), filePrefix)) {
        const { key } = entry;
        if (tag === table.data) this.#dataGone(entry);
        if (tag === table.attributes || tag === table.data) this.#index.remove(Buffer.concat([fileTxidPrefix(txidAtEnd(key)), packFile(file)]));
        this.#index.remove(key);
        if (++count % entriesInStep === 0) yield;
      }
    }
  }

  /** The moments themselves. */
  * #forgetTransactions(): Generator<void> {
    let count = 0;
    for (const { key, value } of this.#index.scan(numberKey(table.transaction, 0), 1)) {
      const txid = readNumberBE(key, 1);
      if (txid > this.#options.horizon) break;
      if (this.#kept.has(txid)) continue;
      this.#index.remove(timeKey(value.readBigInt64LE(0)));
      this.#index.remove(key);
      if (++count % entriesInStep === 0) yield;
    }
    keepJudged(this.#index, { oldest: this.#kept.oldest, horizon: this.#options.horizon });
  }
}
