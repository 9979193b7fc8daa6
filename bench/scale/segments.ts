/**
 * Writes a log by the million records, as docs/FORMAT.md lays it out. In: records in order. Out: segment files of the usual length.
 *
 * Invariants:
 * 1. Every checksum is right, also that of a body of zeros, which takes no room on the disk: it is a hole.
 * 2. What was appended is in the files when `close` has returned, not before.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { alignRecord, encodeRecord, encodeSegmentHeader, recordHeaderBytes, segmentFileName } from '../../engine/log-format.js';
import type { Crc, RecordHeader } from '../../engine/log-format.js';

const segmentBytes = 64 << 20;
const bufferBytes = 4 << 20;
const nothing = Buffer.alloc(0);

export interface SegmentOptions {
  /** The `log/` directory, empty. */
  readonly directory: string;
  readonly volumeId: Buffer;
  readonly crc: Crc;
}

export class SegmentWriter {
  readonly #options: SegmentOptions;
  readonly #buffer = Buffer.alloc(bufferBytes);
  #filled = 0;
  /** Where in the segment's file the buffer's first byte belongs. */
  #fileOffset = 0;
  #fd = -1;
  #number = 0;
  #base = 0;

  constructor(options: SegmentOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
  }

  /** LSN behind the last record. */
  get end(): number {
    return this.#base + this.#fileOffset + this.#filled;
  }

  get segmentCount(): number {
    return this.#number;
  }

  append(header: RecordHeader, body: Buffer = nothing): void {
    this.#makeRoom(header);
    this.#put(encodeRecord(header, body, this.#options.crc));
  }

  /** A record whose body is `zeros`, which takes no blocks. */
  appendZeros(header: RecordHeader, zeros: Buffer): void {
    this.#makeRoom(header);
    const { crc } = this.#options;
    const bytes = encodeRecord(header, nothing, crc);
    bytes.writeUInt32LE(recordHeaderBytes + zeros.length, 4);
    bytes.writeUInt32LE(crc(zeros, crc(bytes.subarray(4))), 0);
    this.#put(bytes);
    this.#flush();
    this.#fileOffset += alignRecord(zeros.length);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#flush();
    ftruncateSync(this.#fd, this.#fileOffset);
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #makeRoom({ txid }: RecordHeader): void {
    if (this.#fd >= 0 && this.#fileOffset + this.#filled < segmentBytes) return;
    this.close();
    this.#base += this.#fileOffset;
    this.#fileOffset = 0;
    this.#number++;
    this.#fd = openSync(join(this.#options.directory, segmentFileName(this.#number)), 'w');
    const { volumeId, crc } = this.#options;
    this.#put(encodeSegmentHeader({ volumeId, number: this.#number, base: this.#base, openTxid: Number(txid) }, crc));
  }

  #put(bytes: Buffer): void {
    if (this.#filled + bytes.length > bufferBytes) this.#flush();
    this.#filled += bytes.copy(this.#buffer, this.#filled);
  }

  #flush(): void {
    writeSync(this.#fd, this.#buffer, 0, this.#filled, this.#fileOffset);
    this.#fileOffset += this.#filled;
    this.#filled = 0;
  }
}
