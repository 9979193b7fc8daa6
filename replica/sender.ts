/**
 * Sends all files of a run: here when they are few, in several threads (each with a connection of its own) when they are many. In: items. Out: their hashes; progress.
 *
 * Invariants:
 * 1. Where the other side takes fewer connections than wanted, fewer are used: one is always enough.
 * 2. The first fault of the destination ends all; what has arrived stays for the next run.
 */
import { fileURLToPath } from 'node:url';
import { MessageChannel } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { DestinationError, Directories } from './destination.js';
import type { Destination } from './destination.js';
import { stagedPlace, workPlace } from './layout.js';
import { Pace } from './pace.js';
import type { TreePlace } from './place.js';
import { sendBatch } from './send-batch.js';
import type { SendItem, SendResult } from './send-batch.js';
import type { BatchAnswer, BatchOrder } from './send-worker.js';

export interface SenderOptions {
  readonly place: TreePlace;
  /** The one connection that is open already. */
  readonly destination: Destination;
  /** Of the snapshot. */
  readonly root: Buffer;
  readonly connections: number;
  readonly bytesPerSecond: number;
  readonly onBytes: (count: number) => void;
  readonly onFiles: (count: number) => void;
}

/** Below both, threads cost more than they bring. */
const fewFiles = 64;
const fewBytes = 8 << 20;
const batchFiles = 64;
const batchBytes = 4 << 20;

/** Results in the order of the items. */
export async function sendAll(options: SenderOptions, items: readonly SendItem[]): Promise<SendResult[]> {
  const bytes = items.reduce((sum, { entry }) => sum + entry.size, 0);
  const isSmall = (items.length <= fewFiles && bytes <= fewBytes) || items.length === 1 || options.connections === 1;
  return isSmall ? sendHere(options, items) : new Threads(options, items).send();
}

async function sendHere(options: SenderOptions, items: readonly SendItem[]): Promise<SendResult[]> {
  const { destination, root, bytesPerSecond, onBytes, onFiles } = options;
  const pace = new Pace(bytesPerSecond);
  const directories = new Directories(destination, workPlace, stagedPlace);
  const results: SendResult[] = [];
  for (const item of items) {
    results.push(...await sendBatch(destination, directories, root, [item], { onBytes: (count) => { onBytes(count); return pace.spend(count); } }));
    onFiles(1);
  }
  return results;
}

class Threads {
  readonly #options: SenderOptions;
  readonly #items: readonly SendItem[];
  readonly #results: SendResult[];
  readonly #batches: { readonly from: number; readonly to: number }[];
  #lanes: number;

  constructor(options: SenderOptions, items: readonly SendItem[]) {
    this.#options = options;
    this.#items = items;
    this.#results = new Array<SendResult>(items.length);
    this.#batches = cut(items);
    this.#lanes = Math.min(options.connections, this.#batches.length);
  }

  async send(): Promise<SendResult[]> {
    // Loaded here, so that runs with few files start quickly.
    const { Piscina } = await import('piscina');
    const pool = new Piscina<BatchOrder, BatchAnswer>({ filename: fileURLToPath(new URL('./send-worker.js', import.meta.url)), minThreads: this.#lanes, maxThreads: this.#lanes, atomics: 'disabled' });
    try {
      await Promise.all(Array.from({ length: this.#lanes }, () => this.#lane(pool)));
    } finally {
      await pool.destroy();
    }
    // Nobody got a second connection: then the first has to do.
    for (let batch = this.#batches.shift(); batch !== undefined; batch = this.#batches.shift()) {
      this.#store(batch.from, await sendHere(this.#options, this.#items.slice(batch.from, batch.to)));
    }
    return this.#results;
  }

  async #lane(pool: Piscina<BatchOrder, BatchAnswer>): Promise<void> {
    const { place, destination, root, bytesPerSecond } = this.#options;
    for (let batch = this.#batches.shift(); batch !== undefined; batch = this.#batches.shift()) {
      const { port1, port2 } = new MessageChannel();
      port1.on('message', ({ bytes, files }: { bytes: number; files: number }) => {
        this.#options.onBytes(bytes);
        this.#options.onFiles(files);
      });
      try {
        const order: BatchOrder = { place, abilities: destination.abilities, root: root.toString('latin1'), items: this.#items.slice(batch.from, batch.to), bytesPerSecond: bytesPerSecond / this.#lanes, port: port2 };
        const answer = await pool.run(order, { transferList: [port2] });
        if ('isBusy' in answer) {
          this.#batches.unshift(batch);
          return;
        }
        if ('fault' in answer) throw new DestinationError(answer.fault.fault, answer.fault.message);
        this.#store(batch.from, answer.results);
      } catch (error) {
        this.#batches.length = 0;
        throw error;
      } finally {
        port1.close();
      }
    }
  }

  #store(from: number, results: readonly SendResult[]): void {
    results.forEach((result, index) => { this.#results[from + index] = result; });
  }
}

function cut(items: readonly SendItem[]): { from: number; to: number }[] {
  const batches: { from: number; to: number }[] = [];
  let [from, bytes] = [0, 0];
  for (const [index, { entry }] of items.entries()) {
    bytes += entry.size;
    if (index + 1 - from < batchFiles && bytes < batchBytes && index + 1 < items.length) continue;
    batches.push({ from, to: index + 1 });
    [from, bytes] = [index + 1, 0];
  }
  return batches;
}
