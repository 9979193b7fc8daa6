/**
 * Whether files lie (or lay) below a directory, or one of several. In: the recorded places. Out: yes or no, at a transaction.
 *
 * Invariants:
 * 1. A directory counts by identity, not by path: what happened below it before it was renamed belongs to it.
 * 2. Answers hold while the index does not move; a scope is made for one query.
 */
import { txidMax } from './index-keys.js';
import type { Paths } from './paths.js';
import type { FileId } from './types.js';

export class Scope {
  readonly #paths: Paths;
  readonly #rootId: FileId;
  readonly #directories: ReadonlySet<FileId>;
  /** Directories which, like all above them, were never elsewhere: inside or not. null: they moved, so it depends. */
  readonly #fixed = new Map<FileId, boolean | null>();

  constructor(paths: Paths, rootId: FileId, directories: readonly FileId[]) {
    this.#paths = paths;
    this.#rootId = rootId;
    this.#directories = new Set(directories);
    this.#fixed.set(rootId, false);
    for (const directory of directories) this.#fixed.set(directory, true);
  }

  /** true when the file was below a directory (or is one) before or after a transaction. */
  holds(file: FileId, txid: number): boolean {
    if (this.#directories.has(this.#rootId) || this.#directories.has(file)) return true;
    return this.holdsAt(file, txid) || this.holdsAt(file, txid - 1);
  }

  /** true when the file was below a directory (or is one) at a snapshot. */
  holdsAt(file: FileId, snapshot: number): boolean {
    for (let at = file; ;) {
      const place = at === file ? undefined : this.#fixedAt(at);
      if (place !== undefined && place !== null) return place;
      if (this.#directories.has(at)) return true;
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
