/**
 * What a recording disk's journal (recording-disk.c says how it is laid out) makes of a disk when the power is cut. In: a base image, a
 * journal, cuts. Out: an image for each cut.
 *
 * Invariants:
 * 1. What was done before the last flush that was answered before the cut had been asked for is on the disk whole.
 * 2. Of each write from then to the cut chance decides: it is on the disk, or not, or each of its sectors (the superblock's together) is or is not.
 *    So later ones may survive without earlier ones.
 * 3. Nothing behind the cut is on the disk.
 * 4. The same journal, cut and seed make the same image.
 */
import { closeSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { Random } from '../support/seed.js';
import { copySparse } from './recording-disk.js';

export type EntryKind = 'write' | 'zero' | 'flush';

/** A record of the journal. */
export interface Entry {
  readonly kind: EntryKind;
  /** Where on the disk; of a flush: how far in the journal it reaches. */
  readonly offset: number;
  readonly length: number;
  /** Where in the journal the bytes of a write begin. */
  readonly bytesAt: number;
  /** The journal's length with this record. */
  readonly end: number;
}

export interface Cut {
  /** Records that end at or before this place in the journal had been done. */
  readonly position: number;
  /** Decides what survives of what was not flushed. */
  readonly seed: number;
}

export interface ImageOptions {
  /** A disk that answers flushes and does nothing: for proving that this is noticed. */
  readonly ignoresFlushes?: boolean;
  /** As that, but only of the last so many flushes before the cut: its file system mostly survives, and what was synced does not. */
  readonly flushesIgnored?: number;
}

const headBytes = 24;
const sectorBytes = 512;
/** Never torn: ext4's superblock has two sectors and one checksum, and ext4 cannot be mounted without e2fsck when the power went between them. */
const wholeBytes = 4096;
const kinds: readonly (EntryKind | undefined)[] = [undefined, 'write', 'zero', 'flush'];

/** Reads the heads of all whole records. */
export function readEntries(journal: string): Entry[] {
  const file = openSync(journal, 'r');
  const size = statSync(journal).size;
  const head = Buffer.alloc(headBytes);
  const entries: Entry[] = [];
  for (let at = 0; at + headBytes <= size; ) {
    readSync(file, head, 0, headBytes, at);
    const kind = kinds[Number(head.readBigUInt64LE(0))];
    if (kind === undefined) throw new Error(`${journal} has no record at ${at}`);
    const length = Number(head.readBigUInt64LE(16));
    const bytesAt = at + headBytes;
    at = bytesAt + (kind === 'write' ? length : 0);
    if (at <= size) entries.push({ kind, offset: Number(head.readBigUInt64LE(8)), length, bytesAt, end: at });
  }
  closeSync(file);
  return entries;
}

/** Makes images of growing cuts, from a disk that is played on only once. */
export class CutImages {
  readonly #entries: readonly Entry[];
  readonly #journal: number;
  readonly #rollingPath: string;
  readonly #rolling: number;
  readonly #options: ImageOptions;
  /** Entries that are in the rolling image. */
  #played = 0;

  private constructor(entries: readonly Entry[], journal: string, rolling: string, options: ImageOptions) {
    this.#entries = entries;
    this.#journal = openSync(journal, 'r');
    this.#rollingPath = rolling;
    this.#rolling = openSync(rolling, 'r+');
    this.#options = options;
  }

  /** `rolling`: a path in memory for the disk that is played on. */
  static open(entries: readonly Entry[], files: { readonly base: string; readonly journal: string; readonly rolling: string }, options: ImageOptions = {}): CutImages {
    copySparse(files.base, files.rolling);
    return new CutImages(entries, files.journal, files.rolling, options);
  }

  /** Makes the image of a cut, which must not lie before the last one asked for. Returns how many writes were lost or torn. */
  make(cut: Cut, image: string): number {
    const end = firstAfter(this.#entries, cut.position);
    const flushed = this.#options.ignoresFlushes === true ? 0 : flushedBefore(this.#entries, end, this.#options.flushesIgnored ?? 0);
    if (flushed < this.#played) throw new RangeError('cuts are made in the order of the journal');
    for (; this.#played < flushed; this.#played += 1) this.#play(this.#entries[this.#played]!, this.#rolling);
    copySparse(this.#rollingPath, image);
    const file = openSync(image, 'r+');
    const lost = this.#survive(this.#entries.slice(flushed, end), file, new Random(cut.seed));
    closeSync(file);
    return lost;
  }

  close(): void {
    closeSync(this.#journal);
    closeSync(this.#rolling);
    rmSync(this.#rollingPath);
  }

  #survive(entries: readonly Entry[], target: number, random: Random): number {
    // Of each write one in so many is whole, one in so many torn, the rest lost; some cuts lose all, some nothing.
    const wholeIn = random.pick([1, 2, 2, 3, 8, 1_000_000]);
    const tornIn = random.pick([2, 4, 1_000_000]);
    let lost = 0;
    for (const entry of entries) {
      if (entry.kind === 'flush') continue;
      if (random.oneIn(wholeIn)) {
        this.#play(entry, target);
        continue;
      }
      lost += 1;
      if (entry.kind === 'write' && random.oneIn(tornIn)) this.#tear(entry, target, random);
    }
    return lost;
  }

  #play(entry: Entry, target: number): void {
    if (entry.kind === 'flush') return;
    writeSync(target, this.#bytesOf(entry), 0, entry.length, entry.offset);
  }

  #tear(entry: Entry, target: number, random: Random): void {
    const bytes = this.#bytesOf(entry);
    for (let at = 0, end = 0; at < bytes.length; at = end) {
      end = Math.min(bytes.length, at + Math.max(sectorBytes, wholeBytes - entry.offset - at));
      if (random.oneIn(2)) writeSync(target, bytes, at, end - at, entry.offset + at);
    }
  }

  #bytesOf(entry: Entry): Buffer {
    const bytes = Buffer.alloc(entry.length);
    if (entry.kind === 'write') readSync(this.#journal, bytes, 0, bytes.length, entry.bytesAt);
    return bytes;
  }
}

/** How many of the first entries the flushes among the first `end` reach, without the last `ignored` of them. */
function flushedBefore(entries: readonly Entry[], end: number, ignored: number): number {
  const last = entries.slice(0, end).filter(({ kind }) => kind === 'flush').at(-1 - ignored);
  return last === undefined ? 0 : firstAfter(entries, last.offset);
}

/** The index of the first entry that ends behind a position. */
function firstAfter(entries: readonly Entry[], position: number): number {
  const index = entries.findIndex(({ end }) => end > position);
  return index < 0 ? entries.length : index;
}
