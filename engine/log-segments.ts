/**
 * The segments of a log: which file holds a position, and where in it. In: the `log/` directory. Out: segments and their bytes.
 *
 * Invariants:
 * 1. Segments stand in order of their bases; the list only grows at its end.
 * 2. At most one segment is open at a time. What is told of it, and what is read, comes from the one file that was opened, also when another one has
 *    taken its place since (a packed one, with fewer records at the same positions).
 * 3. A segment whose header is damaged still has its place: its base follows from the file before it.
 * 4. A block that the disk cannot give back (EIO) is an error, or, where `onUnreadable` is given, told to it and read as bytes that are no record.
 */
import { closeSync, fstatSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from './errors.js';
import { decodeSegmentHeader, segmentFileName, segmentHeaderBytes, segmentKind } from './log-format.js';
import type { Crc, SegmentHeader } from './log-format.js';
import { decodeRunTable, runTableBytes, runTableHeadBytes } from './run-table.js';
import type { RunTable } from './run-table.js';

export interface Segment {
  readonly number: number;
  readonly path: string;
  /** LSN of the first byte. */
  readonly base: number;
}

/** A segment whose file is open. */
export interface OpenSegment extends Segment {
  /** Undefined: its checksum is wrong. */
  readonly header: SegmentHeader | undefined;
  /** What a packed segment holds; 'damaged': nobody can tell. Undefined for one that is not packed: everything. */
  readonly runs: RunTable | 'damaged' | undefined;
}

/**
 * Told of blocks that the disk cannot give back, by their place in a segment's file. `base`: they are of the header or table of the segment with this base; undefined: of
 * records in the open one.
 */
export type OnUnreadable = (fileOffset: number, length: number, base: number | undefined) => void;

const blockBytes = 4096;
const namePattern = /^([0-9a-f]{16})\.log$/;

export class LogSegments {
  readonly #directory: string;
  readonly #crc: Crc;
  readonly #onUnreadable: OnUnreadable | undefined;
  #list: Segment[] = [];
  #open: { readonly segment: OpenSegment; readonly fd: number } | undefined;

  constructor(directory: string, crc: Crc, onUnreadable?: OnUnreadable) {
    this.#directory = directory;
    this.#crc = crc;
    this.#onUnreadable = onUnreadable;
  }

  /** All segments, oldest first, as the directory has them now. */
  refresh(): readonly Segment[] {
    const last = this.#list.at(-1)?.number ?? 0;
    const numbers = readdirSync(this.#directory)
      .map((name) => namePattern.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map((digits) => Number.parseInt(digits, 16))
      .filter((number) => number > last)
      .sort((a, b) => a - b);
    for (const number of numbers) {
      const segment = this.#describe(number);
      if (segment !== undefined) this.#list.push(segment);
    }
    return this.#list;
  }

  /** The segment that holds a position and the one after it, when there is one. A position before all history gives the first. */
  at(position: number): { segment: Segment; next: Segment | undefined } | undefined {
    let index = this.#find(position);
    // The last known one may have ended since: look for younger ones.
    if (index === this.#list.length - 1) {
      this.refresh();
      index = this.#find(position);
    }
    const segment = this.#list[Math.max(index, 0)];
    return segment === undefined ? undefined : { segment, next: this.#list[Math.max(index, 0) + 1] };
  }

  /** Opens a segment in the place of the one that is open, unless it is that one. */
  open(segment: Segment): OpenSegment {
    if (this.#open?.segment.number === segment.number) return this.#open.segment;
    this.close();
    const fd = openSync(segment.path, 'r');
    try {
      const opened = { ...segment, ...this.#examine(fd, segment.base) };
      this.#open = { segment: opened, fd };
      return opened;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Reads bytes of the open segment; returns how many there were. */
  read(target: Buffer, length: number, fileOffset: number): number {
    if (this.#open === undefined) throw new Error('no segment is open');
    return this.#readFully(this.#open.fd, target.subarray(0, length), fileOffset, undefined);
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #find(position: number): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#list[middle]!.base <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #describe(number: number): Segment | undefined {
    const path = join(this.#directory, segmentFileName(number));
    const bytes = this.#headerBytesOf(path);
    // A file without a header is being made: it counts from the moment it has one.
    if (bytes === undefined) return undefined;
    return { number, path, base: decodeSegmentHeader(bytes, this.#crc)?.base ?? this.#endOfLast() };
  }

  #endOfLast(): number {
    const last = this.#list.at(-1);
    if (last === undefined) return 0;
    const header = decodeSegmentHeader(this.#headerBytesOf(last.path) ?? Buffer.alloc(0), this.#crc);
    return last.base + (header?.packedBytes ?? statSync(last.path).size);
  }

  #examine(fd: number, base: number): Pick<OpenSegment, 'header' | 'runs'> {
    const bytes = Buffer.alloc(segmentHeaderBytes);
    this.#readFully(fd, bytes, 0, base);
    const header = decodeSegmentHeader(bytes, this.#crc);
    const kind = segmentKind(bytes);
    if (kind === 'plain') return { header, runs: undefined };
    const runs = this.#runs(fd, base, header?.packedBytes ?? Number.POSITIVE_INFINITY);
    // With damage in its first bytes it may be either; a sound table is never there by chance.
    return { header, runs: kind === 'packed' ? runs ?? 'damaged' : runs };
  }

  #runs(fd: number, base: number, segmentBytes: number): RunTable | undefined {
    const head = Buffer.alloc(runTableHeadBytes);
    const fileBytes = fstatSync(fd).size;
    if (this.#readFully(fd, head, segmentHeaderBytes, base) < head.length || runTableBytes(head) > fileBytes) return undefined;
    const bytes = Buffer.alloc(runTableBytes(head));
    const count = this.#readFully(fd, bytes, segmentHeaderBytes, base);
    return decodeRunTable(bytes.subarray(0, count), { segmentBytes, fileBytes }, this.#crc);
  }

  /** Undefined when the file is shorter. */
  #headerBytesOf(path: string): Buffer | undefined {
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(segmentHeaderBytes);
      // Told when the segment is opened.
      return readFully(fd, bytes, 0, this.#onUnreadable && (() => {})) < bytes.length ? undefined : bytes;
    } finally {
      closeSync(fd);
    }
  }

  #readFully(fd: number, target: Buffer, fileOffset: number, base: number | undefined): number {
    const tell = this.#onUnreadable;
    return readFully(fd, target, fileOffset, tell && ((offset, length) => { tell(offset, length, base); }));
  }
}

/** How many bytes there were: fewer only at the end of the file. */
function readFully(fd: number, target: Buffer, fileOffset: number, onUnreadable: ((fileOffset: number, length: number) => void) | undefined): number {
  let done = 0;
  while (done < target.length) {
    const count = readSome(fd, target.subarray(done), fileOffset + done, onUnreadable);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function readSome(fd: number, target: Buffer, fileOffset: number, onUnreadable: ((fileOffset: number, length: number) => void) | undefined): number {
  try {
    return readSync(fd, target, 0, target.length, fileOffset);
  } catch (error) {
    if (onUnreadable === undefined || codeOf(error) !== 'EIO') throw error;
    const length = Math.min(target.length, blockBytes - (fileOffset % blockBytes));
    target.fill(0xff, 0, length);
    onUnreadable(fileOffset, length);
    return length;
  }
}
