/**
 * A log of random records for tests of packing, in a store that the addon can open. In: a seed's numbers. Out: segments on the disk, and what stands in
 * them.
 *
 * Invariants:
 * 1. `records` tells of every record its LSN and bytes, in order.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../../engine/crc32c.js';
import { makeFileId } from '../../engine/ids.js';
import { recordType, segmentFileName } from '../../engine/log-format.js';
import type { RecordHeader } from '../../engine/log-format.js';
import { LogReader } from '../../engine/log-reader.js';
import type { Damage } from '../../engine/log-reader.js';
import { LogSegments } from '../../engine/log-segments.js';
import { loadAddon } from '../../engine/native.js';
import { packSegment } from '../../engine/segment-packing.js';
import type { PackOptions, PackResult } from '../../engine/segment-packing.js';
import { LogWriter } from './log-writer.js';
import type { Random } from './seed.js';

export interface LoggedRecord {
  readonly lsn: number;
  readonly type: number;
  readonly body: Buffer;
}

export const loggedFile = makeFileId(5n, 6);

export class PackedLog {
  /** The directory that the store protects. */
  readonly directory: string;
  readonly log: string;
  readonly records: LoggedRecord[] = [];
  readonly writer: LogWriter;
  readonly #random: Random;

  constructor(directory: string, random: Random, segmentBytes: number) {
    this.directory = directory;
    this.#random = random;
    this.log = join(directory, '.tidemark/log');
    mkdirSync(join(directory, '.tidemark'), { recursive: true });
    // As LogWriter has it in its segments.
    writeFileSync(join(directory, '.tidemark/volume.json'), JSON.stringify({ format: 1, id: '07'.repeat(16), created: '2026-11-22T07:00:00Z' }));
    this.writer = new LogWriter(this.log, segmentBytes);
  }

  /** Small records, and extents of whole blocks and of odd lengths. */
  fill(count: number): this {
    for (let index = 0; index < count; index++) {
      const isExtent = this.#random.below(3) > 0;
      const length = isExtent ? this.#random.pick([4096, 4096, 1 + this.#random.below(4096), 20_000]) : this.#random.pick([0, 8, 80, 80, 133]);
      this.append(isExtent ? recordType.extent : recordType.attributes, this.#random.bytes(length));
    }
    return this;
  }

  append(type: number, body: Buffer): void {
    const header: RecordHeader = { type, flags: 0, aux: 0, file: loggedFile, txid: 1n, offset: 0n, size: BigInt(body.length) };
    this.records.push({ lsn: this.writer.append(header, body), type, body });
  }

  /** Everything but the last segment, each on its own. */
  async pack(keep: (lsn: number) => boolean, more: Partial<PackOptions> = {}): Promise<PackResult[]> {
    const results = [];
    for (let segment = 1; segment < this.writer.segmentCount; segment++) results.push(await this.packOne(segment, keep, more));
    return results;
  }

  async packOne(segment: number, keep: (lsn: number) => boolean, more: Partial<PackOptions> = {}): Promise<PackResult> {
    const { unsharedBytes } = await loadAddon();
    const path = join(this.log, segmentFileName(segment));
    const ownBytes = existsSync(path) ? unsharedBytes(path) : 0;
    const options: PackOptions = { directory: this.log, segment, packableBelow: this.writer.end, crc: crc32c, ownBytes, leastShare: 0, ...more };
    return packSegment(options, ({ lsn }) => keep(lsn));
  }

  /** LSNs of the segments' first bytes. */
  bases(): number[] {
    return [...new LogSegments(this.log, crc32c).refresh()].map(({ base }) => base);
  }

  /** What a reader finds from a position on. */
  read(bodies: 'headers' | 'all', position = 0): { records: LoggedRecord[]; damage: Damage[] } {
    return this.readIn(this.log, bodies, position);
  }

  /** The same, in what has become of the log elsewhere. */
  readIn(directory: string, bodies: 'headers' | 'all' = 'all', position = 0): { records: LoggedRecord[]; damage: Damage[] } {
    const damage: Damage[] = [];
    const records: LoggedRecord[] = [];
    const reader = new LogReader({ directory, position, crc: crc32c, bodies, onDamage: (found) => { damage.push(found); } });
    for (let record = reader.next(this.writer.end); record !== undefined; record = reader.next(this.writer.end)) {
      const { lsn, type, buffer, start, length } = record;
      records.push({ lsn, type, body: Buffer.from(bodies === 'all' || type !== recordType.extent ? buffer.subarray(start + 48, start + length) : []) });
    }
    reader.close();
    return { records, damage };
  }
}
