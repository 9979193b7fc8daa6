/**
 * The table of a packed segment, which says where in its file each record stands that is left (docs/FORMAT.md). In: runs, or a table's bytes. Out: the
 * other.
 *
 * Invariants:
 * 1. A table has been checked: its checksum is right; its runs stand in order, do not overlap, and lie in the segment and in the file.
 * 2. decode(encode(runs)) holds these runs.
 */
import { recordAlignment, segmentHeaderBytes } from './log-format.js';
import type { Crc } from './log-format.js';

/** Records that stand side by side, in the log and in the file. */
export interface Run {
  /** Of the first byte, from the base of the segment. */
  readonly offset: number;
  readonly length: number;
}

/** What stands before the runs: their number and a checksum. */
export const runTableHeadBytes = 8;
const runBytes = 8;

/** How long the table is, from the segment's header on, whose first `runTableHeadBytes` are given. */
export function runTableBytes(head: Buffer): number {
  return runTableHeadBytes + head.readUInt32LE(0) * runBytes;
}

export function encodeRunTable(runs: readonly Run[], crc: Crc): Buffer {
  const bytes = Buffer.alloc(runTableHeadBytes + runs.length * runBytes);
  bytes.writeUInt32LE(runs.length, 0);
  runs.forEach(({ offset, length }, index) => {
    bytes.writeUInt32LE(offset, runTableHeadBytes + index * runBytes);
    bytes.writeUInt32LE(length, runTableHeadBytes + index * runBytes + 4);
  });
  bytes.writeUInt32LE(checksum(bytes, crc), 4);
  return bytes;
}

export interface RunTableBounds {
  /** How long the segment was before it was packed. */
  readonly segmentBytes: number;
  readonly fileBytes: number;
}

/** Undefined when the table is damaged. */
export function decodeRunTable(bytes: Buffer, bounds: RunTableBounds, crc: Crc): RunTable | undefined {
  if (bytes.length < runTableHeadBytes || bytes.length !== runTableBytes(bytes) || checksum(bytes, crc) !== bytes.readUInt32LE(4)) return undefined;
  const count = bytes.readUInt32LE(0);
  const offsets = new Uint32Array(count);
  const fileOffsets = new Uint32Array(count + 1);
  let least = segmentHeaderBytes;
  let fileOffset = segmentHeaderBytes + bytes.length;
  for (let index = 0; index < count; index++) {
    const offset = bytes.readUInt32LE(runTableHeadBytes + index * runBytes);
    const length = bytes.readUInt32LE(runTableHeadBytes + index * runBytes + 4);
    if (offset < least || length === 0 || (offset | length) % recordAlignment !== 0) return undefined;
    offsets[index] = offset;
    fileOffsets[index] = fileOffset;
    least = offset + length;
    fileOffset += length;
  }
  fileOffsets[count] = fileOffset;
  return least <= bounds.segmentBytes && fileOffset <= bounds.fileBytes ? new RunTable(offsets, fileOffsets) : undefined;
}

export class RunTable {
  readonly #offsets: Uint32Array;
  /** One more than runs: its length follows from where the next begins. */
  readonly #fileOffsets: Uint32Array;

  constructor(offsets: Uint32Array, fileOffsets: Uint32Array) {
    this.#offsets = offsets;
    this.#fileOffsets = fileOffsets;
  }

  get size(): number {
    return this.#offsets.length;
  }

  /** The first run that has bytes at or behind an offset, and where in the file it begins. */
  from(offset: number): (Run & { readonly fileOffset: number }) | undefined {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle]! + this.#length(middle) <= offset) low = middle + 1;
      else high = middle;
    }
    return low === this.size ? undefined : { offset: this.#offsets[low]!, length: this.#length(low), fileOffset: this.#fileOffsets[low]! };
  }

  #length(index: number): number {
    return this.#fileOffsets[index + 1]! - this.#fileOffsets[index]!;
  }
}

/** Of the number of runs and the runs. */
function checksum(bytes: Buffer, crc: Crc): number {
  return crc(bytes.subarray(runTableHeadBytes), crc(bytes.subarray(0, 4)));
}
