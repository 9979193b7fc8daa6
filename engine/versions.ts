/**
 * The versions of files, by the places where the files are or last were: who saves by replacing has another file at the same path each time. In: the index. Out: chains of
 * files, each with what ended its versions.
 *
 * Invariants:
 * 1. A file is in one chain at most: that of the place where it is, or was when it left the tree. Directories are in none.
 * 2. Memory is bounded by the changes of one name; long walks let other work run in between.
 */
import { directoryType, formatMask, sizeInAttributes } from './attributes.js';
import { decodeNameEntry, decodePlaceEntry, fileKey, filePrefix, fileTxidKey, nameInKey, placed, table, touched, txidAtEnd, txidMax } from './index-keys.js';
import { fileTxidPrefix, packFile } from './index-packing.js';
import type { IndexStore } from './index-store.js';
import { readFileId } from './ids.js';
import { nameChanges } from './name-history.js';
import { pacer } from './pacer.js';
import { livePlaces } from './paths.js';
import type { KnownPlace, Paths } from './paths.js';
import type { FileId } from './types.js';

/** The end of a version. */
export interface VersionEnd {
  readonly txid: number;
  /** The version is none that anybody would count: the file was empty (just made, or cut off to be written anew), or only got another name. */
  readonly isMinor: boolean;
}

export interface FileVersions {
  readonly file: FileId;
  /** Of its versions; growing. */
  readonly ends: readonly VersionEnd[];
}

export interface Chain {
  /** From the root, without a leading slash, as latin1: several for a file with several names. */
  readonly paths: readonly string[];
  readonly files: readonly FileVersions[];
}

/** A name with files that left the tree from there, by the transaction in which they did. */
interface Departed {
  readonly directory: FileId;
  readonly name: Buffer;
  readonly files: Map<FileId, number>;
  lastTxid: number;
  /** What stands there now; 0: nothing. */
  now: FileId;
}

export class VersionChains {
  readonly #index: IndexStore;
  readonly #paths: Paths;

  constructor(index: IndexStore, paths: Paths) {
    this.#index = index;
    this.#paths = paths;
  }

  /** All chains of which some path is wanted. */
  async * all(isWanted: (path: string) => boolean): AsyncGenerator<Chain> {
    yield* this.#ofDeparted(isWanted);
    yield* this.#ofStaying(isWanted);
  }

