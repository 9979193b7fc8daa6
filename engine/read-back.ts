/**
 * Reads every live file and every object back to its end, so that the disk has to show that it still can. In: the store's paths. Out: counts, and a fault for each file or
 * directory that cannot be read. They have no checksums: wrong bytes that the disk gives back without an error are not noticed here.
 *
 * Invariants:
 * 1. Nothing is changed, access times included where the system allows that.
 * 2. A fault is told once for each file, and reading goes on behind it.
 * 3. Files that vanish meanwhile are no fault; what this user may not read is counted, not passed over.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from './errors.js';
import type { StoreFiles } from './store-files.js';
import { walkTree } from './tree-walk.js';
import type { Fault, ReadBackReport } from './types.js';

export interface ReadBackOptions {
  readonly files: StoreFiles;
  /** Ends it early. */
  readonly signal: AbortSignal;
  readonly onFault: (fault: Fault) => void;
}

const chunkBytes = 1 << 20;
const blockBytes = 4096;
/** A file of which so many blocks cannot be read is given up. */
const badBlocksMax = 1000;
const liveRemedy = 'restore it: tidemark restore, or from a backup; check the disk';
const objectRemedy = 'the versions of a deleted or replaced file that lie there are lost; all others stay readable; check the disk';
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export async function readBack(options: ReadBackOptions): Promise<ReadBackReport> {
  const reading = new Reading(options);
  await reading.below({ root: options.files.root, shown: '/', remedy: liveRemedy });
  await reading.below({ root: options.files.objects, shown: 'objects/', remedy: objectRemedy });
  return reading.report;
}

interface Tree {
  readonly root: string;
  /** What stands before a path of it when people are told. */
  readonly shown: string;
  readonly remedy: string;
}

class Reading {
  readonly report = { files: 0, bytes: 0, forbidden: 0 };
  readonly #options: ReadBackOptions;
  readonly #buffer = Buffer.allocUnsafe(chunkBytes);

  constructor(options: ReadBackOptions) {
    this.#options = options;
  }

  async below(tree: Tree): Promise<void> {
    const onFault = (path: Buffer, error: unknown): void => { this.#failed(tree, path, error); };
    for (const { path, stats } of walkTree(tree.root, undefined, onFault)) {
      if (this.#options.signal.aborted) return;
      // A file without blocks is all hole: there is nothing to read.
      if (stats.isFile() && (stats.blocks > 0n || stats.size === 0n)) await this.#file(tree, path);
    }
  }

  async #file(tree: Tree, path: Buffer): Promise<void> {
    let file: FileHandle;
    try {
      file = await openQuietly(Buffer.concat([Buffer.from(`${tree.root}/`), path]));
    } catch (error) {
      this.#failed(tree, path, error);
      return;
    }
    try {
      this.report.files++;
      const bad = await this.#toEnd(file);
      if (bad === undefined) return;
      const more = bad.blocks === 1 ? '' : `, ${bad.blocks} blocks in all`;
      this.#options.onFault({ where: shownPath(tree, path), what: `cannot be read at byte ${bad.offset} (EIO${more})`, remedy: tree.remedy });
    } catch (error) {
      this.#failed(tree, path, error);
    } finally {
      await file.close();
    }
  }

  /** The first block that cannot be read and how many such there are; undefined when all can. */
  async #toEnd(file: FileHandle): Promise<{ offset: number; blocks: number } | undefined> {
    let bad: { offset: number; blocks: number } | undefined;
    for (let offset = 0; !this.#options.signal.aborted;) {
      const count = await readOrFail(file, this.#buffer, offset);
      if (count === 0) return bad;
      if (count === undefined) {
        bad = { offset: bad?.offset ?? offset, blocks: (bad?.blocks ?? 0) + 1 };
        if (bad.blocks === badBlocksMax) return bad;
        offset = (Math.floor(offset / blockBytes) + 1) * blockBytes;
        continue;
      }
      offset += count;
      this.report.bytes += count;
    }
    return bad;
  }

  #failed(tree: Tree, path: Buffer, error: unknown): void {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO' || code === 'ENOTDIR') return;
    if (code === 'EACCES' || code === 'EPERM') this.report.forbidden++;
    else this.#options.onFault({ where: shownPath(tree, path), what: `cannot be read (${code === '' ? messageOf(error) : code})`, remedy: tree.remedy });
  }
}

/** Without touching the access time where that is allowed: to root and to the file's owner. */
async function openQuietly(path: Buffer): Promise<FileHandle> {
  try {
    return await open(path, flags | constants.O_NOATIME);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error;
    return open(path, flags);
  }
}

/** How many bytes were read; undefined when the disk cannot give back what stands at the offset. */
async function readOrFail(file: FileHandle, buffer: Buffer, offset: number): Promise<number | undefined> {
  try {
    return (await file.read(buffer, 0, buffer.length, offset)).bytesRead;
  } catch (error) {
    if (codeOf(error) === 'EIO') return undefined;
    throw error;
  }
}

function shownPath(tree: Tree, path: Buffer): string {
  return join(tree.shown, path.toString());
}
