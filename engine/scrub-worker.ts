/**
 * The scrub's thread: reads slices of the log, slowly, and keeps what it found in `scrub.json`. In: one message a slice. Out: its thread id, then the state after each slice.
 *
 * Invariants:
 * 1. It reads no faster than it is told to, and ends within one record when it is told to stop; what it had read by then is kept.
 * 2. What goes wrong with one slice is told, and is no reason not to try the next.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { crc32c } from './crc32c.js';
import { messageOf } from './errors.js';
import { checkingReader } from './log-check.js';
import type { LogFault } from './log-check.js';
import type { LogReader } from './log-reader.js';
import { brakeMs } from './scrub-pace.js';
import type { ScrubSettings } from './scrub-pace.js';
import { afterSlice, scrubFile } from './scrub-state.js';
import type { ScrubState } from './scrub-state.js';
import { replaceFile } from './store-files.js';
import { ownThreadId } from './thread-id.js';

export interface ScrubWorkerData {
  readonly logDirectory: string;
  readonly stateFile: string;
  readonly state: ScrubState;
  /** Not 0: stop. Whoever sets it wakes its waiters. */
  readonly stop: SharedArrayBuffer;
}

/** Read so many bytes on, up to the log's end. */
export interface ScrubOrder {
  readonly end: number;
  readonly bytes: number;
  readonly settings: ScrubSettings;
}

export type ScrubMessage = { readonly threadId: number } | { readonly state: ScrubState } | { readonly failed: string };

/** The state is written no more often than this while it goes on. */
const keepEveryMs = 60_000;
/** Shorter pauses are saved up. */
const leastBrakeMs = 20;

class Scrubber {
  readonly #data: ScrubWorkerData;
  readonly #stop: Int32Array;
  #state: ScrubState;
  #faults: LogFault[] = [];
  /** Kept from slice to slice: to open a log of many segments takes a while. */
  #reader: LogReader | undefined;
  #keptAtMs = Number.NEGATIVE_INFINITY;

  constructor(data: ScrubWorkerData) {
    this.#data = data;
    this.#stop = new Int32Array(data.stop);
    this.#state = data.state;
  }

  get isStopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }

  slice(order: ScrubOrder): ScrubState {
    // A log that ends before what was read is another one (restored from somewhere): from the start, then.
    const from = this.#state.position >= order.end ? 0 : this.#state.position;
    this.#faults = [];
    try {
      const read = this.#read(from, order);
      if (read.to > from) this.#state = afterSlice(this.#state, { from, ...read, end: order.end, faults: this.#faults, atMs: Date.now() });
    } catch (error) {
      this.#drop();
      throw error;
    }
    return this.#state;
  }

  keepNowAndThen(): void {
    if (performance.now() - this.#keptAtMs >= keepEveryMs) this.keep();
  }

  keep(): void {
    replaceFile(this.#data.stateFile, scrubFile(this.#state));
    this.#keptAtMs = performance.now();
  }

  #read(from: number, order: ScrubOrder): { to: number; firstLsn: number; records: number } {
    const reader = this.#readerAt(from);
    const startedMs = performance.now();
    let firstLsn = from;
    for (let records = 0; ; records++) {
      const bytes = reader.position - from;
      this.#brake(brakeMs(bytes, performance.now() - startedMs, order.settings));
      if (bytes >= order.bytes || this.isStopped) return { to: reader.position, firstLsn, records };
      const record = reader.next(order.end);
      if (record === undefined) return { to: order.end, firstLsn, records };
      if (records === 0) firstLsn = record.lsn;
    }
  }

  #readerAt(position: number): LogReader {
    if (this.#reader?.position === position) return this.#reader;
    this.#drop();
    const { logDirectory } = this.#data;
    this.#reader = checkingReader({ directory: logDirectory, position, crc: crc32c, onFault: (fault) => { this.#faults.push(fault); } });
    return this.#reader;
  }

  #drop(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  #brake(pauseMs: number): void {
    if (pauseMs >= leastBrakeMs) Atomics.wait(this.#stop, 0, 0, pauseMs);
  }
}

function run(data: ScrubWorkerData): void {
  const port = parentPort!;
  const scrubber = new Scrubber(data);
  const tell = (message: ScrubMessage): void => port.postMessage(message);
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      tell({ failed: messageOf(error) });
    }
  };
  port.on('message', (order: ScrubOrder | 'stop') => {
    if (order === 'stop') {
      attempt(() => { scrubber.keep(); });
      port.close();
    } else if (!scrubber.isStopped) {
      attempt(() => { tell({ state: scrubber.slice(order) }); });
      attempt(() => { scrubber.keepNowAndThen(); });
    }
  });
  tell({ threadId: ownThreadId() });
}

run(workerData as ScrubWorkerData);
