/**
 * Where files are and were: from a file to its path, by the places that the index has recorded, and by what lookups have
 * shown of files that were never changed. In: index, file id, snapshot. Out: paths as bytes.
 *
 * Invariants:
 * 1. A path given for snapshot n led to the file at snapshot n (of several hard links, one of them).
 * 2. What is learned from lookups concerns the live tree, and is a bounded cache: without it hints may be missing, never wrong answers.
 */
import { decodePlaceEntry, fileKey, fileTxidKey, filePrefix, isThereAfter, placed, table, txidMax, wasThereBefore } from './index-keys.js';
import type { PlaceEntry } from './index-keys.js';
import type { IndexStore, IndexTable } from './index-store.js';
import type { FileId } from './types.js';

export interface KnownPlace {
  readonly parent: FileId;
  readonly name: Buffer;
}

interface LearnedPlace {
  readonly parent: FileId;
  readonly name: string;
}

/** Two generations of it are kept. */
const learnedMax = 10_000;
const fixedMax = 10_000;
/** How many records of one file's places are looked at each way; a file renamed more often than that between two moments is rare. */
const placesMax = 256;
/** Directories cannot nest deeper than a path is long (4,096 bytes). */
const depthMax = 2048;
const slash = Buffer.from('/');
const nothing = Buffer.alloc(0);

export class Paths {
  readonly #index: IndexStore;
  readonly #rootId: FileId;
  /** Names as latin1: strings are lighter than buffers, and listings bring many. */
  #learned = new Map<FileId, LearnedPlace>();
  #learnedBefore = new Map<FileId, LearnedPlace>();
  /** Paths of directories that hold at every snapshot, until the index moves on. */
  readonly #fixed = new Map<FileId, Buffer>();

  constructor(index: IndexStore, rootId: FileId) {
    this.#index = index;
    this.#rootId = rootId;
  }

  /** Remembers where a lookup in the live tree found a file. */
  learn(file: FileId, parent: FileId, name: Buffer): void {
    if (this.#learned.has(file)) return;
    if (this.#learned.size >= learnedMax) {
      this.#learnedBefore = this.#learned;
      this.#learned = new Map();
    }
    this.#learned.set(file, { parent, name: name.toString('latin1') });
  }

  /** The index has read on: what was derived from it may no longer be so. */
  moved(): void {
    this.#fixed.clear();
  }

  /** From the root with a leading slash; undefined when unknown or absent at the snapshot. */
  pathOf(snapshot: number, file: FileId): Buffer | undefined {
    const path = this.#climb(snapshot, file, 0);
    return path?.length === 0 ? slash : path;
  }

  /** Where the file is now, from the root without a leading slash; null when unknown. */
  hint(file: FileId): Buffer | null {
    return this.#climb(txidMax - 1, file, 0)?.subarray(1) ?? null;
  }

  /** One directory and name that led to the file at a snapshot. */
  placeAt(snapshot: number, file: FileId): KnownPlace | undefined {
    return this.#placeAfter(snapshot, file) ?? this.#placeUpTo(snapshot, file);
  }

  /** true when the file has had one place only, as far as recorded: its place is the same at every snapshot. */
  hasOnePlace(file: FileId): boolean {
    let first: PlaceEntry | undefined;
    for (const entry of this.#placesFrom(0, file, 4)) {
      if (entry.bits & placed.before) return false;
      if (first !== undefined && !(first.parent === entry.parent && first.name.equals(entry.name))) return false;
      first ??= entry;
    }
    return first !== undefined;
  }

  /** Records of the file's places in one transaction. */
  * placesIn(txid: number, file: FileId): Generator<PlaceEntry> {
    const start = fileTxidKey(table.place, file, txid);
    for (const { key, value } of this.#index.scan(start, start.length)) yield decodePlaceEntry(key, value);
  }

  /** By what was recorded after the snapshot: there before a later change, and not come there in between. */
  #placeAfter(snapshot: number, file: FileId): KnownPlace | undefined {
    const cameLater = new Set<string>();
    for (const entry of this.#placesFrom(snapshot + 1, file, placesMax)) {
      const slot = slotOf(entry);
      if (wasThereBefore(entry.bits) && !cameLater.has(slot)) return entry;
      if (entry.bits & placed.after) cameLater.add(slot);
    }
    return undefined;
  }

  /** By what was recorded up to the snapshot, and else by what lookups have shown. */
  #placeUpTo(snapshot: number, file: FileId): KnownPlace | undefined {
    const left = new Set<string>();
    let count = 0;
    for (const { key, value } of this.#index.scanBack(fileTxidBack(file, snapshot), filePrefix)) {
      const entry = decodePlaceEntry(key, value);
      const slot = slotOf(entry);
      if (isThereAfter(entry.bits) && !left.has(slot)) return entry;
      left.add(slot);
      if (++count === placesMax) break;
    }
    // Learned places concern the live tree: they count only where nothing was ever recorded.
    if (count > 0 || this.#index.atOrAfter(fileTxidKey(table.place, file, 0), filePrefix) !== undefined) return undefined;
    const learned = this.#learned.get(file) ?? this.#learnedBefore.get(file);
    return learned === undefined ? undefined : { parent: learned.parent, name: Buffer.from(learned.name, 'latin1') };
  }

  * #placesFrom(txid: number, file: FileId, limit: number): Generator<PlaceEntry> {
    let count = 0;
    for (const { key, value } of this.#index.scan(fileTxidKey(table.place, file, txid), filePrefix)) {
      yield decodePlaceEntry(key, value);
      if (++count === limit) return;
    }
  }

  /** "" for the root, else "/a/b"; undefined when a place on the way is unknown. */
  #climb(snapshot: number, file: FileId, depth: number): Buffer | undefined {
    if (file === this.#rootId) return nothing;
    const fixed = depth === 0 ? undefined : this.#fixed.get(file);
    if (fixed !== undefined) return fixed;
    const place = depth > depthMax ? undefined : this.placeAt(snapshot, file);
    if (place === undefined) return undefined;
    const above = this.#climb(snapshot, place.parent, depth + 1);
    if (above === undefined) return undefined;
    const path = Buffer.concat([above, slash, place.name]);
    if (depth > 0) this.#fix(file, place.parent, path);
    return path;
  }

  /** Remembers the path of a directory that, like all above it, has never been elsewhere. */
  #fix(directory: FileId, parent: FileId, path: Buffer): void {
    if (!(parent === this.#rootId || this.#fixed.has(parent)) || !this.hasOnePlace(directory)) return;
    if (this.#fixed.size >= fixedMax) this.#fixed.clear();
    this.#fixed.set(directory, path);
  }
}

/** All names under which a file is in the tree now, as far as was recorded. */
export function livePlaces(index: IndexTable, file: FileId): KnownPlace[] {
  const there = new Map<string, PlaceEntry>();
  for (const { key, value } of index.scan(fileKey(table.place, file), filePrefix)) {
    const entry = decodePlaceEntry(key, value);
    if (isThereAfter(entry.bits)) there.set(slotOf(entry), entry);
    else there.delete(slotOf(entry));
  }
  return [...there.values()];
}

/** Sorts behind every place of the file in the transaction. */
function fileTxidBack(file: FileId, txid: number): Buffer {
  return Buffer.concat([fileTxidKey(table.place, file, txid), Buffer.alloc(fileIdAndNameMax, 0xff)]);
}

const fileIdAndNameMax = 12 + 256;

function slotOf(entry: PlaceEntry): string {
  return `${entry.parent}/${entry.name.toString('latin1')}`;
}
