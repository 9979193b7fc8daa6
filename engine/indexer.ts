/**
 * The main thread's side of the indexer: starts its thread, tells it how far the log reaches, and lets queries wait until the
 * index has read that far. In: where the log ends. Out: promises.
 *
 * Invariants:
 * 1. `caughtUp` resolves only when the index holds everything below the log's end as it stood at the call.
 * 2. A failure of the thread fails every waiter, once, and is told to `onFailure`.
 * 3. While the disk is full everybody waits, and after a while is told so; the thread goes on when there is room.
 * 4. The thread keeps the process alive only while somebody waits.
 * 5. The application goes first: while nobody waits, the thread takes only processor time that nobody else wants, and waits
 *    until the application makes no changes (up to `lagMs` or `lagRecords`; a query may then have to wait for about a second).
 */
import { Worker } from 'node:worker_threads';
import { VolumeError } from './errors.js';
import { isPruningPending } from './floors.js';
import type { Progress } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import type { LogState } from './native.js';
import type { IndexerHello, IndexerReport, IndexerWorkerData } from './indexer-worker.js';

export interface IndexerOptions {
  readonly store: IndexStore;
  readonly indexDirectory: string;
  readonly objectsDirectory: string;
  readonly logDirectory: string;
  /** Where the log stands now. */
  readonly logState: () => LogState;
  readonly onFailure: (error: Error) => void;
  /** The disk is full, and the thread cannot go on before there is room. */
  readonly onFull: () => void;
  /** The index has read on: readers see more. */
  readonly onMoved: () => void;
  /** Lets the indexer's thread run only where nobody else wants to, or like the rest. */
  readonly setThreadIdle: (threadId: number, isIdle: boolean) => void;
  /** Gives back what was mapped of the index. */
  readonly releaseMapped: () => void;
}

