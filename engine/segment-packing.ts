/**
 * Gives back the space of records that nobody needs any more: a closed segment of the log is replaced by a packed one that holds the others, each at
 * the LSN it always had (docs/FORMAT.md). In: the log's directory, and who says which records are needed. Out: a smaller file, or the old one.
 *
 * It reads the segment once, and once more when too much of it is needed to be kept in memory until all is decided. With the writing that takes most of a second, so it is meant for a worker. By the
 * process that has the store's lock; afterwards the addon has to be told (`replaceSegment`), which reads on in the old file until then.
 *
 * Invariants:
 * 1. The segment's name always leads to a whole file, the old one or the new one, whatever fails and whenever the process or the power goes.
 * 2. Every record left out or copied had a good checksum: what is damaged might be needed, so a damaged segment is left alone.
 * 3. Nothing is packed that recovery might read: it needs what nobody else does (intents, notes).
 * 4. What is given back is what the disk gets back: blocks that the segment shares with files (reflink) do not count, and are not made into copies
 *    that take more than they give.
 */
import assert from 'node:assert';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { VolumeError, codeOf, messageOf } from './errors.js';
import type { VolumeErrorCode } from './errors.js';
import { alignRecord, encodeSegmentHeader } from './log-format.js';
import type { Crc, SegmentHeader } from './log-format.js';
import { LogReader } from './log-reader.js';
import type { LogReaderOptions, RecordView } from './log-reader.js';
import { LogSegments } from './log-segments.js';
import type { Segment } from './log-segments.js';
import { encodeRunTable } from './run-table.js';
import type { Run } from './run-table.js';
import { syncDirectory } from './store-files.js';
import { writeAll } from './write-all.js';

export interface PackOptions {
  /** The log's. */
  readonly directory: string;
  readonly segment: number;
  /** NativeVolume's, read before: segments that end above it are refused. */
  readonly packableBelow: number;
  readonly crc: Crc;
  /** What removing the segment's file would give back (NativeAddon.unsharedBytes). */
  readonly ownBytes: number;
  /** The least part of what the file takes that must be given back, else it is left alone. Default: 1/8, which costs seven times as much writing. */
  readonly leastShare?: number;
}

export interface PackResult {
  /** false: it would give back too little, and nothing was changed. */
  readonly isPacked: boolean;
  /** What the segment's file takes on the disk for itself, before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly recordsKept: number;
  readonly recordsLeftOut: number;
}

interface Choice {
  /** From the segment's base on. */
  readonly runs: readonly Run[];
  readonly recordsKept: number;
  readonly recordsLeftOut: number;
  /** What the runs hold; undefined when it is too much. */
  readonly living: Living | undefined;
}

interface Job {
  readonly options: PackOptions;
  readonly segment: Segment;
  /** LSN behind the segment. */
  readonly end: number;
}

const leastShareDefault = 1 / 8;
const blockBytes = 4096;
const copyBytes = 1 << 20;
/** What is needed of most segments, and little enough to be kept in memory. */
const livingBytesMax = 16 << 20;
const unfinishedName = /^[0-9a-f]{16}\.log\.new$/;

/**
 * Packs a segment, or leaves it alone. `keep` is asked once for each record, in order, as a LogReader of 'headers' hands it out; the index must have read the
 * segment before, for what is left out it never will. Throws VolumeError EINVAL for a segment that may not be packed, EIO for a damaged one, ENOSPC and
 * others; the old file then stays.
 */
export function packSegment(options: PackOptions, keep: (record: RecordView) => boolean): PackResult {
  const job = prepare(options);
  const { path } = job.segment;
  const choice = choose(job, keep);
  const { recordsKept, recordsLeftOut } = choice;
  const head = encodeHead(job, choice);
  const bytesBefore = options.ownBytes;
  const bytesNeeded = Math.ceil((head.length + livingBytes(choice)) / blockBytes) * blockBytes;
  const least = Math.max(bytesBefore * (options.leastShare ?? leastShareDefault), blockBytes);
  if (bytesBefore - bytesNeeded < least) return { isPacked: false, bytesBefore, bytesAfter: bytesBefore, recordsKept, recordsLeftOut };
  const aside = `${path}.new`;
  try {
    writePacked(job, choice, head, aside);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw packError(error, `${nameOf(job)} cannot be packed and stays as it is`);
  }
  try {
    syncDirectory(options.directory);
  } catch (error) {
    throw packError(error, `${nameOf(job)} was packed, but after a power cut it may be the old one again`);
  }
  return { isPacked: true, bytesBefore, bytesAfter: bytesOf(path), recordsKept, recordsLeftOut };
}

/** Removes what a crash left of packing, as far as that can be done. To be called by who has the store's lock, while nobody packs. */
export function removeUnfinishedPacking(directory: string): void {
  try {
    for (const name of readdirSync(directory).filter((found) => unfinishedName.test(found))) rmSync(join(directory, name), { force: true });
  } catch {
    // It only takes space, and the next open tries again.
  }
}

/** What a file takes that shares nothing with others. */
function bytesOf(path: string): number {
  return statSync(path).blocks * 512;
}

function prepare(options: PackOptions): Job {
  const segments = new LogSegments(options.directory, options.crc).refresh();
  const index = segments.findIndex(({ number }) => number === options.segment);
  const segment = segments[index];
  const next = segments[index + 1];
  if (segment === undefined) throw new VolumeError('EINVAL', `the log has no segment ${options.segment}; look into ${options.directory}`);
  if (next === undefined || next.base > options.packableBelow) {
    throw new VolumeError('EINVAL', `segment ${options.segment} of the log is needed after a crash; pack it when newer ones have followed`);
  }
  return { options, segment, end: next.base };
}

