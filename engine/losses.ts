/**
 * What a transaction took away: names that lost their file, and bytes that were overwritten or cut off. In: the index. Out: losses, which the recovery
 * bin (bin.ts) lists and `.snapshots/@deleted` (deleted-tree.ts) shows.
 *
 * Invariants:
 * 1. A file that has only another name since (rename) is no loss; a name that was removed is one, though another hard link may remain.
 * 2. Transactions are found by their marks (loss-marks.ts): what destroyed nothing is not looked at.
 */
import { decodeNameEntry, namedKey, numberKey, table, touched } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import { nameOperation } from './log-bodies.js';
import type { ChangeRows } from './name-history.js';
import type { Paths } from './paths.js';
import type { FileId } from './types.js';

/** A name that lost its file. */
export interface LostName {
  readonly kind: 'deleted' | 'replaced';
  readonly directory: FileId;
  readonly name: Buffer;
  readonly file: FileId;
  /** mode & S_IFMT */
  readonly type: number;
}

/** In the order of directories and names. `rows`: of the transaction. */
export function* lostNames(index: IndexStore, paths: Paths, rows: ChangeRows, txid: number): Generator<LostName> {
  for (const { directory, name } of rows.names) {
    const value = index.get(namedKey(table.name, directory, name, txid));
    if (value === undefined) continue;
    const { before, after, typeBefore, operation } = decodeNameEntry(value);
    if (before === 0n || before === after) continue;
    const wasRemoved = operation === nameOperation.unlink || operation === nameOperation.rmdir;
    if (!wasRemoved && paths.placeAt(txid, before) !== undefined) continue;
    yield { kind: after === 0n ? 'deleted' : 'replaced', directory, name: Buffer.from(name), file: before, type: typeBefore };
  }
}

/** Files whose bytes the transaction overwrote or cut off. */
export function* overwrittenFiles(rows: ChangeRows): Generator<FileId> {
  for (const [file, { bits }] of rows.files) {
    if (bits & touched.data) yield file;
  }
}

/** The last transaction before another one that is still kept as a moment; 0 is the moment before all. Undefined when none is. */
export function keptBefore(index: IndexStore, txid: number, oldest: number): number | undefined {
  const entry = index.atOrBefore(numberKey(table.transaction, txid - 1), 1);
  if (entry !== undefined) return readNumberBE(entry.key, 1);
  return oldest === 0 ? 0 : undefined;
}
