/**
 * What a bucket holds, read from it alone: the backup of any moment that is there. In: a place. Out: entries as of that moment, and their bytes.
 *
 * Invariants:
 * 1. Bytes are those that the entries have the hash of, or an error.
 * 2. A last root that cannot be believed does not hide the ones before it; but it is not passed over in silence: who asks for the last backup is told.
 */
import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import type { Owner } from '../binding.js';
import { DestinationError, faultOf } from '../destination.js';
import type { ManifestHeader } from '../layout.js';
import type { LineFile } from '../line-file.js';
import { parseEntry } from '../entry.js';
import { shown } from '../paths.js';
import type { S3Place } from '../place.js';
import { newestUntil, pour, timeNsOf } from '../view.js';
import type { BackupContents, BackupMoment, Found } from '../view.js';
import { readEntries, readHead } from './base.js';
import { openBoundBucket } from './binding.js';
import { headKey, parseRoot } from './layout.js';
import type { Root } from './layout.js';
import { S3Objects } from './objects.js';
import { PieceReader } from './pieces.js';
import { earlierKeys } from './thin.js';

export class BucketView implements BackupContents {
  readonly manifest: LineFile<ManifestHeader>;
  readonly moments: readonly BackupMoment[];
  readonly #objects: S3Objects;
  readonly #reader: PieceReader;
  /** Why the last one does not count. */
  readonly #complaint: DestinationError | undefined;

  private constructor(objects: S3Objects, reader: PieceReader, manifest: LineFile<ManifestHeader>, moments: readonly BackupMoment[], complaint: DestinationError | undefined) {
    this.#objects = objects;
    this.#reader = reader;
    this.manifest = manifest;
    this.moments = moments;
    this.#complaint = complaint;
  }

  /** `owner`: whose it must be; undefined: anybody's. Throws DestinationError: absent when there is no backup; damaged; foreign. */
  static async open(place: S3Place, owner?: Owner): Promise<BucketView> {
    const objects = owner === undefined ? await S3Objects.open(place) : await openBoundBucket(place, owner);
    try {
      return await BucketView.of(objects);
    } catch (error) {
      objects.close();
      throw error;
    }
  }

  /** Throws DestinationError: absent, damaged. */
  static async of(objects: S3Objects): Promise<BucketView> {
    const reader = new PieceReader(objects);
    const head = await readHead(objects);
    const earlier = (await earlierKeys(objects)).map(({ key, timeNs }): BackupMoment => ({ timeNs, name: key }));
    if (head === undefined && earlier.length === 0) throw new DestinationError('absent', `there is no finished backup at ${objects.shown}: it has no ${headKey}`);
    let complaint = new DestinationError('damaged', head?.complaint ?? `${headKey} is gone from ${objects.shown}; the next run writes it anew`);
    if (head?.root !== undefined) {
      const last = timeNsOf(head.root.header.time);
      try {
        return new BucketView(objects, reader, await readEntries(objects, reader, head.root), [...earlier.filter(({ timeNs }) => timeNs < last), { timeNs: last }], undefined);
      } catch (error) {
        if (faultOf(error) !== 'damaged' && faultOf(error) !== 'absent') throw error;
        complaint = new DestinationError('damaged', (error as DestinationError).message);
      }
    }
    const newest = earlier.at(-1);
    if (newest === undefined) throw complaint;
    return new BucketView(objects, reader, await readEntries(objects, reader, await rootAt(objects, newest.name!)), earlier, new DestinationError('damaged', `${complaint.message} (earlier backups can be had with --at)`));
  }

  /** Throws damaged. */
  get last(): BackupMoment {
    if (this.#complaint !== undefined) throw this.#complaint;
    return this.moments.at(-1)!;
  }

  momentAt(timeNs: bigint): BackupMoment {
    return newestUntil(this.moments, timeNs, this.#objects.shown);
  }

  async entries({ name }: BackupMoment, path: string): Promise<Found[]> {
    const manifest = name === undefined ? this.manifest : await readEntries(this.#objects, this.#reader, await rootAt(this.#objects, name));
    return [...manifest.below(path)].map((index) => ({ entry: parseEntry(manifest.line(index)), places: [] }));
  }

  async copy({ entry: { path, pieces = [], size, sha256 } }: Found, target: Writable | undefined, onBytes: (count: number) => void): Promise<void> {
    const hash = createHash('sha256');
    let length = 0;
    for (const piece of pieces) {
      const bytes = await this.#reader.read(piece);
      hash.update(bytes);
      length += bytes.length;
      onBytes(bytes.length);
      await pour(bytes, target);
    }
    if (length !== size || hash.digest('hex') !== sha256) throw new DestinationError('damaged', `the pieces of ${shown(path)} on ${this.#objects.shown} are not what was sent there`);
  }

  async close(): Promise<void> {
    this.#objects.close();
  }
}

async function rootAt(objects: S3Objects, key: string): Promise<Root> {
  return parseRoot((await objects.get(key)).bytes, `${key} on ${objects.shown}`);
}
