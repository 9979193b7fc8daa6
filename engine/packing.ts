/**
 * Has segments of the log packed by threads of its own, and the addon read on in what came of it. In: positions whose records may have lost their need. Out: how many
 * bytes came free.
 *
 * Invariants:
 * 1. Each segment by itself, two at a time. One that cannot be packed stays as it is, is told of, and the others go on; for which the disk had no room, it is tried again when others have
 *    given some.
 * 2. The threads end with the work, also when that fails.
 */
import { Worker } from 'node:worker_threads';
import { crc32c } from './crc32c.js';
import { LogSegments } from './log-segments.js';
import type { Segment } from './log-segments.js';
import type { NativeAddon, NativeVolume } from './native.js';
import type { PackingAnswer, PackingJob, PackingWorkerData } from './packing-worker.js';
import type { PackResult } from './segment-packing.js';
import type { StoreFiles } from './store-files.js';

export interface PackingOptions {
  readonly files: StoreFiles;
  readonly native: NativeVolume;
  readonly addon: NativeAddon;
  readonly say: (line: string) => void;
}

/** Most of the work is reading and comparing checksums, at the lowest priority. */
const threadsMost = 2;
/** A thread's JavaScript heap. */
const workerHeapMb = 64;

/** Log positions from the first up to the second. */
export type Range = readonly [number, number];

export interface Packed {
  /** Given back. */
  readonly bytes: number;
  /** The ranges that are not packed yet: in the newest segments, or there was no room. */
  readonly left: readonly Range[];
}

/** Packs the segments that hold any of the ranges. */
export async function packRanges(options: PackingOptions, ranges: readonly Range[]): Promise<Packed> {
  const { files, native, addon } = options;
  const packableBelow = Number(native.packableBelow());
  const segments = new LogSegments(files.log, crc32c).refresh();
  const endOf = (index: number): number => segments[index + 1]?.base ?? Infinity;
  const wanted = segments.filter(({ base }, index) => endOf(index) <= packableBelow && ranges.some(([from, to]) => from < endOf(index) && to > base));
  const young = ranges.filter(([, to]) => to > packableBelow);
  if (wanted.length === 0) return { bytes: 0, left: young };
  const threads = Array.from({ length: Math.min(threadsMost, wanted.length) }, () => new PackingThread({ logDirectory: files.log, indexDirectory: files.index }, (id) => { addon.setThreadIdle(id, true); }));
  let bytes = 0;
  const pack = async (some: readonly Segment[]): Promise<Segment[]> => {
    const lacking: Segment[] = [];
    const queue = some.values();
    await Promise.all(threads.map(async (thread) => {
      for (const segment of queue) {
        const answer = await thread.pack({ segment: segment.number, packableBelow, ownBytes: addon.unsharedBytes(segment.path) });
        if (!('error' in answer)) {
          const given = await take(native, segment.number, answer.result);
          bytes += given;
        } else if (answer.error.code === 'ENOSPC') lacking.push(segment);
        else options.say(answer.error.message);
      }
    }));
    return lacking;
  };
  try {
    let lacking = await pack(wanted);
    if (lacking.length > 0 && bytes > 0) lacking = await pack(lacking);
    return { bytes, left: [...young, ...lacking.map(({ base }): Range => [base, base + 1])] };
  } finally {
    await Promise.all(threads.map((thread) => thread.stop()));
  }
}

async function take(native: NativeVolume, segment: number, { isPacked, bytesBefore, bytesAfter }: PackResult): Promise<number> {
  if (!isPacked) return 0;
  await native.replaceSegment(segment);
  return bytesBefore - bytesAfter;
}

class PackingThread {
  readonly #worker: Worker;
  #settle: { readonly resolve: (answer: Exclude<PackingAnswer, { threadId: number }>) => void; readonly reject: (error: Error) => void } | undefined;
  readonly #exited: Promise<void>;

  constructor(workerData: PackingWorkerData, onStart: (threadId: number) => void) {
    this.#worker = new Worker(new URL('./packing-worker.js', import.meta.url), { workerData, resourceLimits: { maxOldGenerationSizeMb: workerHeapMb }, name: 'packing' });
    this.#worker.on('message', (answer: PackingAnswer) => {
      if ('threadId' in answer) onStart(answer.threadId);
      else this.#settle?.resolve(answer);
    });
    this.#worker.on('error', (error) => { this.#settle?.reject(error); });
    this.#exited = new Promise((resolve) => this.#worker.on('exit', () => { resolve(); }));
  }

  pack(job: PackingJob): Promise<Exclude<PackingAnswer, { threadId: number }>> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#worker.postMessage(job);
    });
  }

  async stop(): Promise<void> {
    this.#worker.postMessage('stop');
    await this.#exited;
  }
}
