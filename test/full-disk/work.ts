/**
 * Applications at work on a small disk that is full of history, and a checker outside: writers that fill it again and again, what they must find, and what older moments must
 * still show. In: a mount on a loop device. Out: complaints; none is well.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Mount } from '../support/mount.js';
import type { Random } from '../support/seed.js';
import { differences, momentName } from './expected.js';
import type { Moment, WriterData, WriterOrder, WriterReport } from './writer.js';

/** Of the past so many moments are compared at a time: who looks at a moment holds it for ten minutes, and what is in use cannot be given up. */
const momentsCompared = 3;
const fillerBytes = 4 << 20;
const mebibyte = 1 << 20;

export interface Outcome {
  readonly steps: number;
  readonly bytes: number;
  readonly longestMs: number;
  readonly errors: readonly string[];
}

export class FullDisk {
  readonly #mount: Mount;
  readonly #random: Random;
  readonly #writers: { readonly name: string; readonly worker: Worker; report: WriterReport | undefined }[] = [];
  readonly #moments: (Moment & { readonly name: string })[] = [];
  #pinned: Buffer | undefined;

  constructor(mount: Mount, random: Random) {
    this.#mount = mount;
    this.#random = random;
  }

  /** Starts writers, each in a directory of its own; and pins the state before them. */
  async begin(count: number, liveBytes: number): Promise<void> {
    this.#pinned = this.#random.bytes(300_000);
    writeFileSync(this.#mount.path('pinned'), this.#pinned);
    await this.#mount.cliWell('pin', this.#mount.mountpoint, 'start');
    writeFileSync(this.#mount.path('pinned'), this.#random.bytes(300_000));
    for (let number = 0; number < count; number++) {
      const name = `writer-${number}`;
      const workerData: WriterData = { directory: this.#mount.path(name), seed: this.#random.below(2 ** 32), liveBytes: liveBytes / count };
      this.#writers.push({ name, worker: new Worker(new URL('./writer.js', import.meta.url), { workerData }), report: undefined });
    }
  }

  /** Fills the disk with history: a file that is written again and again. */
  fill(bytes: number): void {
    const content = this.#random.bytes(64 << 10);
    const path = this.#mount.path('filler');
    const fd = openSync(path, 'w');
    for (let written = 0; written < bytes; written += content.length) {
      content.writeUInt32LE(written);
      writeSync(fd, content, 0, content.length, written % fillerBytes);
      if (written % fillerBytes === 0) fsyncSync(fd);
    }
    closeSync(fd);
  }

  /** All of them work side by side. */
  async work(order: WriterOrder): Promise<Outcome> {
    const reports = await Promise.all(this.#writers.map(async (writer) => {
      const done = new Promise<WriterReport>((resolve, reject) => {
        writer.worker.once('message', resolve);
        writer.worker.once('error', reject);
      });
      writer.worker.postMessage(order);
      writer.report = await done;
      this.#moments.push(...writer.report.moments.map((moment) => ({ ...moment, name: writer.name })));
      return writer.report;
    }));
    const sum = (value: (report: WriterReport) => number): number => reports.reduce((total, report) => total + value(report), 0);
    return {
      steps: sum(({ steps }) => steps), bytes: sum(({ bytes }) => bytes), longestMs: Math.max(...reports.map(({ longestMs }) => longestMs)), errors: reports.flatMap(({ errors }) => errors),
    };
  }

  /** What was synced is there. */
  live(): string[] {
    return this.#writers.flatMap(({ name, report }) => (report === undefined ? [] : differences(this.#mount.path(name), report.expected)));
  }

  /** What is pinned, and some moments since this was last asked that have not been given up, read as they did. */
  past(): { readonly compared: number; readonly gone: number; readonly complaints: string[] } {
    const complaints: string[] = [];
    const pinned = this.#mount.path('.snapshots', '@start', 'pinned');
    if (this.#pinned !== undefined && !readFileSync(pinned).equals(this.#pinned)) complaints.push(`${pinned} has other bytes`);
    const moments = this.#moments.splice(0).sort((a, b) => a.timeMs - b.timeMs);
    const there = moments.filter(({ name, timeMs, number }) => readIfThere(join(this.#path(timeMs), name, momentName)) === String(number));
    // The oldest are the first that a fault would show in.
    for (const { name, timeMs, expected } of there.slice(0, momentsCompared)) complaints.push(...differences(join(this.#path(timeMs), name), expected));
    return { compared: Math.min(there.length, momentsCompared), gone: moments.length - there.length, complaints };
  }

  async close(): Promise<void> {
    await Promise.all(this.#writers.map(({ worker }) => worker.terminate()));
  }

  #path(timeMs: number): string {
    return this.#mount.path('.snapshots', `@${new Date(timeMs).toISOString().replaceAll(':', '-')}`);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESTALE: it is being given up.
    if (code === 'ENOENT' || code === 'ESTALE') return undefined;
    throw error;
  }
}

/** What of the history may not be given up: what is younger. */
export async function keepAtLeast(mount: Mount, time: string): Promise<void> {
  await mount.cliWell('policy', mount.mountpoint, '--ladder', '2h:all', '--at-least', time);
  await sleep(300);
}

/** Takes all there is, as another program may. */
export function fillDisk(path: string): void {
  for (let bytes = mebibyte; bytes >= 4096; bytes /= 4) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes, 1), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}
