/**
 * What has changed since a snapshot, held in memory: whoever lists a whole tree of then would else ask the index about each of its files, most of which
 * are as they were. In: the `C` entries of the index (index-keys.ts). Out: for a file or directory, the transactions to look into.
 *
 * Invariants:
 * 1. What is told up to a log position misses nothing that the index holds of the log below it; it may already hold more.
 * 2. Entries of a transaction that has no END yet may still be added anywhere among those that are there: reading on begins behind the last
 *    transaction that has one. (ENDs come in the order of transactions, behind everything that belongs to them.) Noting an entry twice changes nothing.
 * 3. One call reads no more entries than it was asked to: it is continued by the next call, and its caller asks the index meanwhile.
 * 4. Memory is bounded: `mostEntries` for each of `mostSnapshots` snapshots. With more changes than that, the index is asked.
 */
import { numberKey, table, touched, txidMax } from './index-keys.js';
import type { IndexEntry, IndexStore } from './index-store.js';
import { fileIdBytes, readFileId, readNumberBE } from './ids.js';
import type { FileId } from './types.js';

const mostEntries = 20_000;
const mostSnapshots = 4;
/** Entries read for each file that a listing has: about as dear as one question to the index. */
const entriesPerFile = 8;

const fileStart = 1 + 8;
const nameStart = fileStart + fileIdBytes;

/** The changes since one snapshot. */
export class ChangedSince {
  readonly #index: IndexStore;
  /** Of the index's files, as they are replaced when the index is made again. */
  readonly generation: number;
  /** By file: the first transaction that has its attributes. */
  readonly #attributes = new Map<FileId, number>();
  readonly #data = new Set<FileId>();
  /** By directory and name (latin1): the first transaction that changed it. */
  readonly #names = new Map<FileId, Map<string, number>>();
  #entryCount = 0;
  /** All before it has been read, and is complete. */
  #position: Buffer;
  #readUpTo = -1;

  constructor(index: IndexStore, snapshot: number) {
    this.#index = index;
    this.generation = index.generation;
    this.#position = numberKey(table.change, snapshot + 1);
  }

  /** The first transaction after the snapshot before which the file's attributes were saved. */
  attributesTxid(file: FileId): number | undefined {
    return this.#attributes.get(file);
  }

  /** true when a pre-image of the file's bytes was stored after the snapshot. */
  isDataChanged(file: FileId): boolean {
    return this.#data.has(file);
  }

  /** The names (latin1) of a directory that have changed, each with the first transaction that changed it. */
  names(directory: FileId): Iterable<readonly [string, number]> {
    return this.#names.get(directory) ?? [];
  }

  /** Reads on to a log position that the index has reached, but no more than so many entries; true when it got there. */
  readTo(readUpTo: number, limit: number): boolean {
    if (this.#entryCount > mostEntries) return false;
    if (this.#readUpTo >= readUpTo) return true;
    // An index that is just being made again has to get there first: what is noted now is believed for long.
    if (this.#index.progress().readUpTo < readUpTo) return false;
    const last = this.#index.atOrBefore(numberKey(table.transaction, txidMax), 1);
    const ended = last === undefined ? 0 : readNumberBE(last.key, 1);
    let count = 0;
    for (const entry of this.#index.scan(this.#position, 1)) {
      if (count++ === limit) return false;
      const txid = readNumberBE(entry.key, 1);
      this.#note(entry, txid);
      if (txid <= ended) this.#position = entry.key;
      if (this.#entryCount > mostEntries) return this.#giveUp();
    }
    this.#readUpTo = readUpTo;
    return true;
  }

  #giveUp(): false {
    this.#attributes.clear();
    this.#data.clear();
    this.#names.clear();
    return false;
  }

  #note({ key, value }: IndexEntry, txid: number): void {
    const file = readFileId(key, fileStart);
    if (key.length > nameStart) return this.#noteName(file, key.toString('latin1', nameStart), txid);
    const bits = value[0]!;
    if ((bits & touched.attributes) !== 0) this.#noteFirst(this.#attributes, file, txid);
    if ((bits & touched.data) !== 0) this.#data.add(file);
  }

  #noteName(directory: FileId, name: string, txid: number): void {
    let names = this.#names.get(directory);
    if (names === undefined) this.#names.set(directory, names = new Map());
    this.#noteFirst(names, name, txid);
  }

  /** An entry of an older transaction may come after one of a younger: both may be open. */
  #noteFirst<Key>(first: Map<Key, number>, key: Key, txid: number): void {
    const known = first.get(key);
    if (known === undefined) this.#entryCount++;
    if (known === undefined || txid < known) first.set(key, txid);
  }
}

/** The snapshots that were listed last, with what has changed since them. */
export class ChangesSince {
  readonly #index: IndexStore;
  /** By snapshot, the one asked for last at the end. */
  readonly #bySnapshot = new Map<number, ChangedSince>();

  constructor(index: IndexStore) {
    this.#index = index;
  }

  /** What has changed since a snapshot, up to a log position that the index has reached; undefined while (or if ever) it is cheaper to ask about `fileCount` files. */
  upTo(snapshot: number, readUpTo: number, fileCount: number): ChangedSince | undefined {
    let changed = this.#bySnapshot.get(snapshot);
    if (changed?.generation !== this.#index.generation) changed = new ChangedSince(this.#index, snapshot);
    this.#bySnapshot.delete(snapshot);
    this.#bySnapshot.set(snapshot, changed);
    for (const oldest of this.#bySnapshot.keys()) {
      if (this.#bySnapshot.size <= mostSnapshots) break;
      this.#bySnapshot.delete(oldest);
    }
    return changed.readTo(readUpTo, fileCount * entriesPerFile) ? changed : undefined;
  }
}
