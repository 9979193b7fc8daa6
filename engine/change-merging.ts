/**
 * What a transaction that goes did to a file or a name, told by the next one that stays. In: a `C` row of the index. Out: it, or what was there joined with it, under another number;
 * with its marks (`L`, `l`) when it destroyed something.
 */
import { decodePlaceEntry, filePrefix, fileTxidKey, isThereAfter, table } from './index-keys.js';
import type { IndexEntry, IndexTable } from './index-store.js';
import { fileIdBytes, readNumberBE, txidBytes, writeNumberBE } from './ids.js';
import { markLosses } from './loss-marks.js';
import type { FileId } from './types.js';

const rowsMost = 10_000;

/** Joins `C` rows of transactions that go, oldest first, with those of the ones that show them. It remembers some rows of one such transaction. */
export class ChangeMerging {
  readonly #index: IndexTable;
  #shownBy = -1;
  /** Values of `C` rows of that transaction, by the rest of their keys. */
  #rows = new Map<string, Buffer>();
  /** Of its marks these are there. */
  #marked = 0;

  constructor(index: IndexTable) {
    this.#index = index;
  }

  /** A row becomes one of a later transaction. `isName`: it is one of a name. Returns whether that had none. */
  merge({ key, value }: IndexEntry, shownBy: number, isName: boolean): boolean {
    if (shownBy !== this.#shownBy) [this.#shownBy, this.#rows, this.#marked] = [shownBy, new Map(), 0];
    const bits = isName ? 0 : value[0]!;
    if ((bits & ~this.#marked) !== 0) markLosses(this.#index, shownBy, bits);
    this.#marked |= bits;
    const moved = Buffer.from(key);
    writeNumberBE(moved, 1, shownBy);
    const rest = key.toString('latin1', 1 + txidBytes);
    const known = this.#rows.get(rest) ?? this.#index.get(moved);
    const merged = known === undefined ? value : join(known, value, isName);
    if (this.#rows.size === rowsMost) this.#rows.clear();
    this.#rows.set(rest, merged);
    if (merged !== known) this.#index.put(moved, merged);
    return known === undefined;
  }
}

/** `known` itself when the other one adds nothing. */
function join(known: Buffer, added: Buffer, isName: boolean): Buffer {
  const at = isName ? 0 : 1;
  const bits = isName ? 0 : known[0]! | added[0]!;
  const lsn = Math.min(readNumberBE(known, at), readNumberBE(added, at));
  if (lsn === readNumberBE(known, at) && (isName || bits === known[0])) return known;
  const joined = Buffer.from(known);
  if (!isName) joined[0] = bits;
  writeNumberBE(joined, at, lsn);
  return joined;
}

/** The directory in which a file last came to stand, up to a transaction. */
export function parentAt(index: IndexTable, file: FileId, txid: number): FileId | undefined {
  for (const { key, value } of index.scanBack(Buffer.concat([fileTxidKey(table.place, file, txid), Buffer.alloc(fileIdBytes + 256, 0xff)]), filePrefix)) {
    const place = decodePlaceEntry(key, value);
    if (isThereAfter(place.bits)) return place.parent;
  }
  return undefined;
}