  /** Names that files left the tree from, each with what stands there now. */
  async * #ofDeparted(isWanted: (path: string) => boolean): AsyncGenerator<Chain> {
    const pause = pacer();
    let at: Departed | undefined;
    for (const { key, value } of this.#index.scan(Buffer.of(table.name), 1)) {
      await pause();
      const directory = readFileId(key, 1);
      const name = nameInKey(key);
      if (at === undefined || at.directory !== directory || !at.name.equals(name)) {
        if (at !== undefined) yield* this.#chainOf(at, isWanted);
        at = { directory, name, files: new Map(), lastTxid: 0, now: 0n as FileId };
      }
      const { before, after, typeBefore, typeAfter } = decodeNameEntry(value);
      at.lastTxid = txidAtEnd(key);
      at.now = typeAfter === directoryType ? 0n as FileId : after;
      if (before !== 0n && typeBefore !== directoryType) at.files.set(before, at.lastTxid);
    }
    if (at !== undefined) yield* this.#chainOf(at, isWanted);
  }

  * #chainOf({ directory, name, files, lastTxid, now }: Departed, isWanted: (path: string) => boolean): Generator<Chain> {
    if (files.size === 0) return;
    const path = this.#pathBelow(directory, name, lastTxid);
    if (path === undefined || !isWanted(path)) return;
    const departed = [...files].filter(([file, txid]) => this.#leftFrom(file, txid, directory, name));
    if (departed.length === 0) return;
    const chain = departed.map(([file, txid]) => this.#versionsOf(file, txid));
    const paths = now === 0n ? [] : this.#pathsOf(now);
    // A file with several names is a chain of its own.
    yield paths.length === 1 && paths[0] === path ? { paths, files: [...chain, this.#versionsOf(now)] } : { paths: [path], files: chain };
  }

  /** Files that are in the tree, where none has left it before them. */
  async * #ofStaying(isWanted: (path: string) => boolean): AsyncGenerator<Chain> {
    const pause = pacer();
    for (let from: Buffer = Buffer.of(table.attributes); ;) {
      const entry = this.#index.atOrAfter(from, 1);
      if (entry === undefined) return;
      await pause();
      const file = readFileId(entry.key, 1);
      from = fileTxidKey(table.attributes, file, txidMax);
      if ((entry.value.readUInt32LE(0) & formatMask) === directoryType) continue;
      const paths = this.#pathsOf(file);
      if (!paths.some(isWanted) || (paths.length === 1 && this.#hasPredecessor(file))) continue;
      yield { paths, files: [this.#versionsOf(file)] };
    }
  }

  #hasPredecessor(file: FileId): boolean {
    const place = this.#paths.placeAt(txidMax - 1, file);
    if (place === undefined) return true;
    for (const { before, typeBefore, txid } of nameChanges(this.#index, place.parent, place.name)) {
      if (before !== 0n && before !== file && typeBefore !== directoryType && this.#leftFrom(before, txid, place.parent, place.name)) return true;
    }
    return false;
  }

  /** true when the file left the tree in that transaction, and not from elsewhere. */
  #leftFrom(file: FileId, txid: number, directory: FileId, name: Buffer): boolean {
    if (this.#paths.placeAt(txidMax - 1, file) !== undefined) return false;
    const place: KnownPlace | undefined = this.#paths.placeAt(txid - 1, file);
    return place !== undefined && place.parent === directory && place.name.equals(name) && this.#paths.placeAt(txid, file) === undefined;
  }

  #versionsOf(file: FileId, leftIn?: number): FileVersions {
    const moves = this.#movesOf(file);
    const ends: VersionEnd[] = [];
    for (const { key, value } of this.#index.scan(fileKey(table.attributes, file), filePrefix)) {
      const txid = txidAtEnd(key);
      ends.push({ txid, isMinor: sizeInAttributes(value) === 0n || (moves.has(txid) && !this.#isContentChanged(file, txid)) });
    }
    if (leftIn !== undefined && !ends.some(({ txid }) => txid === leftIn)) ends.push({ txid: leftIn, isMinor: false });
    return { file, ends: ends.sort((a, b) => a.txid - b.txid) };
  }

  /** Transactions that gave the file another name for the one it had. */
  #movesOf(file: FileId): Set<number> {
    const bits = new Map<number, number>();
    for (const { key, value } of this.#index.scan(fileKey(table.place, file), filePrefix)) {
      const entry = decodePlaceEntry(key, value);
      bits.set(entry.txid, (bits.get(entry.txid) ?? 0) | entry.bits);
    }
    return new Set([...bits].filter(([, all]) => (all & placed.before) !== 0 && (all & placed.after) !== 0).map(([txid]) => txid));
  }

  #isContentChanged(file: FileId, txid: number): boolean {
    const bits = this.#index.get(Buffer.concat([fileTxidPrefix(txid), packFile(file)]))?.[0] ?? 0;
    return (bits & (touched.data | touched.xattr)) !== 0;
  }

  /** Where the file is now, under all its names that are known. */
  #pathsOf(file: FileId): string[] {
    return livePlaces(this.#index, file).flatMap(({ parent, name }) => this.#pathBelow(parent, name, txidMax) ?? []);
  }

  /** By where the directory is now, or was before the transaction if it is not. */
  #pathBelow(directory: FileId, name: Buffer, txid: number): string | undefined {
    const above = this.#paths.pathOf(txidMax - 1, directory) ?? this.#paths.pathOf(txid - 1, directory);
    if (above === undefined) return undefined;
    const below = name.toString('latin1');
    return above.length === 1 ? below : `${above.toString('latin1', 1)}/${below}`;
  }
}
