/**
 * Files that are made on this machine before they are sent: manifests, lists of changes, notes. In: chunks. Out: a file at the destination, and if wanted a copy that stays here.
 *
 * Invariants:
 * 1. What stays here appears whole or not at all.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../engine/errors.js';
import { writeAll } from '../engine/write-all.js';
import type { Destination } from './destination.js';

export class LocalFiles {
  readonly #directory: string;

  /** A directory that is there. Files in it begin with `prefix`. */
  constructor(directory: string, prefix: string) {
    this.#directory = join(directory, prefix);
  }

  /** Makes a file of chunks, sends it to the destination in the place of whatever is there, and returns its length. */
  async put(destination: Destination, path: string, chunks: Iterable<Buffer>): Promise<number> {
    const made = `${this.#directory}.sending`;
    try {
      const size = write(made, chunks, 'cached');
      await destination.remove(path);
      await destination.send(path, { path: Buffer.from(made), size, isNew: true }, { onBytes: () => undefined });
      return size;
    } finally {
      rmSync(made, { force: true });
    }
  }

  /** As `put`, and a copy stays here under a name. */
  async putAndKeep(destination: Destination, path: string, chunks: Iterable<Buffer>, name: string): Promise<number> {
    const kept = `${this.#directory}.${name}`;
    const size = write(`${kept}.new`, chunks);
    renameSync(`${kept}.new`, kept);
    await destination.remove(path);
    await destination.send(path, { path: Buffer.from(kept), size, isNew: true }, { onBytes: () => undefined });
    return size;
  }

  /** Gives a file that stays here another name, in the place of what has it. */
  rename(name: string, to: string): void {
    renameSync(`${this.#directory}.${name}`, `${this.#directory}.${to}`);
  }

  keep(name: string, bytes: Buffer): void {
    write(`${this.#directory}.${name}.new`, [bytes]);
    this.rename(`${name}.new`, name);
  }

  /** undefined when there is none. */
  read(name: string): Buffer | undefined {
    try {
      return readFileSync(`${this.#directory}.${name}`);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function write(path: string, chunks: Iterable<Buffer>, how: 'cached' | 'synced' = 'synced'): number {
  const fd = openSync(path, 'w', 0o600);
  try {
    for (const chunk of chunks) writeAll(fd, chunk);
    if (how === 'synced') fsyncSync(fd);
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}
