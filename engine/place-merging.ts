/**
 * Merges what is known of a file's places over transactions that are no longer kept. In: the index, the kept transactions, a file. Out: of each place one `P` entry for each kept transaction
 * that shows something of it.
 *
 * Invariants:
 * 1. At each step the entries say the same at every kept moment: the first of those that merge takes up what the others say before they go.
 * 2. Memory is bounded by the places between two kept transactions, not by how often the file went there and back.
 */
import { decodePlaceEntry, fileKey, filePrefix, table } from './index-keys.js';
import { placeKey, placeValue } from './index-packing.js';
import type { IndexTable } from './index-store.js';
import { txidBytes } from './ids.js';
import type { Kept } from './kept.js';
import type { FileId } from './types.js';
import { mergePlaceBits } from './undo-merging.js';

export interface PlaceMergeOptions {
  readonly file: FileId;
  /** Later entries stay as they are. */
  readonly upTo: number;
  /** Told of each directory that the file was in. */
  readonly onDirectory: (directory: FileId) => void;
}

/** The first entry of a place since the last kept transaction. */
interface First {
  readonly key: Buffer;
  readonly parent: FileId;
  readonly name: Buffer;
  bits: number;
  type: number;
}

const stepEntries = 200;

/** Each step fits into one transaction of the index. */
export function* mergePlaces(index: IndexTable, kept: Kept, { file, upTo, onDirectory }: PlaceMergeOptions): Generator<void> {
  const firsts = new Map<string, First>();
  let shownBy = -1;
  let walked = 0;
  for (const { key, value } of index.scan(fileKey(table.place, file), filePrefix)) {
    const { txid, parent, name, bits, type } = decodePlaceEntry(key, value);
    onDirectory(parent);
    if (txid > upTo) break;
    if (kept.atOrAfter(txid) !== shownBy) {
      settle(index, file, firsts, shownBy);
      shownBy = kept.atOrAfter(txid);
    }
    const place = key.toString('latin1', filePrefix + txidBytes);
    const first = firsts.get(place);
    if (first === undefined) firsts.set(place, { key, parent, name, bits, type });
    else {
      first.bits = mergePlaceBits(first.bits, bits);
      first.type = type;
      index.put(first.key, placeValue(first.bits, type));
      index.remove(key);
    }
    if (++walked % stepEntries === 0) yield;
  }
  settle(index, file, firsts, shownBy);
}

/** They take the number of the transaction that shows them. */
function settle(index: IndexTable, file: FileId, firsts: Map<string, First>, shownBy: number): void {
  for (const { key, parent, name, bits, type } of firsts.values()) {
    const to = placeKey(file, shownBy, parent, name);
    if (bits !== 0 && to.equals(key)) continue;
    index.remove(key);
    if (bits !== 0) index.put(to, placeValue(bits, type));
  }
  firsts.clear();
}
