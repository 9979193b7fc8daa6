/**
 * The thread that packs segments of the log: reading and writing them would hold up whoever asks the main thread. In: one job after the other, each a segment.
 * Out: its thread id first, then for each job what came of it.
 *
 * Invariants:
 * 1. What a record is needed for is asked of the index as it was when the first job came: nothing is pruned while the thread lives.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { crc32c } from './crc32c.js';
import { codeOf, messageOf } from './errors.js';
import { IndexStore } from './index-store.js';
import { Living } from './living.js';
import { packSegment } from './segment-packing.js';
import type { PackOptions, PackResult } from './segment-packing.js';
import { ownThreadId } from './thread-id.js';

export interface PackingWorkerData {
  readonly logDirectory: string;
  readonly indexDirectory: string;
}

export type PackingJob = Pick<PackOptions, 'segment' | 'packableBelow' | 'ownBytes'>;

export type PackingAnswer = { readonly threadId: number } | { readonly result: PackResult } | { readonly error: { readonly code: string; readonly message: string } };

function run({ logDirectory, indexDirectory }: PackingWorkerData): void {
  const port = parentPort!;
  const index = new IndexStore(indexDirectory);
  let living: Living | undefined;
  const pack = (job: PackingJob): PackResult => {
    const needs = living ??= new Living(index);
    return packSegment({ directory: logDirectory, crc: crc32c, ...job }, (record) => needs.needs(record));
  };
  port.postMessage({ threadId: ownThreadId() } satisfies PackingAnswer);
  port.on('message', (job: PackingJob | 'stop') => {
    if (job === 'stop') {
      void index.close().then(() => { port.close(); });
      return;
    }
    try {
      port.postMessage({ result: pack(job) } satisfies PackingAnswer);
    } catch (error) {
      port.postMessage({ error: { code: codeOf(error), message: messageOf(error) } } satisfies PackingAnswer);
    }
  });
}

run(workerData as PackingWorkerData);
