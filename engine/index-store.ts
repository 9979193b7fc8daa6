/**
 * The index on disk: an LMDB environment with one ordered table (index-keys.ts says what is in it). The indexer's
 * thread writes, every thread reads.
 *
 * Invariants:
 * 1. Keys and values handed out are copies; no read transaction outlives a call.
 * 2. Commits are not synced: the log is the truth. index-health.ts notices when that matters.
 * 3. A reader sees what was committed before its last `refresh`.
 */
import { join } from 'node:path';
import { open } from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { decodeProgress, emptyProgress, progressKey } from './index-keys.js';
import type { Progress } from './index-keys.js';
import { makeDirectory } from './store-files.js';

export interface IndexEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** What one needs to read the table and to change it. */
export type IndexTable = Pick<IndexStore, 'get' | 'atOrAfter' | 'atOrBefore' | 'scan' | 'scanBack' | 'put' | 'remove'>;

/** Entries read in one go by `scan`: few at first, since many callers stop early. */
const scanFirstEntries = 8;
const scanChunkEntries = 512;

export class IndexStore {
  readonly #directory: string;
  #db: RootDatabase<Buffer, Buffer>;
  #generation = 0;

  /** Opens or makes the index in a directory. Throws what LMDB throws when the files are no good. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#db = openDatabase(directory);
  }

  /** Closes, lets `prepare` do what it must to the files, and opens again: whoever holds this store goes on with the new one. */
  async replace(prepare: () => void): Promise<void> {
    await this.#db.close();
    prepare();
    this.#db = openDatabase(this.#directory);
    this.#generation++;
  }

  /** Counts how often the files were replaced: what was derived from older ones may not hold any more. */
  get generation(): number {
    return this.#generation;
  }

  /** The file that LMDB maps. */
  get dataFile(): string {
    return join(this.#directory, 'data.mdb');
  }

  get(key: Buffer): Buffer | undefined {
    return this.#db.getBinary(key);
  }

  /** The first entry at or after `start` that shares its first `prefixLength` bytes. */
  atOrAfter(start: Buffer, prefixLength: number): IndexEntry | undefined {
    for (const entry of this.#db.getRange({ start, limit: 1 })) return samePrefix(entry.key, start, prefixLength) ? entry : undefined;
    return undefined;
  }

  /** The last entry at or before `start` that shares its first `prefixLength` bytes. */
  atOrBefore(start: Buffer, prefixLength: number): IndexEntry | undefined {
    for (const entry of this.#db.getRange({ start, limit: 1, reverse: true })) {
      return samePrefix(entry.key, start, prefixLength) ? entry : undefined;
    }
    return undefined;
  }

  /**
   * All entries from `start` on that share its first `prefixLength` bytes; safe to stop, to wait between two of them, and to remove what was walked over. `firstEntries`: so many are read at
   * once to begin with.
   */
  scan(start: Buffer, prefixLength: number, firstEntries = scanFirstEntries): Generator<IndexEntry> {
    return this.#walk(start, prefixLength, false, firstEntries);
  }

  /** As `scan`, from `start` backwards. */
  scanBack(start: Buffer, prefixLength: number): Generator<IndexEntry> {
    return this.#walk(start, prefixLength, true, scanFirstEntries);
  }

  progress(): Progress {
    const value = this.get(progressKey);
    return value === undefined ? emptyProgress : decodeProgress(value);
  }

  /** Makes later reads see what other threads have committed. */
  refresh(): void {
    this.#db.resetReadTxn();
  }

  /** Runs `action` in one write transaction: all of it is committed, or nothing; what is read next knows it. Only the indexer's thread writes. */
  transact(action: () => void): void {
    // A block body: lmdb would wait for a promise that the action returned.
    this.#db.transactionSync(() => { action(); });
    this.refresh();
  }

  put(key: Buffer, value: Buffer): void {
    this.#db.putSync(key, value);
  }

  /** Leaves an entry that exists as it is: the first undo record of a thing in a transaction counts. */
  putNew(key: Buffer, value: Buffer): void {
    this.#db.putSync(key, value, { noOverwrite: true });
  }

  remove(key: Buffer): void {
    this.#db.removeSync(key);
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  /** Reads chunk by chunk, so that no cursor stays open while the caller does something else. */
  * #walk(start: Buffer, prefixLength: number, reverse: boolean, firstEntries: number): Generator<IndexEntry> {
    let from = start;
    for (let size = firstEntries; ; size = Math.min(size * 4, scanChunkEntries)) {
      const chunk: IndexEntry[] = [];
      for (const entry of this.#db.getRange({ start: from, limit: size, reverse, exclusiveStart: from !== start })) {
        if (!samePrefix(entry.key, start, prefixLength)) break;
        chunk.push(entry);
      }
      yield* chunk;
      if (chunk.length < size) return;
      from = chunk.at(-1)!.key;
    }
  }
}

function openDatabase(directory: string): RootDatabase<Buffer, Buffer> {
  makeDirectory(directory);
  return open<Buffer, Buffer>({
    path: directory, noSubdir: false, keyEncoding: 'binary', encoding: 'binary', cache: false,
    noSync: true, overlappingSync: false, noMemInit: true,
  });
}

function samePrefix(key: Buffer, start: Buffer, length: number): boolean {
  return key.length >= length && key.compare(start, 0, length, 0, length) === 0;
}
