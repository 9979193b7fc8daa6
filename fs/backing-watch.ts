/**
 * Watches a backing directory that others can reach beside its mount, so that what they change there is noticed. In: chokidar's events, of changes through the mount as well. Out: paths for
 * the volume to compare with its history, once they have been quiet.
 *
 * Invariants:
 * 1. What changed since the volume was opened is looked for once when everything is watched, and what was seen but not yet compared before the watch closes.
 * 2. Paths are compared one batch at a time.
 */
import { basename, join, relative } from 'node:path';
import { watch } from 'chokidar';
import type { FSWatcher } from 'chokidar';
import { codeOf, messageOf } from '../engine/errors.js';
import { storeName } from '../engine/store-files.js';

/** Whoever writes all the time is looked at after this, all the same. */
const longestWaitMs = 10_000;
const lookEveryMs = 250;

export interface BackingWatchOptions {
  readonly directory: string;
  /** Compares paths (from the root, without a leading slash) with the history; without paths all that is younger than the opening. */
  readonly record: (paths?: readonly Buffer[]) => Promise<void>;
  /** How long a path has to be quiet: longer than a transaction of the mount stays open. */
  readonly quietMs: number;
  readonly log: (line: string) => void;
}

interface Seen {
  readonly firstMs: number;
  readonly lastMs: number;
}

export class BackingWatch {
  readonly #options: BackingWatchOptions;
  readonly #watcher: FSWatcher;
  readonly #seen = new Map<string, Seen>();
  readonly #timer: NodeJS.Timeout;
  #comparing: Promise<void> = Promise.resolve();
  #isComparing = false;
  #isReady = false;
  #hasFailed = false;

  constructor(options: BackingWatchOptions) {
    this.#options = options;
    const store = join(options.directory, storeName);
    this.#watcher = watch(options.directory, { ignored: (path) => path === store, ignoreInitial: true, followSymlinks: false, atomic: false });
    this.#watcher.on('all', (_event, path) => { this.#note(path); });
    // Of a change of permissions or times no other event may come.
    this.#watcher.on('raw', (_event, name, details) => {
      const { watchedPath } = details as { readonly watchedPath?: string };
      // Of a file that is watched itself, the name is its own.
      if (watchedPath !== undefined) this.#note(watchedPath, name === basename(watchedPath) ? watchedPath : join(watchedPath, name));
    });
    this.#watcher.on('ready', () => {
      this.#isReady = true;
      this.#compare(undefined);
    });
    this.#watcher.on('error', (error) => { this.#fail(error); });
    this.#timer = setInterval(() => { this.#look(performance.now()); }, lookEveryMs);
    this.#timer.unref();
  }

  /** Resolves when all that was seen is recorded. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#watcher.close();
    await this.#comparing;
    this.#compare(this.#isReady ? this.#take(() => true) : undefined);
    await this.#comparing;
  }

  #note(...paths: readonly string[]): void {
    const lastMs = performance.now();
    for (const path of paths) this.#seen.set(path, { firstMs: this.#seen.get(path)?.firstMs ?? lastMs, lastMs });
  }

  #look(nowMs: number): void {
    if (this.#isComparing || this.#seen.size === 0) return;
    this.#compare(this.#take(({ firstMs, lastMs }) => nowMs - lastMs >= this.#options.quietMs || nowMs - firstMs >= longestWaitMs));
  }

  /** With each path the directory it lies in, whose names may have changed. */
  #take(isDue: (seen: Seen) => boolean): Buffer[] {
    const due = new Set<string>();
    for (const [path, seen] of this.#seen) {
      if (!isDue(seen)) continue;
      this.#seen.delete(path);
      const inside = relative(this.#options.directory, path);
      if (inside.split('/', 1)[0] === '..' || inside.split('/', 1)[0] === storeName) continue;
      due.add(inside);
      due.add(inside.slice(0, Math.max(inside.lastIndexOf('/'), 0)));
    }
    // The directories first: a file whose name has come needs no record of its own.
    return [...due].sort().map((path) => Buffer.from(path));
  }

  #compare(paths: readonly Buffer[] | undefined): void {
    if (paths?.length === 0) return;
    this.#isComparing = true;
    this.#comparing = this.#comparing
      .then(() => this.#options.record(paths))
      .catch((error: unknown) => { this.#options.log(`changes behind the mount's back could not be looked for: ${messageOf(error)}`); })
      .finally(() => { this.#isComparing = false; });
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const remedy = codeOf(error) === 'ENOSPC' ? '; raise fs.inotify.max_user_watches' : '';
    this.#options.log(`${this.#options.directory} cannot be watched as a whole (${messageOf(error)}): changes behind the mount's back may be missed until the next mount${remedy}`);
  }
}
