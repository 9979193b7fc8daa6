/**
 * When the search for external changes (opening.ts) is waited for, and searches behind a mount that stands. It looks at every inode, which may take longer than somebody wants to wait for a mount. In: the search, and how
 * long opening may wait for it. Out: a promise that it is over.
 *
 * Invariants:
 * 1. Nothing is changed through a mount before the search is over: its transaction comes before all others of this opening.
 * 2. A search that fails while opening waits fails the opening; later it is said.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from './errors.js';
import { recordExternalNow } from './external-now.js';
import { clockNs } from './moments.js';
import { changeExcludes, clockLagNs, recordExternalChanges } from './opening.js';
import type { RecordExternalChangesOptions } from './opening.js';

export interface ExternalSearchOptions extends RecordExternalChangesOptions {
  /** Globs of names without history, from now on. */
  readonly exclude: readonly string[];
}

export class ExternalSearch {
  #over: Promise<void> = Promise.resolve();
  #options: ExternalSearchOptions | undefined;
  /** When the volume was opened. */
  readonly #sinceNs = clockNs() - clockLagNs;

  /** Resolves when nothing is looked for any more. */
  over(): Promise<void> {
    return this.#over;
  }

  /** While the volume is mounted: records what changed past the mount as one external transaction. `paths`: where to look, from the root; absent: at all that changed since the opening. */
  async recordNow(paths?: readonly Buffer[]): Promise<void> {
    await this.#over;
    if (this.#options !== undefined) await recordExternalNow({ ...this.#options, sinceNs: this.#sinceNs }, paths);
  }

  /** Comes back when all was found and recorded, or when patience ends. `patienceMs` undefined: never. No mount stands yet. */
  async begin(options: ExternalSearchOptions, patienceMs: number | undefined): Promise<void> {
    this.#options = options;
    const searching = search(options);
    if (patienceMs === undefined || await isDoneWithin(searching, patienceMs)) return searching;
    const { native, say } = options;
    native.holdChanges();
    this.#over = searching
      .catch((error: unknown) => { say(`changes made while nothing was mounted could not be looked for (${messageOf(error)}); "tidemark verify" compares names with the log`); })
      .finally(() => { native.releaseChanges(); });
  }
}

/** What becomes of names that have history again comes behind what happened to them. */
async function search({ exclude, ...options }: ExternalSearchOptions): Promise<void> {
  await recordExternalChanges(options);
  await changeExcludes(options.native, options.root, exclude, options.say);
}

async function isDoneWithin(work: Promise<unknown>, patienceMs: number): Promise<boolean> {
  const patience = new AbortController();
  try {
    return await Promise.race([work.then(() => true), sleep(patienceMs, false, { signal: patience.signal })]);
  } finally {
    patience.abort();
  }
}
