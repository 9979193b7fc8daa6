/**
 * Has segments of the log packed by a thread of its own, and the addon read on in what came of it. In: positions whose records may have lost their need. Out: how many
 * bytes came free.
 *
 * Invariants:
 * 1. One segment at a time. One that cannot be packed stays as it is, is told of, and the others go on.
 * 2. The thread ends with the work, also when that fails.
 */
import { Worker } from 'node:worker_threads';
import { crc32c } from './crc32c.js';
import { LogSegments } from './log-segments.js';
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

/** The thread's JavaScript heap. */
const workerHeapMb = 64;

/** Packs the segments that hold any of the ranges [from, to) of log positions. Returns the bytes given back. */
export async function packRanges(options: PackingOptions, ranges: readonly (readonly [number, number])[]): Promise<number> {
  const { files, native, addon } = options;
  const packableBelow = Number(native.packableBelow());
  const segments = new LogSegments(files.log, crc32c).refresh();
  const wanted = segments.filter(({ base }, index) => {
    const end = segments[index + 1]?.base ?? Infinity;
    return end <= packableBelow && ranges.some(([from, to]) => from < end && to > base);
  });
  if (wanted.length === 0) return 0;
  const thread = new PackingThread({ logDirectory: files.log, indexDirectory: files.index }, (id) => { addon.setThreadIdle(id, true); });
  let bytes = 0;
  try {
    for (const { number, path } of wanted) {
      const answer = await thread.pack({ segment: number, packableBelow, ownBytes: addon.unsharedBytes(path) });
      if ('error' in answer) options.say(answer.error.message);
      else bytes += await take(native, number, answer.result);
    }
  } finally {
    await thread.stop();
  }
  return bytes;
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
