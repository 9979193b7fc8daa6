/**
 * Reads the records of the log in order from a position. In: the `log/` directory and how far it may be read. Out: a
 * view of one record at a time. Bodies of EXTENT records (the bulk of a log) are only read when asked for.
 *
 * Invariants:
 * 1. Nothing at or beyond `limit` is looked at: what stands there may still be in the making.
 * 2. A record handed out has a plausible header, and its checksum was compared, unless it is an EXTENT in 'headers' mode.
 * 3. A bad record is never silent, nor is a place without one (zeros, a file that is too short): `onDamage` is told, and reading goes on at the next
 *    sound record.
 * 4. A view is good until the next call of `next`.
 */
import { alignRecord, plausibleHeader, recordBytesMax, recordHeaderBytes, recordType, segmentHeaderBytes, soundRecord } from './log-format.js';
import type { Crc } from './log-format.js';
import { readNumberLE } from './ids.js';
import { LogSegments } from './log-segments.js';
import type { Segment, Unreadable } from './log-segments.js';

/** One record, in place. */
export interface RecordView {
  lsn: number;
  /** Header and body, without padding. */
  length: number;
  type: number;
  flags: number;
  aux: number;
  txid: number;
  /** The record stands in `buffer` from `start`; for an EXTENT in 'headers' mode only its header does. */
  buffer: Buffer;
  start: number;
}

export interface Damage {
  /** First bad byte. */
  readonly lsn: number;
  readonly length: number;
  readonly segment: number;
}

export interface LogReaderOptions {
  readonly directory: string;
  readonly position: number;
  readonly crc: Crc;
  /** 'headers': EXTENT bodies are skipped unread and unchecked. */
  readonly bodies: 'headers' | 'all';
  readonly onDamage: (damage: Damage) => void;
  /** Told of blocks that the disk cannot give back, which are then damage; without it they are an error. */
  readonly onUnreadable?: (place: Unreadable) => void;
}

const windowBytes = 256 * 1024;
/** After a skipped body the next read is short: what follows is often another body to skip. */
const windowAfterSkipBytes = 4096;

export class LogReader {
  readonly #segments: LogSegments;
  readonly #options: LogReaderOptions;
  #buffer = Buffer.allocUnsafe(windowBytes);
  #windowStart = 0;
  #windowEnd = 0;
  #segment: Segment | undefined;
  #segmentEnd = Number.POSITIVE_INFINITY;
  #position: number;
  readonly #view: RecordView;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#segments = new LogSegments(options.directory, options.crc, options.onUnreadable);
    this.#position = options.position;
    this.#view = { lsn: 0, length: 0, type: 0, flags: 0, aux: 0, txid: 0, buffer: this.#buffer, start: 0 };
  }

  /** LSN behind the last record handed out. */
  get position(): number {
    return this.#position;
  }

  /** The next record that ends at or before `limit`; undefined when there is none. */
  next(limit: number): RecordView | undefined {
    while (this.#position < limit) {
      if (!this.#enter()) return undefined;
      const end = Math.min(limit, this.#segmentEnd);
      const record = this.#load(recordHeaderBytes, end) ? this.#recordHere(end) : undefined;
      if (record !== undefined) return record;
      if (!this.#entersNext()) this.#skipDamage(limit);
    }
    return undefined;
  }

  close(): void {
    this.#segments.close();
  }

  /** Makes #segment the one that holds the position, and steps over its header. */
  #enter(): boolean {
    if (this.#segment === undefined || this.#position >= this.#segmentEnd) {
      if (!this.#locate(this.#position)) return false;
      this.#position = Math.max(this.#position, this.#segment!.base + segmentHeaderBytes);
    }
    return true;
  }

  #locate(position: number): boolean {
    const found = this.#segments.at(position);
    if (found === undefined) return false;
    this.#segmentEnd = found.next?.base ?? Number.POSITIVE_INFINITY;
    if (found.segment === this.#segment) return true;
    this.#segment = found.segment;
    this.#windowEnd = this.#windowStart = 0;
    if (!found.segment.sound) this.#options.onDamage({ lsn: found.segment.base, length: segmentHeaderBytes, segment: found.segment.number });
    return true;
  }

  /** The segment was the last one when it was entered: has it been followed since, from this very position? */
  #entersNext(): boolean {
    const left = this.#segment;
    if (!this.#locate(this.#position) || this.#segment === left) return false;
    this.#position = this.#segment!.base + segmentHeaderBytes;
    return true;
  }

  #recordHere(end: number): RecordView | undefined {
    const at = this.#position - this.#windowStart;
    if (!plausibleHeader(this.#buffer, at)) return undefined;
    const length = this.#lengthHere();
    if (this.#position + length > end) return undefined;
    const type = this.#buffer[at + 8];
    const skipsBody = (type === recordType.extent || type === recordType.intent) && this.#options.bodies === 'headers';
    if (!skipsBody && !(this.#load(length, end) && soundRecord(this.#buffer, this.#position - this.#windowStart, this.#options.crc))) {
      return undefined;
    }
    this.#fillView(length);
    this.#position += alignRecord(length);
    return this.#view;
  }

  #fillView(length: number): void {
    const view = this.#view;
    const start = this.#position - this.#windowStart;
    view.lsn = this.#position;
    view.length = length;
    view.buffer = this.#buffer;
    view.start = start;
    view.type = this.#buffer[start + 8]!;
    view.flags = this.#buffer[start + 9]!;
    view.aux = this.#buffer.readUInt16LE(start + 10);
    view.txid = readNumberLE(this.#buffer, start + 16);
  }

  /** Moves to the next sound record of this segment, or to the end of what may be read. */
  #skipDamage(limit: number): void {
    const from = this.#position;
    this.#locate(from);
    const end = Math.min(limit, this.#segmentEnd);
    const segment = this.#segment!.number;
    for (this.#position += 8; this.#position < end; this.#position += 8) {
      if (!this.#load(recordHeaderBytes, end)) break;
      if (!plausibleHeader(this.#buffer, this.#position - this.#windowStart)) continue;
      const length = this.#lengthHere();
      if (this.#position + length > end || !this.#load(length, end)) continue;
      if (!soundRecord(this.#buffer, this.#position - this.#windowStart, this.#options.crc)) continue;
      this.#options.onDamage({ lsn: from, length: this.#position - from, segment });
      return;
    }
    this.#position = end;
    this.#options.onDamage({ lsn: from, length: end - from, segment });
  }

  #lengthHere(): number {
    return this.#buffer.readUInt32LE(this.#position - this.#windowStart + 4);
  }

  /** Brings [position, position + length) into the window; false when the log does not have it below `end`. */
  #load(length: number, end: number): boolean {
    if (this.#position >= this.#windowStart && this.#position + length <= this.#windowEnd) return true;
    if (this.#position + length > end) return false;
    const skipped = this.#position > this.#windowEnd && this.#windowEnd > 0;
    const wanted = Math.min(Math.max(length, skipped ? windowAfterSkipBytes : windowBytes), end - this.#position);
    if (wanted > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(Math.max(wanted, recordBytesMax));
    const count = this.#segments.read(this.#segment!, this.#buffer, wanted, this.#position - this.#segment!.base);
    this.#windowStart = this.#position;
    this.#windowEnd = this.#position + count;
    return count >= length;
  }
}
