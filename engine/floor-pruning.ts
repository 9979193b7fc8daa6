/**
 * Brings the index to the floors of files that the log has told (FLOOR records). In: the index with its floors and marks of those that are not in force yet. Out: an
 * index without what only snapshots below them showed.
 *
 * For one file this is what index-pruning.ts does for all: between the moments that show it entries merge, and below the first one they go.
 *
 * Invariants:
 * 1. What a snapshot shows of a file that it still shows does not change, at no step on the way.
 * 2. The result depends on the records of the log alone; doing it again, or after a crash in the middle, gives the same.
 * 3. An object goes only when no snapshot shows it under any name. Its names stay until the moments go that knew them, and so does its floor, which hides it there.
 */
import { decodeAttributes } from './attributes.js';
import { encodeFloor, Floors, keptOf } from './floors.js';
import type { KnownFloor } from './floors.js';
import { decodePlaceEntry, fileFloorKey, fileKey, filePrefix, fileTxidKey, pendingFloorKey, pendingFloorPrefix, placed, table, txidAtEnd, txidMax } from './index-keys.js';
import { fileTxidPrefix, packFile } from './index-packing.js';
import type { IndexEntry, IndexTable } from './index-store.js';
import { readFileId, readNumberBE } from './ids.js';
import { ChangeMerging } from './change-merging.js';
import type { PruningOptions } from './index-pruning.js';
import type { Kept } from './kept.js';
import { livePlaces } from './paths.js';
import type { FileId } from './types.js';
import { firstValue, mergeUndos } from './undo-merging.js';

export type FloorPruningOptions = Pick<PruningOptions, 'index' | 'isObject' | 'removeObject' | 'onDead'>;

const rowsInStep = 1000;
/** Most files have few entries: a transaction of the index for each would take longer than the work. */
const filesInStep = 20;

/** Runs through all floors that are not in force yet, step by step. */
export function* pruneToFloors(options: FloorPruningOptions): Generator<void> {
  const { index } = options;
  let from = pendingFloorPrefix;
  for (let count = 1; ; count++) {
    const next = index.atOrAfter(from, pendingFloorPrefix.length);
    if (next === undefined) return;
    // Of what has just been written nothing has to be read: a floor that was set again meanwhile is found the next time.
    from = Buffer.concat([next.key, Buffer.of(0)]);
    const file = readFileId(next.key, pendingFloorPrefix.length);
    const floor = new Floors(index).get(file);
    if (floor !== undefined) yield* pruneFile(options, file, floor);
    index.remove(pendingFloorKey(file));
    if (count % filesInStep === 0) yield;
  }
}

function* pruneFile(options: FloorPruningOptions, file: FileId, floor: KnownFloor): Generator<void> {
  const { index, onDead } = options;
  const kept = keptOf(floor);
  const onGone = ({ value }: IndexEntry): void => { onDead(readNumberBE(value, 0)); };
  const txids: number[] = [];
  for (const { key } of index.scan(fileKey(table.attributes, file), filePrefix)) {
    const txid = txidAtEnd(key);
    if (txid > floor.txid) break;
    txids.push(txid);
  }
  const isGone = !isInTree(index, file, floor.txid) && !isShown(index, file, kept);
  for (const tag of [table.attributes, table.xattr, table.data]) {
    const isOneThing = tag === table.attributes;
    const part = { entries: index.scan(fileKey(tag, file), filePrefix), upTo: isOneThing ? floor.txid : Infinity, merge: firstValue };
    yield* mergeUndos(index, kept, { ...part, onGone: tag === table.data ? onGone : undefined });
  }
  if (isGone) {
    if (options.isObject(file)) options.removeObject(file);
    index.remove(fileKey(table.dataLast, file));
    index.put(fileFloorKey(file), encodeFloor({ ...floor, isGone }));
  }
  yield* moveChanges(index, file, txids, kept);
}

/** What the file's transactions did becomes what the next one did that shows it. */
function* moveChanges(index: IndexTable, file: FileId, txids: readonly number[], kept: Kept): Generator<void> {
  const packed = packFile(file);
  const merging = new ChangeMerging(index);
  for (const [count, txid] of txids.entries()) {
    const isShown = kept.before(txid) !== undefined;
    const shownBy = kept.atOrAfter(txid);
    if ((count + 1) % rowsInStep === 0) yield;
    if (isShown && shownBy === txid) continue;
    const key = Buffer.concat([fileTxidPrefix(txid), packed]);
    const value = index.get(key);
    if (value === undefined) continue;
    index.remove(key);
    if (isShown) merging.merge({ key, value }, shownBy, false);
  }
}

/** By what is known of it: some name still leads to it, one that was never told of perhaps. */
function isInTree(index: IndexTable, file: FileId, floor: number): boolean {
  const last = index.atOrBefore(fileTxidKey(table.attributes, file, txidMax), filePrefix);
  if (last !== undefined && (txidAtEnd(last.key) > floor || decodeAttributes(last.value).nlink > 1)) return true;
  return livePlaces(index, file).length > 0 || index.atOrAfter(fileKey(table.place, file), filePrefix) === undefined;
}

function isShown(index: IndexTable, file: FileId, kept: Kept): boolean {
  for (const { key, value } of index.scan(fileKey(table.place, file), filePrefix)) {
    const { txid, bits } = decodePlaceEntry(key, value);
    if ((bits & (placed.before | placed.seen)) !== 0 && kept.before(txid) !== undefined) return true;
  }
  return false;
}
