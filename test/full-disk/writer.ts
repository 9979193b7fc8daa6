/**
 * A thread that works in a directory of a mount as an application does, syncing each step, and knows what must be there. In: orders. Out: what happened.
 *
 * Invariants:
 * 1. What is `expected` was synced, or a name that was answered for; of a step that failed nobody knows, and what it touched is left out from then on.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../support/seed.js';
import { digestOf, momentName } from './expected.js';
import type { Expected } from './expected.js';

export interface WriterData {
  readonly directory: string;
  readonly seed: number;
  /** What its files take together, more or less. */
  readonly liveBytes: number;
}

/** Work for so long, or until so many steps have failed. */
export interface WriterOrder {
  readonly ms: number;
  readonly failures: number;
}

export interface WriterReport {
  readonly steps: number;
  readonly bytes: number;
  readonly errors: readonly string[];
  /** ms that the longest step took. */
  readonly longestMs: number;
  /** The state now, and at moments between two steps. */
  readonly expected: Expected;
  readonly moments: readonly Moment[];
}

/** What the directory held at a time. `number` stands in the file `momentName`: where another is found there, the moment is gone, and an older one is shown. */
export interface Moment {
  readonly number: number;
  readonly timeMs: number;
  readonly expected: Expected;
}

const blockBytes = 4096;
const blocksInStep = 64;
const blocksInFile = 256;
const momentEveryMs = 700;
/** The kernel's clock, by which transactions are told apart, and ours. */
const apartMs = 4;

class Writer {
  readonly #data: WriterData;
  readonly #random: Random;
  readonly #files = new Map<string, Buffer>();
  readonly #unsure = new Set<string>();
  #serial = 0;
  #bytes = 0;

  constructor(data: WriterData) {
    this.#data = data;
    this.#random = new Random(data.seed);
    mkdirSync(data.directory, { recursive: true });
  }

  work({ ms, failures }: WriterOrder): WriterReport {
    const end = Date.now() + ms;
    const errors: string[] = [];
    const moments: Moment[] = [];
    let steps = 0;
    let longestMs = 0;
    let nextMomentMs = Date.now() + momentEveryMs;
    this.#bytes = 0;
    while (Date.now() < end && errors.length < failures) {
      const startedMs = performance.now();
      try {
        this.#step();
        steps++;
      } catch (error) {
        errors.push((error as NodeJS.ErrnoException).code ?? String(error));
      }
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      if (Date.now() < nextMomentMs) continue;
      const moment = this.#moment();
      if (moment !== undefined) moments.push(moment);
      nextMomentMs = Date.now() + momentEveryMs;
    }
    return { steps, bytes: this.#bytes, errors, longestMs, expected: this.#expected(), moments };
  }

  #expected(): Expected {
    return { files: [...this.#files].map(([name, bytes]) => ({ name, digest: digestOf(bytes) })), unsure: [momentName, ...this.#unsure] };
  }

  #moment(): Moment | undefined {
    const number = ++this.#serial;
    const bytes = Buffer.from(String(number));
    try {
      writeFileSync(join(this.#data.directory, momentName), bytes, { flush: true });
    } catch {
      // The disk is full: no moment then.
      return undefined;
    }
    pause(apartMs);
    const timeMs = Date.now();
    pause(apartMs);
    return { number, timeMs, expected: this.#expected() };
  }

  #step(): void {
    const random = this.#random;
    const names = [...this.#files.keys()];
    const live = [...this.#files.values()].reduce((sum, { length }) => sum + length, 0);
    if (names.length < 2) return this.#write(`file-${this.#serial++}`, 0);
    const name = random.pick(names);
    if (live > this.#data.liveBytes) return this.#remove(name);
    const choice = random.below(100);
    if (choice < 55) return this.#write(name, random.below(this.#files.get(name)!.length / blockBytes));
    if (choice < 70) return this.#write(name, this.#files.get(name)!.length / blockBytes);
    if (choice < 85) return this.#write(`file-${this.#serial++}`, 0);
    if (choice < 93) return this.#remove(name);
    return this.#rename(name, random.oneIn(2) ? random.pick(names) : `file-${this.#serial++}`);
  }

  /** Random bytes from a block on, synced. */
  #write(name: string, block: number): void {
    const before = this.#files.get(name) ?? Buffer.alloc(0);
    const count = Math.max(1, Math.min(1 + this.#random.below(blocksInStep), blocksInFile - block));
    const fresh = this.#random.bytes(count * blockBytes);
    this.#surely([name], () => {
      const fd = openSync(join(this.#data.directory, name), before.length > 0 ? 'r+' : 'w');
      try {
        for (let done = 0; done < fresh.length;) done += writeSync(fd, fresh, done, fresh.length - done, block * blockBytes + done);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
    const after = Buffer.alloc(Math.max(before.length, block * blockBytes + fresh.length));
    before.copy(after);
    fresh.copy(after, block * blockBytes);
    this.#files.set(name, after);
    this.#bytes += fresh.length;
  }

  #remove(name: string): void {
    this.#surely([name], () => { unlinkSync(join(this.#data.directory, name)); });
    this.#files.delete(name);
  }

  #rename(from: string, to: string): void {
    if (from === to) return;
    this.#surely([from, to], () => { renameSync(join(this.#data.directory, from), join(this.#data.directory, to)); });
    this.#files.set(to, this.#files.get(from)!);
    this.#files.delete(from);
  }

  /** Of what failed nobody knows whether it was done. */
  #surely(names: readonly string[], action: () => void): void {
    try {
      action();
    } catch (error) {
      for (const name of names) {
        this.#files.delete(name);
        this.#unsure.add(name);
      }
      throw error;
    }
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

const writer = new Writer(workerData as WriterData);
parentPort!.on('message', (order: WriterOrder) => { parentPort!.postMessage(writer.work(order)); });
