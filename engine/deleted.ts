/**
 * Names that a directory once had and does not have at a snapshot. In: the index. Out: entries with the transaction that took
 * them away.
 *
 * Invariants:
 * 1. A name that is there at the snapshot, though with another file behind it, is not deleted.
 */
import { Floors } from './floors.js';
import type { IndexStore } from './index-store.js';
import { txid as toTxid } from './ids.js';
import { allNameChanges } from './name-history.js';
import type { NamedEntry } from './name-history.js';
import type { FileId, ResolvedEntry, Txid } from './types.js';

export type DeletedEntry = ResolvedEntry & { readonly deletedAt: Txid };

/** In the order of names. The index must have read as far as the snapshot. */
export function deletedEntries(index: IndexStore, directory: FileId, snapshot: number): DeletedEntry[] {
  const deleted: DeletedEntry[] = [];
  const floors = new Floors(index);
  let last: NamedEntry | undefined;
  const take = (): void => {
    if (last !== undefined && !floors.hides(last.before, last.txid - 1)) deleted.push({ name: last.name, file: last.before, type: last.typeBefore, deletedAt: toTxid(last.txid) });
  };
  let name: Buffer | undefined;
  for (const change of allNameChanges(index, directory)) {
    if (name?.equals(change.name) !== true) {
      take();
      name = change.name;
      last = undefined;
    }
    if (change.txid > snapshot) continue;
    // A name that came and went within a transaction was in no snapshot: it changes nothing.
    if (change.after !== 0n) last = undefined;
    else if (change.before !== 0n) last = change;
  }
  take();
  return deleted;
}
