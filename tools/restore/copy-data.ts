/**
 * Copies a file's bytes and keeps its holes. A descriptor to read and one to write (empty) come in.
 *
 * Invariants:
 * 1. What was a hole is not written: holes come from lseek where the file system tells them, and blocks of zeros count as holes
 *    in files that occupy less than their size.
 * 2. The event loop turns at least every `turnMs`, so that Ctrl-C and the progress bar work.
 */
import { fstatSync, ftruncateSync, readSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { writeAll } from '../../engine/write-all.js';
import { files } from '../../native/index.js';

const chunkBytes = 1024 * 1024;
const blockBytes = 4096;
const turnMs = 20;
const zeros = Buffer.alloc(blockBytes);

export interface CopyHooks {
  /** Called with the number of bytes dealt with since the last call. */
  readonly onBytes: (count: number) => void;
  /** Called between chunks; throws to stop. */
  readonly checkpoint: () => void;
}

export async function copyData(source: number, target: number, hooks: CopyHooks): Promise<void> {
  const { size, blocks } = fstatSync(source, { bigint: true });
  const isSparse = blocks * 512n < size;
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let lastTurn = Date.now();
  let position = 0n;
  while (position < size) {
    const start = isSparse ? files.seekData(source, position) : position;
    if (start === undefined) break;
    const end = isSparse ? smaller(files.seekHole(source, start), size) : size;
    hooks.onBytes(Number(start - position));
    for (position = start; position < end; ) {
      hooks.checkpoint();
      const count = readSync(source, buffer, 0, Number(smaller(BigInt(chunkBytes), end - position)), position);
      if (count === 0) throw new Error(`the file ended at ${position} instead of ${size}`);
      writeChunk(target, buffer.subarray(0, count), position, isSparse);
      position += BigInt(count);
      hooks.onBytes(count);
      if (Date.now() - lastTurn > turnMs) {
        await turn();
        lastTurn = Date.now();
      }
    }
  }
  ftruncateSync(target, Number(size));
}

function writeChunk(target: number, chunk: Buffer, position: bigint, isSparse: boolean): void {
  if (!isSparse) {
    writeAll(target, chunk, Number(position));
    return;
  }
  // Runs of blocks that are not all zeros.
  let runStart = -1;
  for (let offset = 0; offset < chunk.length; offset += blockBytes) {
    const block = chunk.subarray(offset, offset + blockBytes);
    const isZero = block.equals(zeros.subarray(0, block.length));
    if (!isZero && runStart < 0) runStart = offset;
    if (isZero && runStart >= 0) {
      writeAll(target, chunk.subarray(runStart, offset), Number(position) + runStart);
      runStart = -1;
    }
  }
  if (runStart >= 0) writeAll(target, chunk.subarray(runStart), Number(position) + runStart);
}

function smaller(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
