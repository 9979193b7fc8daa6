/**
 * The indexer's thread: tails the log and writes the index. In: messages and two shared numbers (how far the log
 * may be read; whether to stop). Out: its thread id, then
 * what it has read and counted after each commit.
 *
 * Invariants:
 * 1. How far the log has been read is stored in the same transaction as the entries that this covers, so reading on after
 *    a crash neither loses nor doubles anything.
 * 2. The log goes before pruning; between two steps of that it is read on.
 * 3. A full disk loses nothing: what could not be written is said, begun again from what the index holds, and tried until there is room.
 * 4. The thread has nothing to do while the log stands still. (That it yields to the application, the main thread sees to.)
 */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { crc32c } from './crc32c.js';
import { isPruningPending } from './floors.js';
import { encodeProgress, progressKey } from './index-keys.js';
import type { Progress } from './index-keys.js';
import { isDiskFull } from './disk-full.js';
import { IndexStore } from './index-store.js';
import { IndexWriter } from './index-writer.js';
import { LogReader } from './log-reader.js';
import { Pruner } from './pruner.js';
import { ownThreadId } from './thread-id.js';

export interface IndexerWorkerData {
  readonly indexDirectory: string;
  readonly logDirectory: string;
  readonly objectsDirectory: string;
  /** [0]: the LSN up to which the log may be read. [1]: not 0 = stop. */
  readonly shared: SharedArrayBuffer;
}

/** The thread's first message. */
export interface IndexerHello {
  readonly threadId: number;
}

export interface IndexerReport {
  readonly progress: Progress;
  /** The disk was full; it is tried again in a while. */
  readonly lacksRoom: boolean;
  /** What the log says is no longer kept has not gone yet. */
  readonly isPruning: boolean;
  /** As Pruner.takeDead, when a pruning has come to its end. */
  readonly dead: readonly number[];
  readonly stopped: boolean;
}

/** Records in one transaction of the index: large enough to make commits cheap, small enough to stay responsive. */
const batchRecords = 5_000;
/** Of a batch that may fit where a larger one did not. */
const leastBatchRecords = 64;
/** How long a full disk is given. */
const fullPauseMs = 300;

function run(data: IndexerWorkerData): void {
  const port = parentPort!;
  const shared = new BigInt64Array(data.shared);
  const store = new IndexStore(data.indexDirectory);
  let progress = store.progress();
  let damaged = progress.damaged;
  const openReader = (): LogReader => new LogReader({
    directory: data.logDirectory, position: progress.readUpTo, crc: crc32c, bodies: 'headers', onDamage: () => { damaged++; },
  });
  const openWriter = (): IndexWriter => new IndexWriter(store, () => { damaged++; });
  let reader = openReader();
  let writer = openWriter();
  let mostRecords = batchRecords;

  const batch = (limit: number): void => {
    store.transact(() => {
      let count = 0;
      let record = reader.next(limit);
      for (; record !== undefined; record = reader.next(limit)) {
        writer.apply(record);
        if (++count === mostRecords) break;
      }
      writer.flush();
      progress = {
        readUpTo: record === undefined ? limit : reader.position,
        transactions: progress.transactions + writer.transactions,
        external: progress.external + writer.external,
        damaged,
        gaps: progress.gaps + writer.gaps,
      };
      writer.transactions = writer.external = writer.gaps = 0;
      store.put(progressKey, encodeProgress(progress));
    });
  };
  const pruner = new Pruner({ index: store, logDirectory: data.logDirectory, objectsDirectory: data.objectsDirectory });
  /** After a transaction that was not committed: what it had counted and remembered is forgotten. */
  const beginAgain = (): void => {
    store.refresh();
    progress = store.progress();
    damaged = progress.damaged;
    reader.close();
    reader = openReader();
    writer = openWriter();
    pruner.beginAgain();
    // What little room is left may do for less.
    mostRecords = Math.max(leastBatchRecords, Math.floor(mostRecords / 4));
  };
  const report = (stopped: boolean, lacksRoom = false): void => {
    const isPruning = !stopped && isPruningPending(store);
    const dead = isPruning ? [] : pruner.takeDead();
    port.postMessage({ progress: { ...progress, damaged }, lacksRoom, isPruning, dead, stopped } satisfies IndexerReport);
  };

  const isWanted = (): boolean => Number(Atomics.load(shared, 0)) > progress.readUpTo;
  let isBusy = false;
  const work = async (): Promise<void> => {
    while (Atomics.load(shared, 1) === 0n) {
      const limit = Number(Atomics.load(shared, 0));
      try {
        if (progress.readUpTo < limit) batch(limit);
        else if (!pruner.step(progress.readUpTo, isWanted)) return report(false);
        mostRecords = Math.min(batchRecords, mostRecords * 2);
        report(false);
      } catch (error) {
        if (!isDiskFull(error, data.indexDirectory)) throw error;
        beginAgain();
        report(false, true);
        await sleep(fullPauseMs);
      }
      // LMDB's cursors are freed by finalizers, and those only run between turns of the event loop.
      await setImmediate();
    }
    reader.close();
    await store.close();
    report(true);
    port.close();
  };
  const wake = (): void => {
    if (isBusy) return;
    isBusy = true;
    // An error ends the thread, as it should: the main thread then knows.
    void work().finally(() => { isBusy = false; });
  };
  port.on('message', wake);
  if (isPruningPending(store)) wake();
}

parentPort!.postMessage({ threadId: ownThreadId() } satisfies IndexerHello);
run(workerData as IndexerWorkerData);
