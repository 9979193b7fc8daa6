/**
 * Which ranges of which files were written in some transactions: by the EXTENT and HOLE records of the log, whose headers say it. In: what the index noted of the transactions
 * (from where on the log speaks of them), the log. Out: ranges by file.
 *
 * Invariants:
 * 1. A range told covers all that was overwritten, cut or filled there within the size that the file had before; what a file grew by is not told.
 * 2. Where packing has left records out or the log is damaged, files are told to be written as a whole.
 */
import { touched } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { makeFileId, readNumberLE } from './ids.js';
import { recordType, sizeClassBytes } from './log-format.js';
import type { Crc } from './log-format.js';
import { LogReader } from './log-reader.js';
import type { RecordView } from './log-reader.js';
import type { ChangeRows } from './name-history.js';
import type { FileId } from './types.js';

/** Bytes [start, end) of a file. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** So much log is read for one answer; beyond it files are told as a whole. Bytes. */
const mostLogBytes = 256 << 20;

export class WrittenRanges {
  readonly #index: IndexStore;
  readonly #directory: string;
  readonly #crc: Crc;

  /** `directory`: `log/`. */
  constructor(index: IndexStore, directory: string, crc: Crc) {
    this.#index = index;
    this.#directory = directory;
    this.#crc = crc;
  }

  /** Of the transactions (first, last], which have ended; `rows`: what the index says of them. */
  between(rows: ChangeRows, first: number, last: number): Map<FileId, Range[] | 'all'> {
    const found = new Map<FileId, Range[] | 'all'>();
    let start = Number.POSITIVE_INFINITY;
    for (const [file, { bits, lsn }] of rows.files) {
      if ((bits & touched.data) === 0) continue;
      found.set(file, []);
      start = Math.min(start, lsn);
    }
    if (found.size > 0 && !this.#read(found, start, first, last)) for (const file of found.keys()) found.set(file, 'all');
    return found;
  }

  /** false when the log does not tell everything. */
  #read(found: Map<FileId, Range[] | 'all'>, start: number, first: number, last: number): boolean {
    const limit = this.#index.progress().readUpTo;
    let isWhole = true;
    const reader = new LogReader({ directory: this.#directory, position: start, crc: this.#crc, bodies: 'headers', onDamage: () => { isWhole = false; } });
    try {
      for (let record = reader.next(limit); record !== undefined && isWhole; record = reader.next(limit)) {
        if (reader.omissions > 0 || record.lsn - start > mostLogBytes) return false;
        // ENDs stand in the order of txids, and behind every change of theirs.
        if (record.type === recordType.end && record.txid >= last) return isWhole;
        if (record.txid > first && record.txid <= last) note(found, record);
      }
      return false;
    } finally {
      reader.close();
    }
  }
}

function note(found: Map<FileId, Range[] | 'all'>, record: RecordView): void {
  if (record.type !== recordType.extent && record.type !== recordType.hole) return;
  const { buffer, start } = record;
  const ranges = found.get(makeFileId(buffer.readBigUInt64LE(start + 24), buffer.readUInt32LE(start + 12)));
  if (ranges === undefined || ranges === 'all') return;
  const offset = readNumberLE(buffer, start + 32);
  const end = offset + (record.type === recordType.extent ? sizeClassBytes[record.aux] ?? 0 : readNumberLE(buffer, start + 40));
  const previous = ranges.at(-1);
  if (previous?.end === offset) ranges[ranges.length - 1] = { start: previous.start, end };
  else ranges.push({ start: offset, end });
}
