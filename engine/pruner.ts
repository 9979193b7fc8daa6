/**
 * Prunes the index when the log has told what is kept, a step at a time. In: the index with the place of a KEPT record, the log, objects/. Out: an index
 * as index-pruning.ts says. Runs on the indexer's thread, between batches.
 *
 * Invariants:
 * 1. That a pruning is not finished stands in the index: after a crash it is begun again.
 */
import { lstatSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from './crc32c.js';
import { codeOf } from './errors.js';
import { pruneIndex } from './index-pruning.js';
import { pruningKey } from './index-keys.js';
import { bodyOf } from './index-packing.js';
import type { IndexStore } from './index-store.js';
import { generationOf, inodeOf, readNumberBE } from './ids.js';
import { Kept } from './kept.js';
import { decodeKept, keptGoesOn } from './log-bodies.js';
import { recordType } from './log-format.js';
import { LogReader } from './log-reader.js';
import type { FileId } from './types.js';

/** TIDEMARK_PRUNE_WINDOW makes it smaller, for tests. */
const windowThings = 4000;
export const deadStretchBytes = 16 << 20;

export interface PrunerOptions {
  readonly index: IndexStore;
  readonly logDirectory: string;
  readonly objectsDirectory: string;
}

export class Pruner {
  readonly #options: PrunerOptions;
  #steps: Generator<void> | undefined;
  /** Of the KEPT record that the steps are for. */
  #position = -1;
  readonly #dead = new Set<number>();

  constructor(options: PrunerOptions) {
    this.#options = options;
  }

  /** Does the next step, in a transaction of its own; false when there is nothing to do. `readUpTo`: how far the log may be read. */
  step(readUpTo: number): boolean {
    const { index } = this.#options;
    const pending = index.get(pruningKey);
    if (pending === undefined) return false;
    const position = readNumberBE(pending, 0);
    if (this.#steps === undefined || position !== this.#position) {
      this.#position = position;
      this.#steps = this.#begin(position, readUpTo);
    }
    index.transact(() => {
      if (this.#steps!.next().done !== true) return;
      index.remove(pruningKey);
      this.#steps = undefined;
    });
    return true;
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
      index: this.#options.index, kept: new Kept(txids), horizon,
      isObject: (file) => lstatSync(this.#objectPath(file), { throwIfNoEntry: false }) !== undefined,
      removeObject: (file) => { removeObject(this.#objectPath(file)); },
      windowThings: Number(process.env['TIDEMARK_PRUNE_WINDOW'] ?? windowThings),
      onDead: (lsn) => { this.#dead.add(lsn - lsn % deadStretchBytes); },
    });
  }

  #objectPath(file: FileId): string {
    const inode = inodeOf(file);
    const directory = Number(inode & 0xffn).toString(16).padStart(2, '0');
    return join(this.#options.objectsDirectory, directory, `${inode.toString(16)}.${generationOf(file).toString(16)}`);
  }
}

/** The kept transactions that KEPT records from a position on tell; none when they cannot be read whole. */
export function readKept(logDirectory: string, position: number, readUpTo: number): { txids: Float64Array; horizon: number } {
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
