/** Small things that a directory as a destination does to files. */
import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { codeOf } from '../engine/errors.js';
import { writeAll } from '../engine/write-all.js';

const blockBytes = 4096;
const zeros = Buffer.alloc(blockBytes);

/** So that the next run can move it: directories stay open to their owner, and without their owners set nothing acts for somebody else. */
export function keptMode(mode: number, isDirectory: boolean, hasOwner: boolean): number {
  const bits = hasOwner ? mode & 0o7777 : mode & 0o777;
  return isDirectory ? bits | 0o700 : bits | 0o400;
}

/** Another thread may make it at the same time. */
export function makeDirectory(path: Buffer): void {
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' || !lstatSync(path).isDirectory()) throw error;
  }
}

export function unlinkIfThere(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** Blocks of zeros of a file with holes are left out. */
export function writeChunk(target: number, chunk: Buffer, position: number, isSparse: boolean): void {
  if (!isSparse) return writeAll(target, chunk, position);
  for (let offset = 0; offset < chunk.length; offset += blockBytes) {
    const block = chunk.subarray(offset, offset + blockBytes);
    if (!block.equals(zeros.subarray(0, block.length))) writeAll(target, block, position + offset);
  }
}

