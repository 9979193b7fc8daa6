/**
 * `log PATH`: the versions of a file, through renames and replacements, or everything that changed below a directory. In: a
 * query. Out: changes, newest first.
 *
 * Invariants:
 * 1. A file's log tells of every file that ever stood at the path: of those that left it, up to their leaving; of the one that
 *    is (or was last) there, everything; of each, also what it went through under earlier names.
 * 2. The work stops at the limit; long scans let other work run in between.
 */
import { directoryType } from './attributes.js';
import { VolumeError } from './errors.js';
import { decodePlaceEntry, fileKey, filePrefix, numberKey, placed, table, txidAtEnd, txidMax } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import { changeRows, nameChanges } from './name-history.js';
import type { Changes } from './changes.js';
import type { Paths } from './paths.js';
import { splitPath } from './path-bytes.js';
import { pacer } from './pacer.js';
import { Scope } from './scope.js';
import type { Resolver } from './resolve.js';
import type { Transactions } from './transactions.js';
import type { Change, FileId, LogQuery } from './types.js';

interface Range {
  readonly first: number;
  readonly last: number;
  readonly limit: number;
}

/** What stood at a path. */
interface Found {
  readonly type: number;
  /** The transaction up to which it belongs to the path's log. */
  readonly until: number;
}

/** Files looked at that stood at one path: a directory may be made again and again. */
const mostFiles = 256;

export class LogQueries {
  readonly #index: IndexStore;
  readonly #paths: Paths;
  readonly #resolver: Resolver;
  readonly #changes: Changes;
  readonly #transactions: Transactions;
  readonly #rootId: FileId;

  constructor(parts: { index: IndexStore; paths: Paths; resolver: Resolver; changes: Changes; transactions: Transactions; rootId: FileId }) {
    this.#index = parts.index;
    this.#paths = parts.paths;
    this.#resolver = parts.resolver;
    this.#changes = parts.changes;
    this.#transactions = parts.transactions;
    this.#rootId = parts.rootId;
  }

  /** Throws VolumeError ENOENT when nothing is known of the path. */
  async log(query: LogQuery): Promise<Change[]> {
    const found = await this.#filesAt(query.path);
    // The one that is there now, or last was.
    const [newest] = found.values();
    if (newest === undefined) {
      throw new VolumeError('ENOENT', `nothing is known of ${query.path.toString()}: no such file now or at any time since the volume was made`);
    }
    const range = this.#range(query);
    if (range.first > range.last || range.limit <= 0) return [];
    return newest.type === directoryType ? this.#below(this.#stillHere(found), range) : this.#ofFiles(found, range);
  }

