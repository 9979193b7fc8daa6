/**
 * The scrub: in the background, all the time, the whole log is read again and every record's checksum compared, so that a disk that forgets is found out while there is still
 * something to be done. In: where the log ends, settings. Out: how far it is, what it has found. The reading is done by a thread (scrub-worker.ts).
 *
 * Invariants:
 * 1. The thread runs only on a processor, and reads only from a disk, that nobody else wants (SCHED_IDLE also makes its I/O idle), and there is none while the next slice is far.
 * 2. It goes on where it was when the volume was last open; a kill costs what it read in the last minute.
 * 3. What stops it is told (`failure`) and it is tried again; it never ends the daemon.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { messageOf } from './errors.js';
import type { LogState } from './native.js';
import { nextSliceMs, settleMs, sliceBytes } from './scrub-pace.js';
import type { ScrubSettings } from './scrub-pace.js';
import { firstScrubState, parseScrubState } from './scrub-state.js';
import type { ScrubState } from './scrub-state.js';
import type { ScrubMessage, ScrubOrder, ScrubWorkerData } from './scrub-worker.js';
import type { StoreFiles } from './store-files.js';

export interface ScrubOptions {
  readonly files: StoreFiles;
  readonly logState: () => LogState;
  /** As the addon's. */
  readonly setThreadIdle: (threadId: number, isIdle: boolean) => void;
}

/** The thread ends when the next slice is further away than this, ms. */
const restMs = 600_000;
/** How long a thread may take to end; a disk that hangs must not keep the volume open. */
const farewellMs = 2_000;
/** Timers are set no further ahead: clocks are set, logs grow. */
const longestTimerMs = 3_600_000;
const retryMs = 60_000;
const failuresMax = 3;
const workerHeapMb = 32;
const workerYoungMb = 4;

export class Scrub {
  readonly #options: ScrubOptions;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  #state: ScrubState;
  #settings: ScrubSettings | undefined;
  #failure = '';
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #worker: Worker | undefined;
  #isReading = false;
  #isClosed = false;
  #startedMs = 0;
  #retryMs = 0;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#state = readState(this.#stateFile) ?? firstScrubState(Number(options.files.createdNs / 1_000_000n));
  }

  get state(): ScrubState {
    return this.#state;
  }

  /** Why it could not read on several times in a row; undefined when it can. */
  get failure(): string | undefined {
    return this.#failures < failuresMax ? undefined : this.#failure;
  }

  /** How much of the present round is done, 0 … 1. */
  get progress(): number {
    const length = this.#logEnd - this.#state.base;
    return length <= 0 ? 0 : Math.min(1, Math.max(0, this.#state.position - this.#state.base) / length);
  }

  /** Begins, or goes on at another pace. */
  run(settings: ScrubSettings): void {
    if (this.#settings === undefined) this.#startedMs = Date.now();
    this.#settings = settings;
    if (!this.#isReading) this.#schedule();
  }

  /** Stops reading; where it is, is kept. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#endWorker();
  }

  get #stateFile(): string {
    return join(this.#options.files.store, 'scrub.json');
  }

  get #logEnd(): number {
    return Number(this.#options.logState().end);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed || this.#settings === undefined) return;
    const dueMs = Math.max(nextSliceMs(this.#logEnd - this.#state.base, this.#state, this.#settings), this.#startedMs + settleMs(this.#settings), this.#retryMs);
    const pauseMs = Math.max(0, dueMs - Date.now());
    if (pauseMs > restMs) void this.#endWorker();
    this.#timer = setTimeout(() => { this.#look(dueMs); }, Math.min(pauseMs, longestTimerMs)).unref();
  }

  #look(dueMs: number): void {
    if (Date.now() < dueMs) return this.#schedule();
    this.#isReading = true;
    this.#worker ??= this.#startWorker();
    this.#worker.postMessage({ end: this.#logEnd, bytes: sliceBytes, settings: this.#settings! } satisfies ScrubOrder);
  }

  #startWorker(): Worker {
    const { files } = this.#options;
    Atomics.store(this.#stop, 0, 0);
    const workerData: ScrubWorkerData = { logDirectory: files.log, stateFile: this.#stateFile, state: this.#state, stop: this.#stop.buffer as SharedArrayBuffer };
    const worker = new Worker(new URL('./scrub-worker.js', import.meta.url), {
      workerData, resourceLimits: { maxOldGenerationSizeMb: workerHeapMb, maxYoungGenerationSizeMb: workerYoungMb }, name: 'scrub',
      // What the process loads beforehand (a test runner's hooks) would not fit.
      execArgv: [],
    });
    worker.on('message', (message: ScrubMessage) => { this.#take(message); });
    worker.on('error', (error) => { this.#failed(messageOf(error)); });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    worker.unref();
    return worker;
  }

  #take(message: ScrubMessage): void {
    if ('threadId' in message) {
      this.#options.setThreadIdle(message.threadId, true);
    } else if ('failed' in message) {
      this.#failed(message.failed);
    } else {
      this.#state = message.state;
      this.#failures = 0;
      this.#isReading = false;
      this.#schedule();
    }
  }

  #failed(why: string): void {
    this.#failure = why;
    this.#failures++;
    this.#isReading = false;
    this.#retryMs = Date.now() + retryMs;
    this.#schedule();
  }

  async #endWorker(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    Atomics.store(this.#stop, 0, 1);
    Atomics.notify(this.#stop, 0);
    const ended = new Promise((resolve) => { worker.once('exit', resolve); });
    worker.ref();
    worker.postMessage('stop');
    await Promise.race([ended, sleep(farewellMs, undefined, { ref: false })]);
  }
}

function readState(path: string): ScrubState | undefined {
  try {
    return parseScrubState(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // Not there yet, or not readable: it begins anew.
  }
}
