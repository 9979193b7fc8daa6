/**
 * Sends files to packs. In: files of a snapshot, in the order of their paths. Out: of each its hash and its pieces, or why it could not be read.
 *
 * Invariants:
 * 1. A file that cannot be read ends nothing but itself.
 * 2. A piece begins at a multiple of its size, so that bytes overwritten in place leave the other pieces as they were.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { messageOf } from '../../engine/errors.js';
import type { Entry } from '../entry.js';
import { bytesOf } from '../paths.js';
import type { Piece } from '../piece.js';
import type { Progress } from '../progress.js';
import { endsAll } from '../send-batch.js';
import type { Packer } from './packer.js';

const pieceBytes = 1 << 20;

export interface SentFile {
  readonly sha256: string;
  /** None of an empty file. `pack` is right when the packer has been flushed. */
  readonly pieces: readonly Piece[];
}

/** Results by path. `root`: of the snapshot. */
export async function sendFiles(files: readonly Entry[], root: Buffer, packer: Packer, progress: Progress): Promise<Map<string, SentFile | { readonly failure: string }>> {
  const results = new Map<string, SentFile | { readonly failure: string }>();
  for (const entry of files) {
    try {
      results.set(entry.path, await sendFile(entry, root, packer, progress));
    } catch (error) {
      if (endsAll(error)) throw error;
      results.set(entry.path, { failure: messageOf(error) });
    }
    progress.add(1, 0);
  }
  return results;
}

async function sendFile({ path, size }: Entry, root: Buffer, packer: Packer, progress: Progress): Promise<SentFile> {
  const file = await open(Buffer.concat([root, Buffer.from('/'), bytesOf(path)]), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const summing = createHash('sha256');
    const pieces: Piece[] = [];
    for (let position = 0; position < size;) {
      const bytes = Buffer.allocUnsafeSlow(Math.min(pieceBytes, size - position));
      for (let filled = 0; filled < bytes.length;) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled);
        if (bytesRead === 0) throw new Error(`a file of the snapshot ended at ${position + filled} instead of ${size}`);
        filled += bytesRead;
      }
      summing.update(bytes);
      pieces.push(await packer.add(bytes));
      position += bytes.length;
      progress.add(0, bytes.length);
    }
    return { sha256: summing.digest('hex'), pieces };
  } finally {
    await file.close();
  }
}
