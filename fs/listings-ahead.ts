/**
 * Lists directories of then before they are asked for. Who walks a tree of the past (cp -r, tar, rsync) reads the files of one directory
 * through the addon, while this thread has nothing to do; and would have to wait for it at the next one. In: the directories a walk has come to. Out:
 * their listings.
 *
 * Invariants:
 * 1. A listing of a snapshot never changes: one made ahead says what one made later would. (Plans in it tell when they were made; the addon checks.)
 * 2. One directory is listed at a time, in a turn of its own, and none that is large: requests do not wait long behind it.
 * 3. At most `mostEntries` entries are kept; the oldest listing goes first.
 * 4. Nothing here asks for permissions: who takes a listing has to.
 */
import type { ListedEntry } from '../engine/types.js';
import { FileNode } from './snapshot-node.js';

/** Directories to be ahead of a walk. */
const aheadCount = 8;
/** Entries kept in all. */
const mostEntries = 8_192;
/** Directories whose own size is larger are not listed ahead, bytes. */
const largeBytes = 65_536;
/** Parents whose subdirectories are remembered: the way down to where a walk is. */
const mostParents = 32;

export class ListingsAhead {
  readonly #list: (directory: FileNode) => Promise<ListedEntry[]>;
  /** Under way (no entries yet) or done, oldest first. */
  readonly #made = new Map<FileNode, { readonly listing: Promise<ListedEntry[]>; entryCount: number }>();
  /** Subdirectories of what was listed last, in the order of a walk. */
  readonly #subdirectories = new Map<FileNode, readonly FileNode[]>();
  #entryCount = 0;
  #queue: FileNode[] = [];
  #isWorking = false;

  constructor(list: (directory: FileNode) => Promise<ListedEntry[]>) {
    this.#list = list;
  }

  /** The listing of a directory, which the caller keeps. Rejects as the history does. */
  take(directory: FileNode): Promise<ListedEntry[]> {
    const made = this.#made.get(directory);
    if (made === undefined) return this.#list(directory);
    this.#drop(directory);
    return made.listing;
  }

  /** A directory has been listed: `subdirectories` in the order in which a walk goes on. */
  listed(directory: FileNode, subdirectories: readonly FileNode[]): void {
    this.#remember(directory, subdirectories);
    const { parent } = directory;
    const siblings = parent instanceof FileNode ? this.#subdirectories.get(parent) : undefined;
    // One listing is no walk yet.
    if (!(parent instanceof FileNode) || siblings === undefined) return;
    this.#remember(parent, siblings);
    const next = siblings.indexOf(directory) + 1;
    const wanted = [...subdirectories.slice(0, aheadCount), ...siblings.slice(next, next + aheadCount)];
    this.#queue = wanted.filter((node) => node.size <= largeBytes && !this.#made.has(node));
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (;;) {
      // Requests that have come meanwhile go first.
      await new Promise((resolve) => setImmediate(resolve));
      const directory = this.#queue.shift();
      if (directory === undefined) break;
      if (!this.#made.has(directory)) await this.#make(directory);
    }
    this.#isWorking = false;
  }

  async #make(directory: FileNode): Promise<void> {
    const made = { listing: this.#list(directory), entryCount: 0 };
    this.#made.set(directory, made);
    try {
      const { length } = await made.listing;
      // Taken meanwhile.
      if (this.#made.get(directory) !== made) return;
      made.entryCount = length;
      this.#entryCount += length;
    } catch {
      // Who asks for it will be told.
      this.#drop(directory);
    }
    for (const oldest of this.#made.keys()) {
      if (this.#entryCount <= mostEntries) break;
      this.#drop(oldest);
    }
  }

  #drop(directory: FileNode): void {
    this.#entryCount -= this.#made.get(directory)?.entryCount ?? 0;
    this.#made.delete(directory);
  }

  #remember(directory: FileNode, subdirectories: readonly FileNode[]): void {
    // At the end: where a walk is, is the youngest.
    this.#subdirectories.delete(directory);
    if (subdirectories.length > 0) this.#subdirectories.set(directory, subdirectories);
    for (const oldest of this.#subdirectories.keys()) {
      if (this.#subdirectories.size <= mostParents) break;
      this.#subdirectories.delete(oldest);
    }
  }
}
