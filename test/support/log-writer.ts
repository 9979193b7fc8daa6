/**
 * Writes a log as docs/FORMAT.md describes it, in TypeScript: for tests of its readers. In: records. Out: segment files.
 *
 * Invariants:
 * 1. What `append` returned is the record's LSN; when it returns, the record can be read from the file.
 */
import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../../engine/crc32c.js';
import { encodeRecord, encodeSegmentHeader, segmentFileName } from '../../engine/log-format.js';
import type { RecordHeader } from '../../engine/log-format.js';
import { LogReader } from '../../engine/log-reader.js';

export class LogWriter {
  readonly #directory: string;
  readonly #segmentBytes: number;
  #fd = -1;
  #number = 0;
  #base = 0;
  #end = 0;
  #recordCount = 0;
  readonly #bases: number[] = [];

  /** `segmentBytes`: a segment that has reached this length is followed by a new one. */
  constructor(directory: string, segmentBytes: number) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    mkdirSync(directory, { recursive: true });
  }

  /** LSN behind the last record. */
  get end(): number {
    return this.#end;
  }

  get segmentCount(): number {
    return this.#number;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  append(header: RecordHeader, body: Buffer = Buffer.alloc(0)): number {
    if (this.#fd < 0 || this.#end - this.#base >= this.#segmentBytes) this.#begin(Number(header.txid));
    const position = this.#end;
    this.#recordCount++;
    this.#write(encodeRecord(header, body));
    return position;
  }

  /** Bytes as they are, for damage. */
  appendRaw(bytes: Buffer): void {
    this.#write(bytes);
  }

  /** A whole record, also out of a packed segment. Throws where none stands. */
  record(position: number): Buffer {
    const reader = new LogReader({ directory: this.#directory, position, crc: crc32c, bodies: 'all', onDamage: () => undefined });
    try {
      const found = reader.next(this.#end);
      if (found?.lsn !== position) throw new Error(`no record stands at ${position}`);
      return Buffer.from(found.buffer.subarray(found.start, found.start + found.length));
    } finally {
      reader.close();
    }
  }

  /** Bytes of one segment, which is not packed, at an LSN. */
  read(position: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const index = this.#bases.findLastIndex((base) => base <= position);
    const fd = openSync(join(this.#directory, segmentFileName(index + 1)), 'r');
    try {
      readSync(fd, bytes, 0, length, position - this.#bases[index]!);
    } finally {
      closeSync(fd);
    }
    return bytes;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #begin(openTxid: number): void {
    this.close();
    this.#base = this.#end;
    this.#number++;
    this.#bases.push(this.#base);
    this.#fd = openSync(join(this.#directory, segmentFileName(this.#number)), 'w');
    this.#write(encodeSegmentHeader({ volumeId: Buffer.alloc(16, 7), number: this.#number, base: this.#base, openTxid }));
  }

  #write(bytes: Buffer): void {
    writeSync(this.#fd, bytes, 0, bytes.length, this.#end - this.#base);
    this.#end += bytes.length;
  }
}