function choose(job: Job, keep: (record: RecordView) => boolean): Choice {
  const { segment: { base } } = job;
  const runs: { offset: number; length: number }[] = [];
  let recordsKept = 0;
  let recordsLeftOut = 0;
  let living: Living | undefined = new Living();
  eachRecord(job, (record) => {
    if (!keep(record)) {
      recordsLeftOut++;
      return;
    }
    recordsKept++;
    const offset = record.lsn - base;
    const length = alignRecord(record.length);
    if (living?.put(record) === false) living = undefined;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else runs.push({ offset, length });
  });
  return { runs, recordsKept, recordsLeftOut, living };
}

/** All records of the segment, each with its checksum compared, for a damaged header may tell lies about what it is. Throws VolumeError EIO when any of it is damaged. */
function eachRecord(job: Job, visit: (record: RecordView) => void): void {
  const { options: { directory, crc }, segment: { base }, end } = job;
  const onDamage: LogReaderOptions['onDamage'] = ({ lsn }) => {
    throw new VolumeError('EIO', `${nameOf(job)} is damaged at position ${lsn}, so nothing is left out of it; run "tidemark verify" to see what is lost`);
  };
  const reader = new LogReader({ directory, position: base, crc, bodies: 'all', onDamage });
  try {
    for (let record = reader.next(end); record !== undefined; record = reader.next(end)) visit(record);
  } finally {
    reader.close();
  }
}

function encodeHead({ options, segment, end }: Job, { runs }: Choice): Buffer {
  const header: SegmentHeader = { ...headerOf(segment, options), packedBytes: end - segment.base };
  return Buffer.concat([encodeSegmentHeader(header, options.crc), encodeRunTable(runs, options.crc)]);
}

function headerOf(segment: Segment, { directory, crc }: PackOptions): SegmentHeader {
  const segments = new LogSegments(directory, crc);
  try {
    const { header } = segments.open(segment);
    // Else reading its records would have told.
    assert(header !== undefined && header.number === segment.number && header.base === segment.base, 'the header is that of the segment');
    return header;
  } finally {
    segments.close();
  }
}

function livingBytes({ runs }: Choice): number {
  return runs.reduce((sum, { length }) => sum + length, 0);
}

/** Writes the packed segment beside the old one; it is on the disk when this returns. */
function writePacked(job: Job, choice: Choice, head: Buffer, path: string): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    const sink = new Sink(fd);
    sink.put(head, 0, head.length);
    if (choice.living === undefined) copyRuns(job, choice, sink);
    else for (const piece of choice.living.pieces()) sink.put(piece, 0, piece.length);
    sink.flush();
    assert(sink.length === head.length + livingBytes(choice), 'every record that is kept was copied');
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function copyRuns(job: Job, { runs }: Choice, sink: Sink): void {
  let index = 0;
  eachRecord(job, (record) => {
    const offset = record.lsn - job.segment.base;
    while (index < runs.length && runs[index]!.offset + runs[index]!.length <= offset) index++;
    if (index === runs.length || offset < runs[index]!.offset) return;
    sink.put(record.buffer, record.start, record.length);
    sink.skip(alignRecord(record.length) - record.length);
  });
}

/** Records that are needed, in order, each with the zeros that align it. */
class Living {
  readonly #pieces: Buffer[] = [];
  #used = copyBytes;
  #bytes = 0;

  /** false, and it is not there, when it would be too much. */
  put({ buffer, start, length }: RecordView): boolean {
    const aligned = alignRecord(length);
    this.#bytes += aligned;
    if (this.#bytes > livingBytesMax) return false;
    for (let done = 0; done < aligned;) {
      if (this.#used === copyBytes) {
        this.#pieces.push(Buffer.alloc(copyBytes));
        this.#used = 0;
      }
      const count = Math.min(aligned - done, copyBytes - this.#used);
      if (done < length) buffer.copy(this.#pieces.at(-1)!, this.#used, start + done, start + Math.min(length, done + count));
      this.#used += count;
      done += count;
    }
    return true;
  }

  * pieces(): Generator<Buffer> {
    for (const [index, piece] of this.#pieces.entries()) yield index === this.#pieces.length - 1 ? piece.subarray(0, this.#used) : piece;
  }
}

/** Writes to a file in large pieces. */
class Sink {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(copyBytes);
  #used = 0;
  #written = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get length(): number {
    return this.#written + this.#used;
  }

  put(bytes: Buffer, start: number, length: number): void {
    for (let done = 0; done < length; ) {
      if (this.#used === copyBytes) this.flush();
      const count = bytes.copy(this.#buffer, this.#used, start + done, start + Math.min(length, done + copyBytes - this.#used));
      this.#used += count;
      done += count;
    }
  }

  /** Zeros. */
  skip(length: number): void {
    this.put(Buffer.alloc(length), 0, length);
  }

  flush(): void {
    writeAll(this.#fd, this.#buffer.subarray(0, this.#used));
    this.#written += this.#used;
    this.#used = 0;
  }
}

function nameOf({ segment }: Job): string {
  return `segment ${segment.number} of the log`;
}

const remedies: Readonly<Partial<Record<string, string>>> = {
  ENOSPC: 'the disk is full; free some space, or first pack one of which less is needed',
  EDQUOT: 'the quota is used up; raise it, or free some space',
  EROFS: 'the file system is read-only; remount it writable',
};

function packError(error: unknown, what: string): VolumeError {
  if (error instanceof VolumeError) return error;
  const code = codeOf(error);
  const known: VolumeErrorCode = code === 'ENOSPC' || code === 'EDQUOT' ? 'ENOSPC' : code === 'EROFS' ? 'EROFS' : 'EIO';
  return new VolumeError(known, `${what}: ${remedies[code] ?? messageOf(error)}`, { cause: error });
}
