/**
 * The segments of a log: which file holds a position. In: the `log/` directory. Out: open descriptors and bases.
 *
 * Invariants:
 * 1. Segments stand in order of their bases; the list only grows at its end (until `forget`).
 * 2. At most one descriptor is open at a time.
 * 3. A segment whose header is damaged still has its place: its base follows from the file before it.
 * 4. A block that the disk cannot give back (EIO) is an error, or, where `onUnreadable` is given, told to it and read as bytes that are no record.
 */
import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from './errors.js';
import { decodeSegmentHeader, segmentHeaderBytes } from './log-format.js';
import type { Crc } from './log-format.js';

export interface Segment {
  readonly number: number;
  readonly path: string;
  /** LSN of the first byte. */
  readonly base: number;
  /** false: the header's checksum is wrong. */
  readonly sound: boolean;
}

/** A place in the log that the disk cannot give back. */
export interface Unreadable {
  readonly lsn: number;
  readonly length: number;
}

const namePattern = /^([0-9a-f]{16})\.log$/;
const blockBytes = 4096;

export class LogSegments {
  readonly #directory: string;
  readonly #crc: Crc;
  readonly #onUnreadable: ((place: Unreadable) => void) | undefined;
  #list: Segment[] = [];
  #open: { segment: Segment; fd: number } | undefined;

  constructor(directory: string, crc: Crc, onUnreadable?: (place: Unreadable) => void) {
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

  /** Reads bytes of a segment; returns how many there were. */
  read(segment: Segment, target: Buffer, length: number, fileOffset: number): number {
    if (this.#open?.segment !== segment) {
      this.close();
      this.#open = { segment, fd: openSync(segment.path, 'r') };
    }
    let done = 0;
    while (done < length) {
      const count = this.#readSome(this.#open!.fd, target.subarray(done, length), fileOffset + done, () => segment.base);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #readSome(fd: number, target: Buffer, fileOffset: number, base: () => number): number {
    try {
      return readSync(fd, target, 0, target.length, fileOffset);
    } catch (error) {
      if (this.#onUnreadable === undefined || codeOf(error) !== 'EIO') throw error;
      const length = Math.min(target.length, blockBytes - (fileOffset % blockBytes));
      target.fill(0xff, 0, length);
      this.#onUnreadable({ lsn: base() + fileOffset, length });
      return length;
    }
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
    const path = join(this.#directory, `${number.toString(16).padStart(16, '0')}.log`);
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(segmentHeaderBytes);
      // A file without a header is being made: it counts from the moment it has one.
      if (this.#readSome(fd, bytes, 0, () => this.#baseOfNext()) < segmentHeaderBytes) return undefined;
      const header = decodeSegmentHeader(bytes, this.#crc);
      if (header !== undefined) return { number, path, base: header.base, sound: true };
    } finally {
      closeSync(fd);
    }
    return { number, path, base: this.#baseOfNext(), sound: false };
  }

  /** Where a segment that follows on the last known one begins. */
  #baseOfNext(): number {
    const last = this.#list.at(-1);
    return last === undefined ? 0 : last.base + statSync(last.path).size;
  }
}
