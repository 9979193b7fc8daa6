/**
 * What a destination holds, read from it alone: the backup of any moment that is there. In: a destination. Out: entries as of that moment, and where their bytes lie.
 *
 * The state of a moment: of each path what the earliest PreviousBackup from it on has, else what LastBackup has.
 *
 * Invariants:
 * 1. What was interrupted (a switch, a merge of moments) is seen through: bytes are looked for in both places that they may be in.
 * 2. Bytes are those that the manifest has the hash of, or an error.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { readMoment } from '../engine/moments.js';
import { DestinationError, faultOf, readWhole } from './destination.js';
import type { Destination } from './destination.js';
import { parseEntry, pathOfLine } from './entry.js';
import type { Entry } from './entry.js';
import { lastBackup, manifestName, mergingName, previousBackup } from './layout.js';
import type { ManifestHeader } from './layout.js';
import { entryAt, LineFile } from './line-file.js';
import { isBelow, joined, shown } from './paths.js';
import { entryBefore, previousMoments, readChanges } from './previous.js';
import { encodePath } from './stored-name.js';
import { unfinishedSwitch } from './switch.js';

/** A backup that can be restored. */
export interface BackupMoment {
  readonly timeNs: bigint;
  /** In PreviousBackup, or of an object; undefined: the last one. */
  readonly name?: string;
}

export interface Found {
  readonly entry: Entry;
  /** Where its bytes may be, from the destination's root, the likeliest first; none where the entry itself says it. */
  readonly places: readonly string[];
}

/** What can be read of a destination, however it lies there. */
export interface BackupContents {
  readonly manifest: LineFile<ManifestHeader>;
  /** Oldest first. */
  readonly moments: readonly BackupMoment[];
  readonly last: BackupMoment;
  /** The newest backup that is not younger than a time. Throws absent. */
  momentAt(timeNs: bigint): BackupMoment;
  /** What was at a path and below it, in the order of paths. Throws absent, damaged. */
  entries(moment: BackupMoment, path: string): Promise<Found[]>;
  /** Writes a file's bytes to a stream, which it does not end. Throws DestinationError: absent, damaged. */
  copy(found: Found, target: Writable | undefined, onBytes: (count: number) => void): Promise<void>;
  close(): Promise<void>;
}

const largestManifestBytes = 2 ** 31;

export class BackupView implements BackupContents {
  readonly manifest: LineFile<ManifestHeader>;
  /** Oldest first. */
  readonly moments: readonly BackupMoment[];
  readonly #destination: Destination;
  /** Where an unfinished switch moves what it replaces. */
  readonly #switching: string | undefined;
  readonly #merging: { readonly name: string; readonly into?: string } | undefined;

  private constructor(destination: Destination, manifest: LineFile<ManifestHeader>, moments: readonly BackupMoment[], switching: string | undefined, merging: BackupView['merging']) {
    this.#destination = destination;
    this.manifest = manifest;
    this.moments = moments;
    this.#switching = switching;
    this.#merging = merging;
  }

  get merging(): { readonly name: string; readonly into?: string } | undefined {
    return this.#merging;
  }

  /** Throws DestinationError: absent when there is no backup, damaged. */
  static async open(destination: Destination): Promise<BackupView> {
    let bytes: Buffer;
    try {
      bytes = await readWhole(destination, manifestName, largestManifestBytes);
    } catch (error) {
      if (faultOf(error) === 'absent') throw new DestinationError('absent', `there is no finished backup at ${destination.shown}: it has no ${manifestName}`);
      throw error;
    }
    const manifest = new LineFile<ManifestHeader>(bytes, `${manifestName} on ${destination.shown}`);
    const begun = await unfinishedSwitch(destination);
    const switching = begun === undefined || begun.txid === manifest.header.txid ? undefined : begun.previous;
    const last = timeNsOf(manifest.header.time);
    const earlier = (await previousMoments(destination)).filter(({ timeNs, name }) => name !== switching && timeNs < last - (last % 1_000_000_000n));
    return new BackupView(destination, manifest, [...earlier, { timeNs: last }], switching, await readMerging(destination));
  }

