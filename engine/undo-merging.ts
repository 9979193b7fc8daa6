/**
 * Merges the undo entries of one thing (the bytes of a block, a file's attributes, a name) over transactions that are no longer kept. In: the index, the
 * kept transactions. Out: the entries that kept transactions need, under the kept transaction that shows what they undo.
 *
 * Between two kept transactions only what stood at the older one counts, so the first entry stays and takes the number of the younger one. That is the
 * rule by which the index is written (index-writer.ts, invariant 1), for a transaction that is now longer.
 *
 * Invariants:
 * 1. All entries of a thing that merge do so in one write transaction of the index: no reader sees half of it.
 * 2. Merging again changes nothing.
 */
import { isThereAfter, placed, txidAtEnd, wasThereBefore } from './index-keys.js';
import { txidBytes, writeNumberBE } from './ids.js';
import type { IndexEntry, IndexTable } from './index-store.js';
import type { Kept } from './kept.js';

/** The value of what merges, from its first and its last entry. */
export type Merge = (first: Buffer, last: Buffer) => Buffer;

interface Group {
  readonly first: IndexEntry;
  readonly shownBy: number;
  last: IndexEntry;
}

/** Entries after which a walk over many things lets others have their turn. */
const stepEntries = 200;

export const firstValue: Merge = (first) => first;

/** What a name was before, by the first entry; what it is after, by the last. */
export const nameValue: Merge = (first, last) => {
  const value = Buffer.from(last);
  first.copy(value, 0, 0, 12);
  first.copy(value, 24, 24, 26);
  first.copy(value, 29, 29);
  return value;
};

/** Told of each entry that goes for good. */
export type OnGone = (entry: IndexEntry) => void;

export interface MergeOptions {
  /** In the order of their keys; may go while they are walked over. */
  readonly entries: Iterable<IndexEntry>;
  /** It ends behind this transaction. (Of several things, Infinity.) */
  readonly upTo: number;
  readonly merge: Merge;
  readonly onGone?: OnGone | undefined;
}

/** Each step of the walk fits into one transaction; things stay whole between two. */
export function* mergeUndos(index: IndexTable, kept: Kept, { entries, upTo, merge, onGone = () => {} }: MergeOptions): Generator<void> {
  let group: Group | undefined;
  let walked = 0;
  for (const entry of entries) {
    const txid = txidAtEnd(entry.key);
    if (txid > upTo) break;
    if (group !== undefined && belongs(group, entry)) {
      // Only the ends count, and there may be a million in between.
      if (group.last !== group.first) index.remove(group.last.key);
      onGone(entry);
      group.last = entry;
    } else {
      if (group !== undefined) settle(index, kept, group, merge, onGone);
      group = { first: entry, last: entry, shownBy: kept.atOrAfter(txid) };
    }
    if (++walked % stepEntries === 0) yield;
  }
  if (group !== undefined) settle(index, kept, group, merge, onGone);
}

function belongs(group: Group, { key }: IndexEntry): boolean {
  const thingBytes = key.length - txidBytes;
  return txidAtEnd(key) <= group.shownBy && group.first.key.length === key.length && key.compare(group.first.key, 0, thingBytes, 0, thingBytes) === 0;
}

function settle(index: IndexTable, kept: Kept, { first, last, shownBy }: Group, merge: Merge, onGone: OnGone): void {
  const txid = txidAtEnd(first.key);
  const isShown = kept.before(txid) !== undefined;
  if (isShown && first === last && txid === shownBy) return;
  index.remove(first.key);
  if (last !== first) index.remove(last.key);
  if (isShown) index.put(withTxid(first.key, shownBy), merge(first.value, last.value));
  else onGone(first);
}

/** The key with another transaction at its end. */
function withTxid(key: Buffer, txid: number): Buffer {
  const changed = Buffer.from(key);
  writeNumberBE(changed, key.length - txidBytes, txid);
  return changed;
}

/** Bits of two `P` entries of the same place, one after the other; 0: who came and went was there neither before nor after. */
export function mergePlaceBits(first: number, last: number): number {
  if (first === last && first === placed.seen) return placed.seen;
  return (wasThereBefore(first) ? placed.before : 0) | (isThereAfter(last) ? placed.after : 0);
}
