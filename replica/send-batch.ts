/**
 * Sends a batch of files to the staging area of a destination. Runs where its caller is, or in a thread (send-worker.ts). In: which files. Out: the hash of each, or why a file of the snapshot could not be read.
 *
 * Invariants:
 * 1. A file that cannot be read ends nothing but itself; a fault of the destination ends the batch.
 */
import { codeOf, messageOf } from '../engine/errors.js';
import { DestinationError, Directories } from './destination.js';
import type { Destination, SendHooks } from './destination.js';
import type { Entry } from './entry.js';
import { stagedPlace } from './layout.js';
import { bytesOf, joined, parentOf } from './paths.js';

export interface SendItem {
  readonly entry: Entry;
  /** Its path as stored, from the root of the tree. */
  readonly stored: string;
  /** No earlier run has sent anything of it. */
  readonly isNew: boolean;
}

export interface SendResult {
  readonly sha256?: string;
  /** Of this machine: why it could not be read. */
  readonly failure?: string;
}

const sourceGone = new Set(['ENOTCONN', 'ECONNABORTED', 'ESHUTDOWN']);

/** What ends everything, not one file: a fault of the destination, or the mount that is read from has gone. */
export function endsAll(error: unknown): boolean {
  return error instanceof DestinationError || sourceGone.has(codeOf(error));
}

export async function sendBatch(destination: Destination, directories: Directories, root: Buffer, items: readonly SendItem[], hooks: SendHooks): Promise<SendResult[]> {
  const results: SendResult[] = [];
  for (const { entry, stored, isNew } of items) {
    const target = joined(stagedPlace, stored);
    await directories.ensure(parentOf(target));
    try {
      const sha256 = await destination.send(target, { path: Buffer.concat([root, Buffer.from('/'), bytesOf(entry.path)]), size: entry.size, isNew, attributes: entry }, hooks);
      results.push({ sha256 });
    } catch (error) {
      if (endsAll(error)) throw error;
      await destination.remove(target);
      results.push({ failure: messageOf(error) });
    }
  }
  return results;
}
