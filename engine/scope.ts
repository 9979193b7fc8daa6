/**
 * Whether files lie (or lay) below a directory. In: the recorded places. Out: yes or no, at a transaction.
 *
 * Invariants:
 * 1. The directory counts by identity, not by path: what happened below it before it was renamed belongs to it.
 * 2. Answers hold while the index does not move; a scope is made for one query.
 */
import { txidMax } from './index-keys.js';
import type { Paths } from './paths.js';
import type { FileId } from './types.js';

export class Scope {
  readonly #paths: Paths;
  readonly #rootId: FileId;
  readonly #directory: FileId;
  /** Directories which, like all above them, were never elsewhere: inside or not. null: they moved, so it depends. */
  readonly #fixed = new Map<FileId, boolean | null>();

  constructor(paths: Paths, rootId: FileId, directory: FileId) {
    this.#paths = paths;
    this.#rootId = rootId;
    this.#directory = directory;
    this.#fixed.set(rootId, false);
    this.#fixed.set(directory, true);
  }

  /** true when the file was below the directory (or is the directory) before or after a transaction. */
  holds(file: FileId, txid: number): boolean {
    if (this.#directory === this.#rootId || file === this.#directory) return true;
    return this.holdsAt(file, txid) || this.holdsAt(file, txid - 1);
  }

  /** true when the file was below the directory (or is the directory) at a snapshot. */
  holdsAt(file: FileId, snapshot: number): boolean {
    for (let at = file; ;) {
      const place = at === file ? undefined : this.#fixedAt(at);
      if (place !== undefined && place !== null) return place;
      if (at === this.#directory) return true;
      if (at === this.#rootId) return false;
      const parent = this.#paths.placeAt(snapshot, at)?.parent;
      if (parent === undefined) return false;
      at = parent;
    }
  }

  #fixedAt(directory: FileId): boolean | null {
    const known = this.#fixed.get(directory);
    if (known !== undefined) return known;
    const parent = this.#paths.hasOnePlace(directory) ? this.#paths.placeAt(txidMax - 1, directory)?.parent : undefined;
    const answer = parent === undefined ? null : this.#fixedAt(parent);
    this.#fixed.set(directory, answer);
    return answer;
  }
}
