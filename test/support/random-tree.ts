/**
 * Random changes of a small tree, with few names, so that they meet: files are overwritten, renamed over each other, linked, directories moved with all in them. In: a directory, a
 * seed. Out: changes.
 *
 * Invariants:
 * 1. The same seed makes the same changes of the same tree.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Random } from './seed.js';

const names = ['a', 'b', 'c', 'd'];
const sizes = [0, 1, 100, 4096, 5000, 70_000];

export class RandomTree {
  readonly #root: string;
  readonly #random: Random;

  constructor(root: string, random: Random) {
    this.#root = root;
    this.#random = random;
  }

  /** Makes one change; true when it could be made. */
  change(): boolean {
    const actions: (() => void)[] = [
      () => { fs.writeFileSync(this.#path(), this.#random.bytes(this.#random.pick(sizes))); },
      () => { fs.writeFileSync(this.#path(), this.#random.bytes(this.#random.pick(sizes))); },
      () => { this.#patch(); },
      () => { this.#patch(); },
      () => { fs.appendFileSync(this.#path(), this.#random.bytes(50)); },
      () => { fs.truncateSync(this.#path(), this.#random.pick(sizes)); },
      () => { fs.renameSync(this.#path(), this.#path()); },
      () => { fs.renameSync(this.#path(), this.#path()); },
      () => { fs.linkSync(this.#path(), this.#path()); },
      () => { fs.unlinkSync(this.#path()); },
      () => { fs.mkdirSync(this.#path()); },
      () => { fs.mkdirSync(this.#path()); },
      () => { fs.rmdirSync(this.#path()); },
      () => { fs.symlinkSync(this.#random.pick(names), this.#path()); },
      () => { fs.chmodSync(this.#path(), this.#random.pick([0o600, 0o644, 0o750])); },
      () => { fs.lutimesSync(this.#path(), 1_000_000_000 + this.#random.below(1000), 1_000_000_000 + this.#random.below(1000)); },
      () => { if (this.#random.oneIn(8)) fs.rmSync(this.#path(), { recursive: true }); },
    ];
    try {
      this.#random.pick(actions)();
      return true;
    } catch (error) {
      // A name that is not there, or is of another kind: as random names are.
      if (['ENOENT', 'EEXIST', 'ENOTDIR', 'EISDIR', 'EINVAL', 'ENOTEMPTY', 'EPERM', 'ELOOP', 'ERR_FS_EISDIR'].includes((error as { code?: string }).code ?? '')) return false;
      throw error;
    }
  }

  #path(): string {
    const depth = 1 + this.#random.below(3);
    return join(this.#root, ...Array.from({ length: depth }, () => this.#random.pick(names)));
  }

  #patch(): void {
    const fd = fs.openSync(this.#path(), 'r+');
    try {
      fs.writeSync(fd, this.#random.bytes(200), 0, 200, this.#random.below(8000));
    } finally {
      fs.closeSync(fd);
    }
  }
}
