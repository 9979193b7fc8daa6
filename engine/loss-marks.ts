/**
 * Marks of the transactions that destroyed something: names that lost their file, bytes that were overwritten or cut off. What was lost is found by them without a look at
 * all that happened, and what was deleted without a look at what was overwritten, of which a database makes thousands a minute. In: the bits of `C` rows. Out: `L` and `l` entries.
 */
import { numberKey, table, touched } from './index-keys.js';
import type { IndexTable } from './index-store.js';
import { readNumberBE } from './ids.js';

const marks = [{ bit: touched.gone, tag: table.gone }, { bit: touched.data, tag: table.overwritten }] as const;
const nothing = Buffer.alloc(0);

/** `bits`: of a file (index-keys.ts, touched). */
export function markLosses(index: IndexTable, txid: number, bits: number): void {
  for (const { bit, tag } of marks) if (bits & bit) index.put(numberKey(tag, txid), nothing);
}

export function removeLossMarks(index: IndexTable, txid: number, bits: number): void {
  for (const { bit, tag } of marks) if (bits & bit) index.remove(numberKey(tag, txid));
}

/** Transactions of (after, last] in which names lost their files, newest first. */
export function deletingBack(index: IndexTable, after: number, last: number): Generator<number> {
  return markedBack(index, table.gone, after, last);
}

/** Transactions of (after, last] that destroyed something, newest first. */
export function* losingBack(index: IndexTable, after: number, last: number): Generator<number> {
  const walks = marks.map(({ tag }) => markedBack(index, tag, after, last));
  const heads = walks.map((walk) => walk.next());
  for (;;) {
    const newest = Math.max(...heads.map((head) => (head.done ? 0 : head.value)));
    if (newest === 0) return;
    yield newest;
    for (const [at, walk] of walks.entries()) if (heads[at]?.value === newest) heads[at] = walk.next();
  }
}

function* markedBack(index: IndexTable, tag: number, after: number, last: number): Generator<number, undefined> {
  for (const { key } of index.scanBack(numberKey(tag, last), 1)) {
    const txid = readNumberBE(key, 1);
    if (txid <= after) return;
    yield txid;
  }
}
