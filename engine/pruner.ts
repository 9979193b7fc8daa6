/**
 * Prunes the index when the log has told what is kept, of all or of some files, a step at a time. In: the index with the place of a KEPT record and floors that are
 * not in force, the log, objects/. Out: an index as index-pruning.ts and floor-pruning.ts say. Runs on the indexer's thread, between batches.
 *
 * Invariants:
 * 1. That a pruning is not finished stands in the index: after a crash it is begun again.
 * 2. An object is removed after the index has been told that it goes (a mark), not before.
 */
import { lstatSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from './crc32c.js';
import { codeOf } from './errors.js';
import { pruneToFloors } from './floor-pruning.js';
import type { FloorPruningOptions } from './floor-pruning.js';
import { isPruningPending } from './floors.js';
import { pruneIndex } from './index-pruning.js';
import { fileKey, pruningKey, table } from './index-keys.js';
import { bodyOf } from './index-packing.js';
import { IndexDraft } from './index-draft.js';
import type { IndexStore } from './index-store.js';
import { generationOf, inodeOf, readFileId, readNumberBE } from './ids.js';
import { Kept } from './kept.js';
import { decodeKept, keptGoesOn } from './log-bodies.js';
import { recordType } from './log-format.js';
import { LogReader } from './log-reader.js';
import type { FileId } from './types.js';

/** TIDEMARK_PRUNE_WINDOW makes it smaller, for tests. */
const windowThings = 50_000;
export const deadStretchBytes = 16 << 20;
/** How long steps go on before their changes are written: commits cost, too, and who comes while one is made waits for the whole of it (it takes half as long). */
const stepsMs = 3;

export interface PrunerOptions {
  readonly index: IndexStore;
  readonly logDirectory: string;
  readonly objectsDirectory: string;
}

export class Pruner {
  readonly #options: PrunerOptions;
  readonly #draft: IndexDraft;
  #steps: Generator<void> | undefined;
  /** The disk was full when a transaction was to be committed: until the pruning has come to its end they are as small as can be. */
  #isTight = false;
  /** Objects that go as soon as the index has been told (its marks), and those that have gone, whose marks are still there. */
  #leaving: FileId[] = [];
  #gone: FileId[] = [];
  /** Of the KEPT record that the steps are for. */
  #position = -1;
  readonly #dead = new Set<number>();

  constructor(options: PrunerOptions) {
    this.#options = options;
    this.#draft = new IndexDraft(options.index);
  }

  /**
   * Does the next steps; false when there is nothing to do. `readUpTo`: how far the log may be read. `isWanted`: whether somebody waits for the index; then it comes back after one step, and what
   * it changed is written later, where that can wait.
   */
  step(readUpTo: number, isWanted: () => boolean): boolean {
    const { index } = this.#options;
    if (!isPruningPending(index)) return false;
    const pending = index.get(pruningKey);
    const position = pending === undefined ? -1 : readNumberBE(pending, 0);
    if (this.#steps === undefined || position !== this.#position) {
      this.#commit();
      this.#position = position;
      this.#finishRemovals();
      this.#steps = pending === undefined ? pruneToFloors(this.#parts()) : this.#begin(position, readUpTo);
    }
    const end = performance.now() + stepsMs;
    for (;;) {
      if (this.#steps.next().done === true) {
        this.#draft.remove(pruningKey);
        this.#commit();
        this.#steps = undefined;
        this.#isTight = false;
        return true;
      }
      if (isWanted()) break;
      if (performance.now() < end && !this.#isTight) continue;
      this.#commit();
      return true;
    }
    if (!this.#draft.canWait) this.#commit();
    return true;
  }

  /** Objects go after that, and their marks with the next transaction. */
  #commit(): void {
    const unmarked = this.#gone.length;
    for (const file of this.#gone) this.#draft.remove(removalKey(file));
    this.#draft.commit();
    this.#gone = this.#gone.slice(unmarked);
    this.#removeLeaving();
  }

  /** Only what the index no longer knows may leave: a transaction that is not committed must find it there again. */
  #removeLeaving(): void {
    for (const file of this.#leaving.splice(0)) {
      removeObject(this.#objectPath(file));
      this.#gone.push(file);
    }
  }

  /** Those that a crash has left. */
  #finishRemovals(): void {
    for (const { key } of [...this.#options.index.scan(Buffer.of(table.removal), 1)]) this.#leaving.push(readFileId(key, 1));
    this.#removeLeaving();
  }

  /** The last step was not committed, for there was no room: it is all begun again, which is harmless, in smaller steps. */
  beginAgain(): void {
    this.#steps = undefined;
    this.#isTight = true;
    this.#draft.drop();
    this.#leaving = [];
  }

  /** Where in the log bytes have lost their need since this was last asked: starts of stretches of `deadStretchBytes`. */
  takeDead(): number[] {
    const starts = [...this.#dead];
    this.#dead.clear();
    return starts;
  }

  #begin(position: number, readUpTo: number): Generator<void> {
    const { txids, horizon } = readKept(this.#options.logDirectory, position, readUpTo);
    if (txids.length === 0) return (function* nothing() {})();
    return pruneIndex({
      ...this.#parts(), kept: new Kept(txids), horizon, windowThings: Number(process.env['TIDEMARK_PRUNE_WINDOW'] ?? windowThings),
    });
  }

  #parts(): FloorPruningOptions {
    return {
      index: this.#draft,
      isObject: (file) => lstatSync(this.#objectPath(file), { throwIfNoEntry: false }) !== undefined,
      removeObject: (file) => {
        this.#draft.put(removalKey(file), Buffer.alloc(0));
        this.#leaving.push(file);
      },
      onDead: (lsn) => { this.#dead.add(lsn - lsn % deadStretchBytes); },
    };
  }

  #objectPath(file: FileId): string {
    const inode = inodeOf(file);
    const directory = Number(inode & 0xffn).toString(16).padStart(2, '0');
    return join(this.#options.objectsDirectory, directory, `${inode.toString(16)}.${generationOf(file).toString(16)}`);
  }
}

function removalKey(file: FileId): Buffer {
  return fileKey(table.removal, file);
}

/** The kept transactions that KEPT records from a position on tell; none when they cannot be read whole. */
function readKept(logDirectory: string, position: number, readUpTo: number): { txids: Float64Array; horizon: number } {
  let isSound = true;
  const reader = new LogReader({ directory: logDirectory, position, crc: crc32c, bodies: 'headers', onDamage: () => { isSound = false; } });
  const txids: number[] = [];
  let part = 0;
  try {
    for (let record = reader.next(readUpTo); record !== undefined && isSound; record = reader.next(readUpTo)) {
      if (record.type !== recordType.kept) continue;
      if (record.aux !== part++) break;
      for (const txid of decodeKept(bodyOf(record))) txids.push(txid);
      if (!(record.flags & keptGoesOn)) return { txids: Float64Array.from(txids), horizon: record.txid };
    }
  } finally {
    reader.close();
  }
  return { txids: new Float64Array(0), horizon: 0 };
}

function removeObject(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    if (codeOf(error) !== 'ERR_FS_EISDIR') throw error;
    rmdirSync(path);
  }
}
