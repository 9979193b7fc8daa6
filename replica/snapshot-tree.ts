/**
 * The tree that is backed up: a directory that nobody changes meanwhile, as `.snapshots/@…` is. In: its path. Out: entries (without hashes) and paths to read from.
 *
 * Calls wait for the kernel: never to be used by the process that serves the mount.
 *
 * Invariants:
 * 1. What the filter hides is neither listed nor found.
 */
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { compileExcludes } from '../engine/excludes.js';
import { codeOf } from '../engine/errors.js';
import { entryOf } from './entry.js';
import type { Entry } from './entry.js';
import { bytesOf, fromBytes, joined, nameOf, parentOf } from './paths.js';

export interface Filter {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export class SnapshotTree {
  readonly #root: Buffer;
  /** What is known of paths: true for directories, no symlink on the way. */
  readonly #directories = new Map<string, boolean>();
  readonly #hides: (path: string, isDirectory: boolean) => boolean;

  /** `root`: as the file system knows it. */
  constructor(root: Buffer, filter: Filter) {
    this.#root = root;
    this.#hides = compileFilter(filter);
  }

  /** Where node:fs finds a path. */
  at(path: string): Buffer {
    return path === '' ? this.#root : Buffer.concat([this.#root, Buffer.from('/'), bytesOf(path)]);
  }

  /** undefined when it was not there. */
  entry(path: string): Entry | undefined {
    // The kernel would follow a symlink that stands where a directory was.
    if (!this.#isDirectory(parentOf(path))) return undefined;
    try {
      const entry = this.#complete(entryOf(path, lstatSync(this.at(path), { bigint: true })));
      return this.#isHidden(path, entry.type === 'directory') ? undefined : entry;
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  /** All entries below a directory, parents first. */
  * walk(directory: string): Generator<Entry> {
    for (const { name } of readdirSync(this.at(directory), { withFileTypes: true, encoding: 'buffer' })) {
      const path = joined(directory, fromBytes(name));
      const entry = this.#complete(entryOf(path, lstatSync(this.at(path), { bigint: true })));
      if (this.#hides(path, entry.type === 'directory')) continue;
      yield entry;
      if (entry.type === 'directory') yield* this.walk(path);
    }
  }

  #isDirectory(path: string): boolean {
    if (path === '') return true;
    let known = this.#directories.get(path);
    if (known === undefined) {
      known = this.#isDirectory(parentOf(path)) && lstatSync(this.at(path), { throwIfNoEntry: false })?.isDirectory() === true;
      this.#directories.set(path, known);
    }
    return known;
  }

  /** A directory that is hidden hides all in it. */
  #isHidden(path: string, isDirectory: boolean): boolean {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) if (this.#hides(path.slice(0, slash), true)) return true;
    return this.#hides(path, isDirectory);
  }

  #complete(entry: Entry): Entry {
    return entry.type === 'symlink' ? { ...entry, target: fromBytes(readlinkSync(this.at(entry.path), { encoding: 'buffer' })) } : entry;
  }
}

/** true for what is left out; `path` from the root. A directory that is left out leaves out all in it. */
export function compileFilter({ include, exclude }: Filter): (path: string, isDirectory: boolean) => boolean {
  const [excluded, included] = [compileExcludes(exclude), compileExcludes(include)];
  const isIncluded = (path: string): boolean => {
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = end < 0 ? path : path.slice(0, end);
      if (included.hides(nameOf(part), part)) return true;
      if (end < 0) return false;
    }
  };
  return (path, isDirectory) => excluded.hides(nameOf(path), path) || (include.length > 0 && !isDirectory && !isIncluded(path));
}
