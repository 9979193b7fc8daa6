/**
 * Whether an index found on disk may be trusted. LMDB's commits are not synced here, so after a power cut its pages may be
 * a mixture; and its pages carry no checksums. This file decides by a small `state.json` beside it. In: the index
 * directory. Out: a verdict, and the file kept up to date.
 *
 * Invariants:
 * 1. An index is used only if the machine has not gone down since it was written without a sync, and if nobody but us has
 *    written it since it was closed.
 * 2. An index whose opening did not succeed twice running is not tried a third time.
 * 3. A distrusted index is removed whole; it is made again from the log.
 */
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory, replaceFile, syncDirectory } from './store-files.js';

/** Raised when keys or values change their meaning. */
export const indexFormat = 2;

interface IndexState {
  readonly format: number;
  readonly volume: string;
  readonly boot: string;
  readonly state: 'opening' | 'running' | 'closed';
  /** Openings in a row that did not reach 'running'. */
  readonly attempts: number;
  /** Of the data file, when closed. */
  readonly size: number;
  readonly mtimeNs: string;
}

const attemptsMax = 2;

export class IndexHealth {
  readonly #directory: string;
  readonly #volume: string;
  readonly #boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

  constructor(directory: string, volume: string) {
    this.#directory = directory;
    this.#volume = volume;
  }

  /**
   * To be called before the index is opened: removes one that cannot be trusted. Returns why, or undefined when the index is
   * good. `wasKilled`: the last one to open it died of something else.
   */
  prepare(wasKilled = false): string | undefined {
    makeDirectory(this.#directory);
    const state = this.#read();
    const fault = this.#faultOf(wasKilled && state?.state === 'opening' ? { ...state, attempts: 0 } : state);
    if (fault !== undefined) this.remove();
    const attempts = fault === undefined && state?.state === 'opening' && !wasKilled ? state.attempts + 1 : 1;
    this.#write('opening', attempts);
    // Before a page is written: else the power could leave pages of ours under a state that still says that the index was closed.
    syncDirectory(this.#directory);
    return fault;
  }

  /** The index has caught up with the log once: it works. */
  running(): void {
    this.#write('running', 0);
  }

  /** The index has been closed properly. */
  closed(): void {
    const fd = openSync(join(this.#directory, 'data.mdb'), 'r+');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    this.#write('closed', 0);
  }

  /** Removes the index; its files must be closed. */
  remove(): void {
    for (const name of ['data.mdb', 'lock.mdb', 'state.json']) rmSync(join(this.#directory, name), { force: true });
  }

  #faultOf(state: IndexState | undefined): string | undefined {
    const data = this.#dataFile();
    if (data === undefined) return 'is missing';
    if (state === undefined) return 'has lost its state';
    if (state.format !== indexFormat) return 'has another format';
    if (state.volume !== this.#volume) return 'belongs to another volume';
    if (state.state === 'closed') {
      return state.size === data.size && state.mtimeNs === data.mtimeNs ? undefined : 'was changed from outside';
    }
    if (state.boot !== this.#boot) return 'was in use when the machine went down';
    if (state.state === 'opening' && state.attempts >= attemptsMax) return 'could not be opened';
    return undefined;
  }

  #dataFile(): { size: number; mtimeNs: string } | undefined {
    const stats = statSync(join(this.#directory, 'data.mdb'), { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? undefined : { size: Number(stats.size), mtimeNs: String(stats.mtimeNs) };
  }

  #read(): IndexState | undefined {
    try {
      return JSON.parse(readFileSync(join(this.#directory, 'state.json'), 'utf8')) as IndexState;
    } catch {
      return undefined;
    }
  }

  #write(state: IndexState['state'], attempts: number): void {
    const data = this.#dataFile() ?? { size: 0, mtimeNs: '0' };
    const text: IndexState = { format: indexFormat, volume: this.#volume, boot: this.#boot, state, attempts, ...data };
    replaceFile(join(this.#directory, 'state.json'), text);
  }
}
