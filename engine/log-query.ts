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
import { changeRows, nameChangeUpTo, nameChanges } from './name-history.js';
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

/** Where a path leads, or last led. */
interface Found {
  readonly parent: FileId | undefined;
  readonly name: Buffer;
  readonly file: FileId;
  readonly type: number;
}

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
    const found = await this.#findEver(query.path);
    if (found === undefined) {
      throw new VolumeError('ENOENT', `nothing is known of ${query.path.toString()}: no such file now or at any time since the volume was made`);
    }
    const range = this.#range(query);
    if (range.first > range.last || range.limit <= 0) return [];
    return found.type === directoryType ? this.#below(found.file, range) : this.#ofPath(found, range);
  }

  #range({ sinceNs, untilNs, limit }: LogQuery): Range {
    const last = untilNs === undefined ? txidMax - 1 : this.#transactions.atOrBefore(untilNs)?.txid ?? 0;
    const beforeFirst = sinceNs === undefined ? undefined : this.#transactions.atOrBefore(sinceNs - 1n);
    return { first: (beforeFirst?.txid ?? 0) + 1, last, limit: limit ?? Number.POSITIVE_INFINITY };
  }

  /** The file that is at the path now, else the one that last was. */
  async #findEver(path: Buffer): Promise<Found | undefined> {
    let at: Found = { parent: undefined, name: Buffer.alloc(0), file: this.#rootId, type: directoryType };
    for (const name of splitPath(path)) {
      const next = await this.#resolver.lookup(txidMax - 1, at.file, name) ?? this.#lastAt(at.file, name);
      if (next === undefined) return undefined;
      at = { parent: at.file, name, file: next.file, type: next.type };
    }
    return at;
  }

  #lastAt(directory: FileId, name: Buffer): { file: FileId; type: number } | undefined {
    for (let change = nameChangeUpTo(this.#index, directory, name, txidMax - 1); change !== undefined;) {
      if (change.before !== 0n) return { file: change.before, type: change.typeBefore };
      change = nameChangeUpTo(this.#index, directory, name, change.txid - 1);
    }
    return undefined;
  }

  /** Versions of the files that stood at one name. */
  async #ofPath(found: Found, range: Range): Promise<Change[]> {
    const steps: { file: FileId; txid: number }[] = [];
    for (const [file, until] of this.#filesAt(found)) {
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

  /** Files that stood at the name, with the transaction up to which they belong to its log. */
  #filesAt(found: Found): Map<FileId, number> {
    const files = new Map<FileId, number>([[found.file, txidMax]]);
    if (found.parent === undefined) return files;
    for (const change of nameChanges(this.#index, found.parent, found.name)) {
      if (change.before !== 0n && change.before !== found.file) files.set(change.before, change.txid);
    }
    return files;
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

  /** Everything below a directory, by going back through the transactions. */
  async #below(directory: FileId, range: Range): Promise<Change[]> {
    const scope = new Scope(this.#paths, this.#rootId, directory);
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
