/**
 * Reads the records of the log in order from a position. In: the `log/` directory and how far it may be read. Out: a
 * view of one record at a time. Bodies of EXTENT records (the bulk of a log) are only read when asked for.
 *
 * Records are read stretch by stretch: LSNs of one segment that stand side by side in its file. A segment is one stretch; of a packed one, each run is.
 *
 * Invariants:
 * 1. Nothing at or beyond `limit` is looked at: what stands there may still be in the making. (Nothing is, in a packed segment.)
 * 2. A record handed out has a plausible header, and its checksum was compared, unless it is an EXTENT in 'headers' mode.
 * 3. A bad record is never silent: `onDamage` is told, and reading goes on at the next sound record.
 * 4. Every byte below `limit` is of a record that was handed out, of its padding, of a segment's header, left out by packing, or of damage that was told.
 * 5. A view is good until the next call of `next`.
 */
import { alignRecord, plausibleHeader, recordBytesMax, recordHeaderBytes, recordType, segmentHeaderBytes, soundRecord } from './log-format.js';
import type { Crc } from './log-format.js';
import { readNumberLE } from './ids.js';
import { LogSegments } from './log-segments.js';
import type { OpenSegment, Segment } from './log-segments.js';

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

/** A place in the log that the disk cannot give back. */
export interface Unreadable {
  readonly lsn: number;
  readonly length: number;
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

interface Stretch {
  readonly segment: OpenSegment;
  /** LSN of the first record. */
  readonly start: number;
  /** LSN behind the last one; Infinity while nobody knows. */
  readonly end: number;
  /** Where the first record stands. */
  readonly fileOffset: number;
}

export class LogReader {
  readonly #segments: LogSegments;
  readonly #options: LogReaderOptions;
  #buffer = Buffer.allocUnsafe(windowBytes);
  /** Which part of the segment's file stands in the buffer, and which LSN of the stretch would stand at its first byte. */
  #windowStart = 0;
  #windowBytes = 0;
  #windowLsn = 0;
  #stretch: Stretch | undefined;
  #stretchEnd = 0;
  #position: number;
  #omissions = 0;
  readonly #view: RecordView;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    const { onUnreadable } = options;
    this.#segments = new LogSegments(options.directory, options.crc, onUnreadable && ((fileOffset, length, base) => {
      const lsn = base === undefined ? this.#windowLsn - this.#windowStart + fileOffset : base + fileOffset;
      onUnreadable({ lsn, length });
    }));
    this.#position = options.position;
    this.#view = { lsn: 0, length: 0, type: 0, flags: 0, aux: 0, txid: 0, buffer: this.#buffer, start: 0 };
  }

  /** LSN behind the last record handed out. */
  get position(): number {
    return this.#position;
  }

  /** Grows wherever records may have been left out by packing. */
  get omissions(): number {
    return this.#omissions;
  }

  /** The next record that ends at or before `limit`; undefined when there is none. */
  next(limit: number): RecordView | undefined {
    while (this.#position < limit) {
      // What was left out by packing may reach beyond the limit.
      if (!this.#enter() || this.#position >= limit) return undefined;
      const stretchEnd = this.#stretchEnd;
      const end = Math.min(limit, stretchEnd);
      if (this.#load(recordHeaderBytes, end) && this.#lengthHere() !== 0) {
        const record = this.#recordHere(end);
        if (record !== undefined) return record;
      } else if ((stretchEnd > limit || stretchEnd === Number.POSITIVE_INFINITY) && this.#wasFollowed()) {
        continue;
      }
      this.#skipDamage(limit);
    }
    return undefined;
  }

  close(): void {
    this.#segments.close();
  }

  /** Makes the stretch that holds the position the present one, or the next one behind it. */
  #enter(): boolean {
    if (this.#position >= this.#stretchEnd && !this.#locate(this.#position)) return false;
    this.#position = Math.max(this.#position, this.#stretch!.start);
    return true;
  }

  #locate(position: number): boolean {
    let found = this.#segments.at(position);
    while (found !== undefined) {
      const stretch = stretchFrom(position, this.#open(found), found.next);
      if (stretch !== undefined) {
        if (stretch.segment.runs !== undefined && stretch.start !== this.#stretch?.start) this.#omissions++;
        this.#stretch = stretch;
        this.#stretchEnd = stretch.end;
        this.#windowLsn = stretch.start - stretch.fileOffset + this.#windowStart;
        return true;
      }
      // Nothing is left in it from there on.
      this.#omissions++;
      found = found.next === undefined ? undefined : this.#segments.at(found.next.base);
    }
    return false;
  }

  #open({ segment, next }: { segment: Segment; next: Segment | undefined }): OpenSegment {
    const opened = this.#segments.open(segment);
    if (opened.number === this.#stretch?.segment.number) return opened;
    this.#windowStart = this.#windowBytes = 0;
    if (opened.runs === 'damaged') this.#options.onDamage({ lsn: opened.base, length: endOf(opened, next) - opened.base, segment: opened.number });
    else if (opened.header === undefined) this.#options.onDamage({ lsn: opened.base, length: segmentHeaderBytes, segment: opened.number });
    return opened;
  }

  /** The segment was the last one when it was entered, and has no more records: true when it was followed since. */
  #wasFollowed(): boolean {
    const left = this.#stretch;
    if (!this.#locate(this.#position)) return false;
    if (this.#stretch!.start === left!.start && this.#stretch!.end === left!.end) return false;
    this.#windowBytes = 0;
    return true;
  }

  #recordHere(end: number): RecordView | undefined {
    const at = this.#inBuffer();
    if (!plausibleHeader(this.#buffer, at)) return undefined;
    const length = this.#lengthHere();
    if (this.#position + length > end) return undefined;
    const type = this.#buffer[at + 8];
    const skipsBody = (type === recordType.extent || type === recordType.intent) && this.#options.bodies === 'headers';
    if (!skipsBody && !(this.#load(length, end) && soundRecord(this.#buffer, this.#inBuffer(), this.#options.crc))) return undefined;
    this.#fillView(length);
    this.#position += alignRecord(length);
    return this.#view;
  }

  #fillView(length: number): void {
    const view = this.#view;
    const start = this.#inBuffer();
    view.lsn = this.#position;
    view.length = length;
    view.buffer = this.#buffer;
    view.start = start;
    view.type = this.#buffer[start + 8]!;
    view.flags = this.#buffer[start + 9]!;
    view.aux = this.#buffer.readUInt16LE(start + 10);
    view.txid = readNumberLE(this.#buffer, start + 16);
  }

  /** Moves to the next sound record of this stretch, or to the end of what may be read. */
  #skipDamage(limit: number): void {
    const from = this.#position;
    this.#locate(from);
    const { number: segment } = this.#stretch!.segment;
    const end = Math.min(limit, this.#stretchEnd);
    for (this.#position += 8; this.#position < end; this.#position += 8) {
      if (!this.#load(recordHeaderBytes, end)) break;
      if (!plausibleHeader(this.#buffer, this.#inBuffer())) continue;
      const length = this.#lengthHere();
      if (this.#position + length > end || !this.#load(length, end)) continue;
      if (!soundRecord(this.#buffer, this.#inBuffer(), this.#options.crc)) continue;
      this.#options.onDamage({ lsn: from, length: this.#position - from, segment });
      return;
    }
    this.#position = end;
    this.#options.onDamage({ lsn: from, length: end - from, segment });
  }

  #lengthHere(): number {
    return this.#buffer.readUInt32LE(this.#inBuffer() + 4);
  }

  #inBuffer(): number {
    return this.#position - this.#windowLsn;
  }

  /** Brings [position, position + length) into the window; false when the log does not have it below `end`. */
  #load(length: number, end: number): boolean {
    if (this.#position + length > end) return false;
    const at = this.#inBuffer();
    if (at >= 0 && at + length <= this.#windowBytes) return true;
    const skipped = at > this.#windowBytes && this.#windowBytes > 0;
    const readable = this.#stretch!.segment.runs === undefined ? end - this.#position : Number.POSITIVE_INFINITY;
    const wanted = Math.min(Math.max(length, skipped ? windowAfterSkipBytes : windowBytes), readable);
    if (wanted > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(Math.max(wanted, recordBytesMax));
    this.#windowStart += at;
    this.#windowLsn = this.#position;
    this.#windowBytes = this.#segments.read(this.#buffer, wanted, this.#windowStart);
    return this.#windowBytes >= length;
  }
}

/** The stretch of a segment that holds a position or follows on it; undefined when nothing is left in it from there on. */
function stretchFrom(position: number, segment: OpenSegment, next: Segment | undefined): Stretch | undefined {
  if (segment.runs === undefined) return { segment, start: segment.base + segmentHeaderBytes, end: endOf(segment, next), fileOffset: segmentHeaderBytes };
  const run = segment.runs === 'damaged' ? undefined : segment.runs.from(position - segment.base);
  return run === undefined ? undefined : { segment, start: segment.base + run.offset, end: segment.base + run.offset + run.length, fileOffset: run.fileOffset };
}

/** LSN behind a segment; Infinity while nobody knows. */
function endOf(segment: OpenSegment, next: Segment | undefined): number {
  return next?.base ?? segment.base + (segment.header?.packedBytes ?? Number.POSITIVE_INFINITY);
}
