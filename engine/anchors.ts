/**
 * Paths that cannot be led astray: who may change a tree can put a symlink in the place of a directory while somebody else, perhaps root, acts below it (an undo, a sync). In: a path below a root. Out: the same name through a descriptor of its directory.
 *
 * Invariants:
 * 1. No directory on the way is a symlink, and what is done at the path is done in the directory that stood there.
 * 2. Every descriptor is closed by `release`.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { splitPath } from './path-bytes.js';

/** Of Linux; node:fs has no name for it. */
const openPath = 0x20_0000;

export class Anchors {
  readonly #root: Buffer;
  readonly #descriptors: number[] = [];

  constructor(root: Buffer) {
    this.#root = root;
  }

  /** `path`: from the root, with or without a leading slash. Throws ENOTDIR or ELOOP when a directory on the way is none. */
  at(path: Buffer): Buffer {
    const names = splitPath(path);
    const name = names.pop() ?? Buffer.from('.');
    let directory = openSync(this.#root, openPath | constants.O_DIRECTORY);
    for (const step of names) {
      const above = directory;
      try {
        directory = openSync(within(above, step), openPath | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      } finally {
        closeSync(above);
      }
    }
    this.#descriptors.push(directory);
    return within(directory, name);
  }

  /** The file that stands at a path of `at`, itself: what is done to it through this path follows no symlink. */
  itself(path: Buffer): Buffer {
    const descriptor = openSync(path, openPath | constants.O_NOFOLLOW);
    this.#descriptors.push(descriptor);
    return Buffer.from(`/proc/self/fd/${descriptor}`);
  }

  release(): void {
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
  }
}

function within(directory: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
}
