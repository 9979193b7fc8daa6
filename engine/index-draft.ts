/**
 * Changes of the index that are collected before they are written, all in one transaction. In: reads and changes, as an IndexStore takes them. Out: the same answers as if every change had been
 * written at once.
 *
 * LMDB makes a cursor for each look at a range while a transaction writes; otherwise it keeps one. So who looks far more often than it writes reads what is committed, and writes now and then.
 *
 * Invariants:
 * 1. Before a range is read that has changes in it they are written: the answers know them. (Of what is put ahead of a walk that is under way, the walk need not know.)
 * 2. Only `history` entries wait while others write the index: nobody else changes those of transactions that are pruned.
 * 3. Changes that were not written are gone after `drop`, as if they had never been made.
 */
import { filePrefix, table } from './index-keys.js';
import type { IndexEntry, IndexStore, IndexTable } from './index-store.js';

/** Entries of single transactions. */
const history: ReadonlySet<number> = new Set([table.transaction, table.time, table.name, table.attributes, table.xattr, table.data, table.change, table.directory, table.place, table.gone, table.overwritten]);
/** So many changes are written whoever waits. */
const mostChanges = 1_000;

interface Changed {
  readonly key: Buffer;
  /** null: removed. */
  readonly value: Buffer | null;
}

export class IndexDraft implements IndexTable {
  readonly #store: IndexStore;
  readonly #changes = new Map<string, Changed>();
  /** Of the changed keys: hashes of their first byte, and of all as far as a file, where one follows. */
  readonly #prefixes = new Set<number>();
  #canWait = true;

  constructor(store: IndexStore) {
    this.#store = store;
  }

  /** false: they have to be written before anybody else writes. */
  get canWait(): boolean {
    return this.#canWait && this.#changes.size < mostChanges;
  }

  get isEmpty(): boolean {
    return this.#changes.size === 0;
  }

  get(key: Buffer): Buffer | undefined {
    const changed = this.#changes.get(text(key));
    return changed === undefined ? this.#store.get(key) : changed.value ?? undefined;
  }

  put(key: Buffer, value: Buffer): void {
    this.#change(key, value);
  }

  remove(key: Buffer): void {
    this.#change(key, null);
  }

  atOrAfter(start: Buffer, prefixLength: number): IndexEntry | undefined {
    this.#writeWithin(start, prefixLength, 1);
    return this.#store.atOrAfter(start, prefixLength);
  }

  atOrBefore(start: Buffer, prefixLength: number): IndexEntry | undefined {
    this.#writeWithin(start, prefixLength, -1);
    return this.#store.atOrBefore(start, prefixLength);
  }

  scan(start: Buffer, prefixLength: number, firstEntries?: number): Generator<IndexEntry> {
    this.#writeWithin(start, prefixLength, 1);
    return this.#store.scan(start, prefixLength, firstEntries);
  }

  scanBack(start: Buffer, prefixLength: number): Generator<IndexEntry> {
    this.#writeWithin(start, prefixLength, -1);
    return this.#store.scanBack(start, prefixLength);
  }

  /** Throws what LMDB throws; nothing is written then, and the changes are still there. */
  commit(): void {
    if (this.isEmpty) return;
    this.#store.transact(() => {
      for (const { key, value } of this.#changes.values()) {
        if (value === null) this.#store.remove(key);
        else this.#store.put(key, value);
      }
    });
    this.drop();
  }

  drop(): void {
    this.#changes.clear();
    this.#prefixes.clear();
    this.#canWait = true;
  }

  #change(key: Buffer, value: Buffer | null): void {
    this.#changes.set(text(key), { key, value });
    this.#prefixes.add(hash(key, 1)).add(hash(key, filePrefix));
    if (!history.has(key[0]!)) this.#canWait = false;
  }

  /** `direction`: 1 for keys from `start` on, -1 for those up to it. */
  #writeWithin(start: Buffer, prefixLength: number, direction: 1 | -1): void {
    if (!this.#prefixes.has(hash(start, prefixLength < filePrefix ? 1 : filePrefix))) return;
    for (const { key } of this.#changes.values()) {
      if (key.length < prefixLength || key.compare(start, 0, prefixLength, 0, prefixLength) !== 0 || key.compare(start) * direction < 0) continue;
      this.commit();
      return;
    }
  }
}

function text(key: Buffer): string {
  return key.toString('latin1');
}

/** FNV-1a of the first bytes, or of fewer where there are no more. Equal ones are looked at closely. */
function hash(key: Buffer, length: number): number {
  let value = 0x811c9dc5;
  for (let index = Math.min(length, key.length) - 1; index >= 0; index--) value = Math.imul(value ^ key[index]!, 0x01000193);
  return value;
}
