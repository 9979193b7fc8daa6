/**
 * The write-ahead log of pages.ts: records go into a buffer, whoever needs them on the disk writes them out in whole pages, as PostgreSQL does, the last page again
 * with each, and syncs once for all that wait. In: records. Out: segments, made of zeros beforehand, or of old ones under a new name.
 *
 * Invariants:
 * 1. `flushed` never lies behind what fdatasync has returned for.
 * 2. A segment gets its name when its bytes are synced, and is used when its name is.
 */
import { open, readdir, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { logSyncBegins } from '../witness.js';
import type { ApplicationSurroundings } from './application.js';
import { pageBytes, segmentBytes, segmentPath } from './pages-log.js';
import type { PagesWitness } from './pages-log.js';

/** Zeros written at once. */
const chunkBytes = 2 ** 20;

export class WriteAhead {
  readonly #witness: PagesWitness;
  /** The last page of what is flushed, as far as it is filled, and all behind it. */
  #tail = Buffer.alloc(0);
  #tailAt: number;
  #end: number;
  #flushed: number;
  /** Ends of records by their positions. */
  readonly #ends = new Map<number, number>();
  #flushing: Promise<void> | undefined;
  #waiting: { readonly end: number; readonly tell: () => void }[] = [];
  #root = '';
  #around: ApplicationSurroundings | undefined;
  #segment = -1;
  #file: FileHandle | undefined;

  constructor(witness: PagesWitness) {
    this.#witness = witness;
    this.#end = witness.start;
    this.#flushed = witness.start;
    this.#tailAt = witness.start;
  }

  /** Behind the last record. */
  get end(): number {
    return this.#end;
  }

  get flushed(): number {
    return this.#flushed;
  }

  /** The end of the record at a position; of a page that was never changed: nothing. */
  endOf(lsn: number): number {
    return this.#ends.get(lsn) ?? 0;
  }

  /** What follows is of this session. */
  begin(root: string, around: ApplicationSurroundings): void {
    this.#root = root;
    this.#around = around;
    this.#segment = -1;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  append(record: Buffer): number {
    this.#ends.set(this.#end, this.#end + record.length);
    this.#end += record.length;
    this.#tail = Buffer.concat([this.#tail, record]);
    this.#witness.log.push(record);
    const reached = this.#waiting.filter(({ end }) => end <= this.#end);
    this.#waiting = this.#waiting.filter(({ end }) => end > this.#end);
    for (const { tell } of reached) tell();
    return this.#end;
  }

  /** Waits until the log is so long. */
  reached(end: number): Promise<void> {
    return new Promise<void>((tell) => this.#waiting.push({ end, tell }));
  }

  /** The log is on the disk up to a position when this returns. */
  async flush(end: number): Promise<void> {
    while (this.#flushed < end) {
      this.#flushing ??= this.#flushOnce().finally(() => (this.#flushing = undefined));
      await this.#flushing;
    }
  }

  /** Segments that lie wholly before a position get the names of those that come next. */
  async recycle(redo: number): Promise<void> {
    const names = (await readdir(join(this.#root, 'wal'))).filter((name) => name !== 'new-segment').map(Number).sort((one, other) => one - other);
    for (const segment of names.filter((each) => (each + 1) * segmentBytes <= redo)) {
      const next = names.at(-1)! + 1;
      names.push(next);
      await this.#renameDurably(segmentPath(segment), segmentPath(next));
    }
  }

  async #flushOnce(): Promise<void> {
    const around = this.#around;
    if (around === undefined) throw new Error('the log is open');
    const end = this.#end;
    const began = logSyncBegins(around.witness);
    const bytes = this.#tail;
    const at = this.#tailAt;
    // In whole pages, each in its segment.
    for (let done = at; done < end;) {
      const segment = Math.floor(done / segmentBytes);
      const until = Math.min(end, (segment + 1) * segmentBytes);
      const pages = Buffer.alloc(Math.ceil((until - done) / pageBytes) * pageBytes);
      bytes.copy(pages, 0, done - at, until - at);
      const file = await this.#openSegment(segment);
      await file.write(pages, 0, pages.length, done % segmentBytes);
      await file.datasync();
      this.#witness.syncs.push({ path: segmentPath(segment), moment: began.moment, at: around.position() });
      done = until;
    }
    this.#flushed = end;
    around.witness.logSyncs.push({ ...began, at: around.position() });
    const kept = end - (end % pageBytes);
    // Records came behind `end` meanwhile.
    this.#tail = this.#tail.subarray(Math.max(at, kept) - at);
    this.#tailAt = Math.max(at, kept);
  }

  async #openSegment(segment: number): Promise<FileHandle> {
    if (this.#segment === segment && this.#file !== undefined) return this.#file;
    await this.#file?.close();
    const path = join(this.#root, segmentPath(segment));
    const isThere = (await readdir(join(this.#root, 'wal'))).includes(segmentPath(segment).slice('wal/'.length));
    if (!isThere) await this.#make(segment);
    this.#file = await open(path, 'r+');
    this.#segment = segment;
    return this.#file;
  }

  async #make(segment: number): Promise<void> {
    const path = 'wal/new-segment';
    const file = await open(join(this.#root, path), 'w');
    try {
      for (let at = 0; at < segmentBytes; at += chunkBytes) await file.write(Buffer.alloc(chunkBytes), 0, chunkBytes, at);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#renameDurably(path, segmentPath(segment));
  }

  async #renameDurably(from: string, to: string): Promise<void> {
    await this.#sync(from);
    await rename(join(this.#root, from), join(this.#root, to));
    await this.#sync(to);
    await this.#sync('wal');
  }

  async #sync(path: string): Promise<void> {
    const around = this.#around;
    if (around === undefined) throw new Error('the log is open');
    const { moment } = logSyncBegins(around.witness);
    const file = await open(join(this.#root, path), 'r');
    await file.sync().finally(() => file.close());
    this.#witness.syncs.push({ path, moment, at: around.position() });
  }
}
