/**
 * A thread that sends batches of files, with a connection of its own that lives as long as the thread. In: BatchOrder. Out: BatchAnswer; progress through a port.
 *
 * Invariants:
 * 1. A fault of the destination is an answer: an error would lose what it is on its way between threads.
 */
import type { MessagePort } from 'node:worker_threads';
import { DestinationError, Directories } from './destination.js';
import type { Abilities, Destination } from './destination.js';
import { stagedPlace, workPlace } from './layout.js';
import { Pace } from './pace.js';
import { openPlace } from './open-place.js';
import type { TreePlace } from './place.js';
import { sendBatch } from './send-batch.js';
import type { SendItem, SendResult } from './send-batch.js';

export interface BatchOrder {
  readonly place: TreePlace;
  readonly abilities: Abilities;
  /** Of the snapshot, one character a byte. */
  readonly root: string;
  readonly items: readonly SendItem[];
  readonly bytesPerSecond: number;
  readonly port: MessagePort;
}

/** isBusy: there is no second connection to be had. */
export type BatchAnswer = { readonly results: readonly SendResult[] } | { readonly isBusy: true } | { readonly fault: { readonly fault: DestinationError['fault']; readonly message: string } };

const reportMs = 100;

let open: { readonly destination: Destination; readonly directories: Directories; readonly pace: Pace } | undefined;

export default async function send({ place, abilities, root, items, bytesPerSecond, port }: BatchOrder): Promise<BatchAnswer> {
  let bytes = 0;
  let toldAtMs = 0;
  const tell = (files: number): void => {
    port.postMessage({ bytes, files });
    bytes = 0;
    toldAtMs = performance.now();
  };
  try {
    open ??= await connect(place, abilities, bytesPerSecond);
    const { destination, directories, pace } = open;
    const results = await sendBatch(destination, directories, Buffer.from(root, 'latin1'), items, {
      onBytes: (count) => {
        bytes += count;
        if (performance.now() - toldAtMs > reportMs) tell(0);
        return pace.spend(count);
      },
    });
    tell(items.length);
    return { results };
  } catch (error) {
    if (!(error instanceof DestinationError)) throw error;
    if (error.fault === 'busy' && open === undefined) return { isBusy: true };
    return { fault: { fault: error.fault, message: error.message } };
  } finally {
    port.close();
  }
}

async function connect(place: TreePlace, abilities: Abilities, bytesPerSecond: number): Promise<NonNullable<typeof open>> {
  const destination = await openPlace(place, abilities);
  return { destination, directories: new Directories(destination, workPlace, stagedPlace), pace: new Pace(bytesPerSecond) };
}