  momentAt(timeNs: bigint): BackupMoment {
    return newestUntil(this.moments, timeNs, this.#destination.shown);
  }

  get last(): BackupMoment {
    return this.moments.at(-1)!;
  }

  async entries(moment: BackupMoment, path: string): Promise<Found[]> {
    const then = new Map<string, Found | undefined>();
    for (const { name } of this.moments.slice(this.moments.indexOf(moment)).reverse()) {
      if (name === undefined) continue;
      const changes = await readChanges(this.#destination, name);
      for (const index of changes.below(path)) {
        const line = changes.line(index);
        const entry = entryBefore(line);
        const at = pathOfLine(line);
        then.set(at, entry === undefined ? undefined : { entry, places: [...this.#placesIn(name, at), ...this.#placesLater(entry, then)] });
      }
    }
    const found: Found[] = [];
    for (const index of this.manifest.below(path)) {
      const entry = parseEntry(this.manifest.line(index));
      if (!then.has(entry.path)) found.push({ entry, places: this.#placesNow(entry.path) });
    }
    for (const each of then.values()) if (each !== undefined && isBelow(each.entry.path, path)) found.push(each);
    return found.sort((one, other) => (one.entry.path < other.entry.path ? -1 : 1));
  }

  async copy({ entry, places }: Found, target: Writable | undefined, onBytes: (count: number) => void): Promise<void> {
    let failure: unknown;
    for (const place of places) {
      try {
        const stream = await this.#destination.read(place);
        const hash = createHash('sha256');
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          hash.update(chunk);
          onBytes(chunk.length);
          await pour(chunk, target);
        }
        if (hash.digest('hex') === entry.sha256) return;
        throw new DestinationError('damaged', `${place} on ${this.#destination.shown} is not what was sent there`);
      } catch (error) {
        if (faultOf(error) !== 'absent') throw error;
        failure = error;
      }
    }
    throw new DestinationError('absent', `${shown(entry.path)} is missing at ${this.#destination.shown}`, { cause: failure });
  }

  close(): Promise<void> {
    return this.#destination.close();
  }

  #placesIn(name: string, path: string): string[] {
    const stored = encodePath(path, this.manifest.header.names);
    const places = [joined(joined(previousBackup, name), stored)];
    if (this.#merging?.name === name && this.#merging.into !== undefined) places.push(joined(joined(previousBackup, this.#merging.into), stored));
    return places;
  }

  /** Where only attributes changed, the bytes stayed where the backup after it has them. */
  #placesLater(entry: Entry, then: ReadonlyMap<string, Found | undefined>): readonly string[] {
    if (entry.type !== 'file') return [];
    const later = then.get(entry.path);
    if (then.has(entry.path)) return later?.entry.sha256 === entry.sha256 ? later!.places : [];
    return entryAt(this.manifest, entry.path)?.sha256 === entry.sha256 ? this.#placesNow(entry.path) : [];
  }

  #placesNow(path: string): string[] {
    const stored = encodePath(path, this.manifest.header.names);
    const now = joined(lastBackup, stored);
    return this.#switching === undefined || this.#switching === '' ? [now] : [joined(joined(previousBackup, this.#switching), stored), now];
  }
}

/** `moments`: oldest first. `where`: for people. Throws absent. */
export function newestUntil(moments: readonly BackupMoment[], timeNs: bigint, where: string): BackupMoment {
  const moment = moments.findLast((each) => each.timeNs <= timeNs);
  if (moment === undefined) throw new DestinationError('absent', `no backup at ${where} is that old; the oldest is of ${new Date(Number(moments[0]!.timeNs / 1_000_000n)).toISOString()}`);
  return moment;
}

export function timeNsOf(time: string): bigint {
  const moment = readMoment(time, 0n);
  return moment !== undefined && 'timeNs' in moment ? moment.timeNs : 0n;
}

async function readMerging(destination: Destination): Promise<BackupView['merging']> {
  try {
    return JSON.parse((await readWhole(destination, mergingName, 1 << 16)).toString()) as BackupView['merging'];
  } catch (error) {
    if (faultOf(error) === 'absent' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Writes to a stream, if there is one, and waits until it takes more. */
export async function pour(bytes: Buffer, target: Writable | undefined): Promise<void> {
  if (target !== undefined && !target.write(bytes)) await once(target, 'drain');
}