interface PruningWaiter {
  /** `dead`: as IndexerReport's. */
  readonly resolve: (dead: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

interface Waiter {
  readonly target: number;
  readonly resolve: (readUpTo: number) => void;
  readonly reject: (error: Error) => void;
}

/** How often the log's end is looked at while nobody asks. */
const pollMs = 250;
/** No more records than this since the last look: the application makes no changes. */
const quietRecords = 20;
/** After so much time, or with so many records unread, the thread reads on though it does not. */
const lagMs = 5_000;
const lagRecords = 100_000;
/** After so much more log (or less, when the application pauses), what is mapped of the index is given back: it would count as the daemon's memory. Bytes. */
const releaseEveryBytes = 4 << 20;
const releaseQuietBytes = 256 << 10;
/** How long somebody waits for the index of a full disk. */
const fullMs = 20_000;
/** And after so long, ms: who looks into the past maps the index, too. */
const releaseEveryMs = 30_000;
/** The thread's JavaScript heap; its real memory is LMDB's. */
const workerHeapMb = 96;
/** Short-lived keys and values: a small nursery is emptied often and stays in the cache, but emptying one smaller than this takes a fifth of a pruning. */
const workerYoungMb = 16;

export class Indexer {
  readonly #options: IndexerOptions;
  readonly #worker: Worker;
  readonly #shared = new BigInt64Array(new SharedArrayBuffer(16));
  readonly #timer: NodeJS.Timeout;
  #waiters: Waiter[] = [];
  #progress: Progress;
  #isPruning: boolean;
  #pruningWaiters: PruningWaiter[] = [];
  #told = 0;
  #toldRecordCount = 0;
  #toldAtMs = 0;
  #lastRecordCount = 0;
  #releasedAt = 0;
  #releasedAtMs = performance.now();
  #failure: Error | undefined;
  #fullSinceMs: number | undefined;
  #threadId: number | undefined;
  #onStopped: (() => void) | undefined;

  constructor(options: IndexerOptions) {
    this.#options = options;
    this.#progress = options.store.progress();
    this.#isPruning = isPruningPending(options.store);
    const workerData: IndexerWorkerData = {
      indexDirectory: options.indexDirectory, logDirectory: options.logDirectory,
      objectsDirectory: options.objectsDirectory, shared: this.#shared.buffer as SharedArrayBuffer,
    };
    this.#worker = new Worker(new URL('./indexer-worker.js', import.meta.url), {
      workerData, resourceLimits: { maxOldGenerationSizeMb: workerHeapMb, maxYoungGenerationSizeMb: workerYoungMb }, name: 'indexer',
    });
    this.#worker.on('message', (message: IndexerHello | IndexerReport) => {
      if ('threadId' in message) this.#onHello(message);
      else this.#onReport(message);
    });
    this.#worker.on('error', (error) => { this.#fail(error); });
    this.#worker.on('exit', () => { this.#fail(new Error('the indexer ended')); this.#onStopped?.(); });
    this.#worker.unref();
    this.#timer = setInterval(() => { this.#poll(); }, pollMs).unref();
  }

  /** The disk is full, and the thread waits for room. */
  get lacksRoom(): boolean {
    return this.#fullSinceMs !== undefined;
  }

  /** LSN up to which the index has read the log. */
  get readUpTo(): number {
    return this.#progress.readUpTo;
  }

  /** What it has counted until there, as the thread told last: known without asking the index, which a disk that hangs would hold up. */
  get progress(): Progress {
    return this.#progress;
  }

  /** Waits until the index has read the log as far as it stands now; returns how far it has read. */
  caughtUp(): Promise<number> {
    const state = this.#options.logState();
    const target = Number(state.end);
    if (this.readUpTo >= target) return Promise.resolve(this.readUpTo);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ target, resolve, reject });
      if (this.#waiters.length === 1) this.#setIdle(false);
      this.#worker.ref();
      this.#tell(state);
    });
  }

  /** Waits until what the log, as far as it has been read, says is no longer kept has gone from the index; tells where in the log bytes lost their need. */
  pruned(): Promise<readonly number[]> {
    if (!this.#isPruning) return Promise.resolve([]);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#worker.ref();
    return new Promise((resolve, reject) => this.#pruningWaiters.push({ resolve, reject }));
  }

  /** Stops the thread; what it has not read yet stays unread. Waiters are rejected. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    Atomics.store(this.#shared, 1, 1n);
    if (this.#failure !== undefined) return;
    this.#worker.ref();
    const stopped = new Promise<void>((resolve) => { this.#onStopped = resolve; });
    this.#worker.postMessage('stop');
    await stopped;
  }

  #poll(): void {
    const state = this.#options.logState();
    const isQuiet = state.recordCount - this.#lastRecordCount <= quietRecords;
    this.#lastRecordCount = state.recordCount;
    const isLate = performance.now() - this.#toldAtMs >= lagMs || state.recordCount - this.#toldRecordCount >= lagRecords;
    if (isQuiet || isLate) this.#tell(state);
    if (isQuiet) this.#release(releaseQuietBytes);
  }

  #release(afterBytes: number): void {
    const nowMs = performance.now();
    if (this.readUpTo - this.#releasedAt < afterBytes && nowMs - this.#releasedAtMs < releaseEveryMs) return;
    this.#releasedAt = this.readUpTo;
    this.#releasedAtMs = nowMs;
    this.#options.releaseMapped();
  }

  #tell(state: LogState): void {
    const end = Number(state.end);
    this.#toldAtMs = performance.now();
    if (end <= this.#told || this.#failure !== undefined) return;
    this.#told = end;
    this.#toldRecordCount = state.recordCount;
    Atomics.store(this.#shared, 0, BigInt(end));
    this.#worker.postMessage('wake');
  }

  #onHello(hello: IndexerHello): void {
    this.#threadId = hello.threadId;
    this.#setIdle(this.#waiters.length === 0);
  }

  #setIdle(isIdle: boolean): void {
    if (this.#threadId !== undefined && this.#failure === undefined) this.#options.setThreadIdle(this.#threadId, isIdle);
  }

  #onReport(report: IndexerReport): void {
    this.#noteRoom(report.lacksRoom);
    if (report.lacksRoom) return;
    this.#options.store.refresh();
    this.#options.onMoved();
    this.#progress = report.progress;
    this.#isPruning = report.isPruning;
    if (!report.isPruning) for (const waiter of this.#pruningWaiters.splice(0)) waiter.resolve(report.dead);
    this.#letGo();
    this.#release(releaseEveryBytes);
    const ready = this.#waiters.filter((waiter) => waiter.target <= this.readUpTo);
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.target > this.readUpTo);
    if (this.#waiters.length === 0) this.#setIdle(true);
    this.#letGo();
    for (const waiter of ready) waiter.resolve(this.readUpTo);
  }

  #noteRoom(lacksRoom: boolean): void {
    if (!lacksRoom) {
      this.#fullSinceMs = undefined;
      return;
    }
    this.#options.onFull();
    this.#fullSinceMs ??= performance.now();
    if (performance.now() - this.#fullSinceMs < fullMs) return;
    this.#rejectAll(new VolumeError('ENOSPC', 'the disk is full, so the index cannot follow the log; free some space and try again'));
    this.#letGo();
  }

  #rejectAll(error: Error): void {
    for (const waiter of [...this.#waiters.splice(0), ...this.#pruningWaiters.splice(0)]) waiter.reject(error);
  }

  /** Nobody waits: the thread keeps no process alive. */
  #letGo(): void {
    if (this.#waiters.length === 0 && this.#pruningWaiters.length === 0 && this.#onStopped === undefined) this.#worker.unref();
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearInterval(this.#timer);
    this.#rejectAll(error);
    if (this.#onStopped === undefined) this.#options.onFailure(error);
  }
}