  #range({ sinceNs, untilNs, limit }: LogQuery): Range {
    const last = untilNs === undefined ? txidMax - 1 : this.#transactions.atOrBefore(untilNs)?.txid ?? 0;
    const beforeFirst = sinceNs === undefined ? undefined : this.#transactions.atOrBefore(sinceNs - 1n);
    return { first: (beforeFirst?.txid ?? 0) + 1, last, limit: limit ?? Number.POSITIVE_INFINITY };
  }

  /** Files that stood at the path, the last one first. */
  async #filesAt(path: Buffer): Promise<Map<FileId, Found>> {
    let found = new Map<FileId, Found>([[this.#rootId, { type: directoryType, until: txidMax }]]);
    for (const name of splitPath(path)) {
      const below: [FileId, Found][] = [];
      for (const [directory, { until }] of found) below.push(...await this.#filesIn(directory, name, until));
      below.sort(([, a], [, b]) => b.until - a.until);
      found = new Map();
      for (const [file, { type, until }] of below.slice(0, mostFiles)) {
        // Whatever became of the last one belongs to the path; of the others, what was while they were there.
        if (!found.has(file)) found.set(file, { type, until: found.size === 0 ? txidMax : until });
      }
    }
    return found;
  }

  /** Files that stood at a name of a directory, which itself stood there up to a transaction. */
  async #filesIn(directory: FileId, name: Buffer, until: number): Promise<[FileId, Found][]> {
    const files: [FileId, Found][] = [];
    const now = await this.#resolver.lookup(txidMax - 1, directory, name);
    if (now !== undefined) files.push([now.file, { type: now.type, until }]);
    for (const { before, typeBefore, txid } of nameChanges(this.#index, directory, name)) {
      if (before !== 0n) files.push([before, { type: typeBefore, until: Math.min(txid, until) }]);
    }
    return files;
  }

  /** Of directories that stood at a path: the last one, and those that are nowhere else now. */
  #stillHere(found: ReadonlyMap<FileId, Found>): FileId[] {
    return [...found].filter(([file, { type }], index) => index === 0 || (type === directoryType && this.#paths.pathOf(txidMax - 1, file) === undefined)).map(([file]) => file);
  }

  /** Versions of the files that stood at one path. */
  async #ofFiles(found: ReadonlyMap<FileId, Found>, range: Range): Promise<Change[]> {
    const steps: { file: FileId; txid: number }[] = [];
    for (const [file, { until }] of found) {
      for (const txid of this.#txidsOf(file)) {
        if (txid >= range.first && txid <= Math.min(range.last, until)) steps.push({ file, txid });
      }
    }
    steps.sort((a, b) => b.txid - a.txid);
    const changes: Change[] = [];
    const seen = new Set<string>();
    const pause = pacer();
    for (const { file, txid } of steps) {
      if (changes.length >= range.limit) break;
      if (seen.has(`${txid}/${file}`)) continue;
      seen.add(`${txid}/${file}`);
      await this.#addChanges(changes, file, txid);
      await pause();
    }
    return changes.slice(0, range.limit);
  }

  async #addChanges(changes: Change[], file: FileId, txid: number): Promise<void> {
    const transaction = this.#transactions.get(txid);
    if (transaction === undefined) return;
    const bits = this.#index.get(Buffer.concat([numberKey(table.change, txid), fileKey(0, file).subarray(1)]))?.[0] ?? 0;
    changes.push(...(await this.#changes.ofFile(file, transaction, bits)).reverse());
  }

  /** Transactions that may have changed the file: its attributes change with everything else, and its names. */
  #txidsOf(file: FileId): Set<number> {
    const txids = new Set<number>();
    for (const { key } of this.#index.scan(fileKey(table.attributes, file), filePrefix)) txids.add(txidAtEnd(key));
    for (const { key, value } of this.#index.scan(fileKey(table.place, file), filePrefix)) {
      const place = decodePlaceEntry(key, value);
      if (place.bits & (placed.before | placed.after)) txids.add(place.txid);
    }
    return txids;
  }

  /** Everything below directories, by going back through the transactions. */
  async #below(directories: readonly FileId[], range: Range): Promise<Change[]> {
    const scope = new Scope(this.#paths, this.#rootId, directories);
    const changes: Change[] = [];
    const pause = pacer();
    for (const txid of this.#txidsBack(range)) {
      if (changes.length >= range.limit) break;
      const transaction = this.#transactions.get(txid);
      if (transaction === undefined) continue;
      const rows = changeRows(this.#index, txid);
      const files = this.#changes.filesIn(rows, txid).reverse();
      for (const { file } of files) {
        await pause();
        if (!scope.holds(file, txid)) continue;
        changes.push(...(await this.#changes.ofFile(file, transaction, rows.files.get(file)?.bits ?? 0)).reverse());
      }
    }
    return changes.slice(0, range.limit);
  }

  /** Transactions of the range that changed something, newest first. */
  * #txidsBack(range: Range): Generator<number> {
    for (let at = range.last; at >= range.first;) {
      const entry = this.#index.atOrBefore(numberKey(table.change, at + 1), 1);
      if (entry === undefined) return;
      at = readNumberBE(entry.key, 1);
      if (at < range.first) return;
      yield at;
      at--;
    }
  }
}
