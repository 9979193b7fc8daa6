/**
 * What was changed while nothing was mounted. In: what the tree has that is younger than the last thing the log tells of, the index. Out: undo
 * records for one external transaction, as far as anything is known of the state before.
 *
 * A file's bytes and attributes from before such a change are lost: nobody saved them. What is recorded is *that* the file was
 * changed (with its present attributes) and which names came and went.
 *
 * Invariants:
 * 1. Nothing whose ctime is not younger than `sinceNs` is recorded.
 * 2. What the last session has captured itself is not external: the transaction that captured it ended after the change.
 * 3. At most `recordsMax` records: beyond, `isCut` says so.
 */
import { lstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { directoryType } from './attributes.js';
import { unpackDirectory } from './directory-entries.js';
import { codeOf } from './errors.js';
import type { Excludes } from './excludes.js';
import { fileKey, fileTxidKey, filePrefix, placed, table, txidAtEnd, txidMax } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import { decodeKnown } from './index-packing.js';
import { absent, encodeName, encodePlace, nameOperation } from './log-bodies.js';
import { encodeRecord, recordType } from './log-format.js';
import { allNameChanges } from './name-history.js';
import type { NativeAddon, NativeVolume } from './native.js';
import { pacer } from './pacer.js';
import { splitPath } from './path-bytes.js';
import type { Paths } from './paths.js';
import type { Transactions } from './transactions.js';
import { storeName } from './store-files.js';
import type { FileId } from './types.js';

export interface ExternalChanges {
  /** Encoded as in FORMAT; the addon fills in txid and checksum. */
  readonly records: Buffer[];
  /** Files and directories that were changed. */
  readonly fileCount: number;
  /** The youngest of their times. */
  readonly timeNs: bigint;
  readonly isCut: boolean;
}

export interface ExternalChangesOptions {
  readonly native: NativeVolume;
  readonly index: IndexStore;
  readonly paths: Paths;
  readonly transactions: Transactions;
  /** The backing directory. */
  readonly root: string;
  /** What has no history has no changes either. */
  readonly excludes: Excludes;
  readonly sinceNs: bigint;
}

interface Known {
  readonly file: FileId;
  readonly type: number;
}

interface KnownName extends Known {
  readonly name: Buffer;
}

const recordsMax = 200_000;
const youngerMax = 2 * recordsMax;
const slash = '/'.charCodeAt(0);

/** Paths of what may have been changed, in the order of their bytes. `root`: the backing directory. */
export function findYounger(addon: NativeAddon, root: string, sinceNs: bigint): Promise<Buffer[]> {
  return addon.changedSince(root, storeName, sinceNs, youngerMax);
}

/** `younger`: as findYounger tells, asked before anything could be changed through a mount. */
export async function findExternalChanges(options: ExternalChangesOptions, younger: readonly Buffer[]): Promise<ExternalChanges> {
  const search = new Search(options, younger.length >= youngerMax);
  const pause = pacer();
  for (const path of younger) {
    if (!isHidden(options.excludes, path)) search.take(path);
    if (search.isFull) break;
    await pause();
  }
  return search;
}

class Search implements ExternalChanges {
  readonly records: Buffer[] = [];
  fileCount = 0;
  timeNs = 0n;
  readonly #options: ExternalChangesOptions;
  readonly #placed = new Set<FileId>();
  /** Files whose new name in a changed directory has been recorded: no further record is needed for them. */
  readonly #named = new Set<FileId>();

  readonly #hasMore: boolean;

  /** `hasMore`: there was more to be looked at than is shown to `take`. */
  constructor(options: ExternalChangesOptions, hasMore: boolean) {
    this.#options = options;
    this.#hasMore = hasMore;
  }

  get isFull(): boolean {
    return this.records.length >= recordsMax;
  }

  get isCut(): boolean {
    return this.#hasMore || this.isFull;
  }

  take(path: Buffer): void {
    const stats = this.#statsOf(path);
    const found = stats === undefined ? undefined : this.#find(path);
    if (stats === undefined || found === undefined) return;
    const countBefore = this.fileCount;
    const namedIn = stats.isDirectory() ? this.#compareNames(found.file, path) : 0;
    // Names that come and go change a directory's times: only without them its change is one of its own.
    if (this.fileCount === countBefore && !this.#named.has(found.file)) this.#changedFile(found.file, path, stats, namedIn);
  }

  /** `namedIn`: the last transaction that is known to have changed it. */
  #changedFile(file: FileId, path: Buffer, stats: BigIntStats, namedIn: number): void {
    // Recovery changed it, to what it had been.
    if (this.#options.native.recovery.replayed.includes(file)) return;
    if (this.#capturedAtNs(file, namedIn) >= stats.ctimeNs) return;
    this.#placeWithParents(path);
    const attributes = this.#options.native.stat(file, path);
    this.#add(recordType.attributes, file, 0, attributes, stats.ctimeNs);
    this.fileCount++;
  }

  /** Names that the index knows of against those that are there. Gives the last transaction that changed one of them. */
  #compareNames(directory: FileId, path: Buffer): number {
    const { native, transactions } = this.#options;
    const live = new Map<string, KnownName>();
    for (const entry of unpackDirectory(native.readDirectory(directory, path))) {
      if (!hides(this.#options.excludes, childPath(path, entry.name))) live.set(entry.name.toString('latin1'), entry);
    }
    const known = new Set<string>();
    let last = 0;
    for (const change of this.#lastChanges(directory)) {
      last = Math.max(last, change.txid);
      if (hides(this.#options.excludes, childPath(path, change.name))) continue;
      const text = change.name.toString('latin1');
      known.add(text);
      // A crash may have come between a name's record and its making; what was to go, recovery has taken away.
      const isSure = transactions.get(change.txid)?.recovered !== true || change.type === 0;
      if (isSure) this.#compareName(directory, path, change, live.get(text));
    }
    for (const [text, entry] of live) {
      if (!known.has(text) && this.#isNew(directory, path, entry)) this.#compareName(directory, path, { name: entry.name, file: absent, type: 0 }, entry);
    }
    return last;
  }

  #compareName(directory: FileId, path: Buffer, before: KnownName, after: KnownName | undefined): void {
    if (before.file === (after?.file ?? absent)) return;
    const { sinceNs } = this.#options;
    const statsNs = after === undefined ? 0n : this.#statsOf(childPath(path, after.name))?.ctimeNs ?? 0n;
    // A name said to be gone whose file has not changed since was never gone: that removal had failed.
    if (before.file === absent && statsNs <= sinceNs) return;
    this.#placeWithParents(path);
    const body = encodeName({
      before: before.file, after: after?.file ?? absent, typeBefore: before.type, typeAfter: after?.type ?? 0, operation: nameOperation.external, name: before.name,
    });
    this.#add(recordType.name, directory, before.name.length, body, statsNs);
    if (after !== undefined) this.#named.add(after.file);
    this.fileCount++;
  }

  /** For each name of the directory that the log tells of: what it leads to after the last change. */
  * #lastChanges(directory: FileId): Generator<KnownName & { txid: number }> {
    const { index } = this.#options;
    const known = new Set<string>();
    let last: (KnownName & { txid: number }) | undefined;
    for (const change of allNameChanges(index, directory)) {
      if (last !== undefined && !last.name.equals(change.name)) yield last;
      last = { name: change.name, file: change.after, type: change.typeAfter, txid: change.txid };
      known.add(change.name.toString('latin1'));
    }
    if (last !== undefined) yield last;
    for (const { key, value } of index.scan(fileKey(table.known, directory), filePrefix)) {
      const name = key.subarray(filePrefix);
      if (!known.has(name.toString('latin1'))) yield { name, ...decodeKnown(value), txid: 0 };
    }
  }

  /** A name the log does not tell of: made since, or moved here from where the log knew the file? Else it was always there. */
  #isNew(directory: FileId, path: Buffer, entry: KnownName): boolean {
    const at = childPath(path, entry.name);
    const stats = this.#statsOf(at);
    if (stats === undefined || stats.ctimeNs <= this.#options.sinceNs) return false;
    if (stats.birthtimeNs > this.#options.sinceNs) return true;
    const place = this.#options.paths.placeAt(txidMax - 1, entry.file);
    return place !== undefined && !(place.parent === directory && place.name.equals(entry.name));
  }

  /** The end of the last transaction that changed, made or named the file; 0 when the log tells of none. */
  #capturedAtNs(file: FileId, namedIn: number): bigint {
    const { index, transactions } = this.#options;
    const changed = index.atOrBefore(fileTxidKey(table.attributes, file, txidMax), filePrefix);
    const txid = Math.max(changed === undefined ? 0 : txidAtEnd(changed.key), this.#namedIn(file), namedIn);
    return txid === 0 ? 0n : transactions.get(txid)?.timeNs ?? 0n;
  }

  /** The last transaction in which a name of the file came or went; that one was only seen says nothing of a change. */
  #namedIn(file: FileId): number {
    for (const { key, value } of this.#options.index.scanBack(fileTxidKey(table.place, file, txidMax), filePrefix)) {
      if (value[0]! & (placed.before | placed.after)) return readNumberBE(key, filePrefix);
    }
    return 0;
  }

  /** Says where a file is, its parents first, once for each. */
  #placeWithParents(path: Buffer): void {
    let parent = this.#options.native.rootId;
    let at: Buffer = Buffer.alloc(0);
    for (const name of splitPath(path)) {
      const found = this.#lookup(parent, at, name);
      if (found === undefined) return;
      if (!this.#placed.has(found.file)) {
        this.#placed.add(found.file);
        this.#add(recordType.place, found.file, name.length, encodePlace({ parent, type: found.type, name }), 0n);
      }
      parent = found.file;
      at = childPath(at, name);
    }
  }

  #find(path: Buffer): Known | undefined {
    let found: Known | undefined = { file: this.#options.native.rootId, type: directoryType };
    let at: Buffer = Buffer.alloc(0);
    for (const name of splitPath(path)) {
      found = this.#lookup(found.file, at, name);
      if (found === undefined) return undefined;
      at = childPath(at, name);
    }
    return found;
  }

  #lookup(directory: FileId, path: Buffer, name: Buffer): Known | undefined {
    try {
      return this.#options.native.lookup(directory, path, name);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #statsOf(path: Buffer): BigIntStats | undefined {
    try {
      return lstatSync(Buffer.concat([Buffer.from(`${this.#options.root}/`), path.length === 0 ? Buffer.from('.') : path]), { bigint: true, throwIfNoEntry: false });
    } catch (error) {
      // What was a directory is none any more.
      if (codeOf(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  #add(type: number, file: FileId, aux: number, body: Buffer, timeNs: bigint): void {
    this.records.push(encodeRecord({ type, flags: 0, aux, file, txid: 0n, offset: 0n, size: 0n }, body));
    if (timeNs > this.timeNs) this.timeNs = timeNs;
  }
}

/** By itself, or by a directory that it lies in. */
function isHidden(excludes: Excludes, path: Buffer): boolean {
  for (let end = path.indexOf(slash); end >= 0; end = path.indexOf(slash, end + 1)) {
    if (hides(excludes, path.subarray(0, end))) return true;
  }
  return path.length > 0 && hides(excludes, path);
}

function hides(excludes: Excludes, path: Buffer): boolean {
  const text = path.toString('latin1');
  return excludes.hides(text.slice(text.lastIndexOf('/') + 1), text);
}

function childPath(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? Buffer.from(name) : Buffer.concat([directory, Buffer.from('/'), name]);
}
