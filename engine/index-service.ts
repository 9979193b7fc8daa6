/**
 * The index as a whole: its files, their health, the thread that feeds it. In: the store's paths, where the log ends. Out: a
 * store to read from that is as far as the log when asked to be.
 *
 * Invariants:
 * 1. A missing, distrusted or failing index is made again from the log without being asked, and said so in one line.
 * 2. An index that fails again while or after it is made anew is an error: then the disk or the log is at fault.
 */
import { isDiskFull } from './disk-full.js';
import { VolumeError, codeOf, messageOf } from './errors.js';
import { IndexHealth } from './index-health.js';
import type { Progress } from './index-keys.js';
import { IndexStore } from './index-store.js';
import { Indexer } from './indexer.js';
import type { LogState } from './native.js';
import type { StoreFiles } from './store-files.js';

export interface IndexServiceOptions {
  readonly files: StoreFiles;
  readonly logState: () => LogState;
  /** The store is new: that it has no index needs no words. */
  readonly isNew: boolean;
  /** As in StoreOpenOptions. */
  readonly wasKilled?: boolean;
  readonly say: (line: string) => void;
  /** Called when the index has read on. */
  readonly onMoved: () => void;
  /** As the indexer's. */
  readonly onFull: () => void;
  /** As the addon's. */
  readonly setThreadIdle: (threadId: number, isIdle: boolean) => void;
  /** Takes a file's pages out of this process's mappings. */
  readonly releaseMapped: (path: string) => void;
}

export class IndexService {
  readonly store: IndexStore;
  readonly #options: IndexServiceOptions;
  readonly #health: IndexHealth;
  #indexer: Indexer;
  #isRunning = false;
  #rebuilds = 0;
  #rebuilding: Promise<void> | undefined;
  #closed = false;

  constructor(options: IndexServiceOptions) {
    this.#options = options;
    this.#health = new IndexHealth(options.files.index, options.files.id);
    const distrust = this.#health.prepare(options.wasKilled);
    if (distrust !== undefined && !options.isNew) options.say(`the index ${distrust}: it is made again from the log`);
    this.store = this.#openStore();
    this.#indexer = this.#startIndexer();
  }

  /** LSN up to which the index has read the log. */
  get readUpTo(): number {
    return this.#indexer.readUpTo;
  }

  /** The disk is full, and the index waits for room. */
  get lacksRoom(): boolean {
    return this.#indexer.lacksRoom;
  }

  /** Damaged regions of the log that the indexer met. */
  get damaged(): number {
    return this.#indexer.progress.damaged;
  }

  /** What was counted until there; asks nobody. */
  get progress(): Progress {
    return this.#indexer.progress;
  }

  /** Waits until the index has read the log as far as it stands now. Throws VolumeError EIO when it cannot. */
  async caughtUp(): Promise<number> {
    if (this.#rebuilding !== undefined) await this.#rebuilding;
    try {
      const readUpTo = await this.#indexer.caughtUp();
      if (!this.#isRunning) {
        this.#isRunning = true;
        this.#health.running();
      }
      return readUpTo;
    } catch (error) {
      if (codeOf(error) === 'ENOSPC') throw error;
      await this.#recover(error);
      return this.caughtUp();
    }
  }

  /** Waits until what the log says is no longer kept has gone; tells where in the log (starts of stretches of `deadStretchBytes`) bytes lost their need. */
  async pruned(): Promise<readonly number[]> {
    await this.caughtUp();
    return this.#indexer.pruned();
  }

  /** Makes the index again when it knows more than the log, which ends at `end`. */
  async rebuildIfAhead(end: bigint): Promise<void> {
    if (this.readUpTo <= Number(end)) return;
    this.#options.say('the index knows more than the log, whose end was lost: it is made again from the log');
    await this.rebuild();
  }

  /** Where applications wait for the volume: what looks into the index waits for it by itself, and meets what went wrong here. Never rejects. */
  async catchUpLater(end: bigint): Promise<void> {
    try {
      await this.rebuildIfAhead(end);
      await this.caughtUp();
    } catch (error) {
      if (!this.#closed) this.#options.say(`the index is not ready: ${messageOf(error)}`);
    }
  }

  /** Throws the index away and makes it again from the log. */
  async rebuild(): Promise<void> {
    this.#rebuilding ??= this.#rebuild().finally(() => { this.#rebuilding = undefined; });
    await this.#rebuilding;
    await this.caughtUp();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#rebuilding;
    const isGood = this.#isRunning;
    await this.#indexer.close();
    await this.store.close();
    if (isGood) this.#health.closed();
  }

  #openStore(): IndexStore {
    const { files, isNew, say } = this.#options;
    try {
      return new IndexStore(files.index);
    } catch (error) {
      // It is as good as it was.
      if (isDiskFull(error, files.index)) throw new VolumeError('ENOSPC', 'the disk is full, so the index cannot be opened; free some space and try again', { cause: error });
      if (!isNew) say(`the index cannot be opened (${messageOf(error)}): it is made again from the log`);
      this.#health.remove();
      this.#health.prepare();
      return new IndexStore(files.index);
    }
  }

  #startIndexer(): Indexer {
    const { files, logState, onMoved, onFull, setThreadIdle, releaseMapped } = this.#options;
    return new Indexer({
      store: this.store, indexDirectory: files.index, logDirectory: files.log, objectsDirectory: files.objects, logState, onMoved, onFull, setThreadIdle,
      releaseMapped: () => { releaseMapped(this.store.dataFile); },
      // A failure that nobody waits for is met by the next query.
      onFailure: () => { this.#isRunning = false; },
    });
  }

  async #recover(error: unknown): Promise<void> {
    if (this.#closed) throw new VolumeError('EIO', 'the volume has been closed');
    // Several queries may meet the same failure: the first of them repairs.
    if (this.#rebuilding === undefined) {
      if (this.#rebuilds++ > 0) {
        throw new VolumeError('EIO', `the index cannot be made (${messageOf(error)}); check the disk, then run "tidemark verify --rebuild-index"`, { cause: error });
      }
      this.#options.say(`the index failed (${messageOf(error)}): it is made again from the log`);
      this.#rebuilding = this.#rebuild().finally(() => { this.#rebuilding = undefined; });
    }
    await this.#rebuilding;
  }

  async #rebuild(): Promise<void> {
    await this.#indexer.close();
    await this.store.replace(() => {
      this.#health.remove();
      this.#health.prepare();
    });
    this.#isRunning = false;
    this.#options.onMoved();
    this.#indexer = this.#startIndexer();
  }
}
