/**
 * How many bytes the live tree and the history take on the disk. In: the store's paths. Out: counts, remembered for a while: counting
 * means walking.
 *
 * Invariants:
 * 1. One count at a time; who asks meanwhile gets the same one.
 * 2. A count never holds the answer up for longer than `patienceMs`: then the last known one is given, if there is one.
 */
import { readdirSync, statSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { codeOf } from './errors.js';
import { pacer } from './pacer.js';
import type { StoreFiles } from './store-files.js';
import { walkTree } from './tree-walk.js';

/** A count younger than this is given again; one of a large tree for so many times as long as it took. */
const freshMs = 60_000;
const freshTimes = 100;
const patienceMs = 300;
const blockBytes = 512n;

export class DiskUsage {
  readonly #files: StoreFiles;
  #live: bigint | undefined;
  #objects = 0n;
  #countedAt = Number.NEGATIVE_INFINITY;
  #tookMs = 0;
  #counting: Promise<void> | undefined;
  #closed = false;

  constructor(files: StoreFiles) {
    this.#files = files;
  }

  /** Bytes of the live tree (undefined until counted) and of log, index and objects. */
  async now(): Promise<{ liveBytes: bigint | undefined; historyBytes: bigint }> {
    if (performance.now() - this.#countedAt > Math.max(freshMs, this.#tookMs * freshTimes)) {
      this.#counting ??= this.#count().finally(() => { this.#counting = undefined; });
      await Promise.race([this.#counting, setTimeout(patienceMs, undefined, { ref: false })]);
    }
    return { liveBytes: this.#live, historyBytes: bytesIn(this.#files.log) + bytesIn(this.#files.index) + this.#objects };
  }

  /** What history takes now, counted anew; and the size of the disk. */
  async share(): Promise<{ historyBytes: bigint; diskBytes: bigint }> {
    const objects = await this.#bytesBelow(this.#files.objects) ?? 0n;
    const { blocks, bsize } = statfsSync(this.#files.root, { bigint: true });
    return { historyBytes: bytesIn(this.#files.log) + bytesIn(this.#files.index) + objects, diskBytes: blocks * bsize };
  }

  /** Ends a count that is going on. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#counting;
  }

  async #count(): Promise<void> {
    const startedAt = performance.now();
    const live = await this.#bytesBelow(this.#files.root);
    const objects = await this.#bytesBelow(this.#files.objects);
    if (this.#closed) return;
    this.#live = live;
    this.#objects = objects ?? 0n;
    this.#countedAt = performance.now();
    this.#tookMs = this.#countedAt - startedAt;
  }

  async #bytesBelow(root: string): Promise<bigint | undefined> {
    const pause = pacer();
    const counted = new Set<bigint>();
    let bytes = 0n;
    try {
      for (const { stats } of walkTree(root)) {
        if (this.#closed) return undefined;
        if (stats.nlink > 1n && !stats.isDirectory()) {
          if (counted.has(stats.ino)) continue;
          counted.add(stats.ino);
        }
        bytes += stats.blocks * blockBytes;
        await pause();
      }
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      return undefined;
    }
    return bytes;
  }
}

/** What the files of one directory take. */
function bytesIn(directory: string): bigint {
  let bytes = 0n;
  for (const name of readdirSync(directory)) bytes += (statSync(join(directory, name), { bigint: true, throwIfNoEntry: false })?.blocks ?? 0n) * blockBytes;
  return bytes;
}
