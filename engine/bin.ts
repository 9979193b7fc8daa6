/**
 * The recovery bin: what was deleted, replaced, cut off or overwritten below a directory since a time, newest first. In: a query. Out: one item for
 * each loss, with who did it, as they are found: there may be millions.
 *
 * Invariants:
 * 1. The work grows with what was destroyed since then, not with the history.
 * 2. Bytes that one process overwrites again and again in a file are one item, the newest.
 * 3. Who it was is only said to be sure where the transaction's changes are all his.
 */
import { decodeAttributes, formatMask, regularType } from './attributes.js';
import { codeOf } from './errors.js';
import type { Excludes } from './excludes.js';
import type { IndexStore } from './index-store.js';
import { losingBack } from './loss-marks.js';
import { lostNames, overwrittenFiles } from './losses.js';
import { changeRows } from './name-history.js';
import type { ChangeRows } from './name-history.js';
import { pacer } from './pacer.js';
import { joinBytes } from './path-bytes.js';
import type { Paths } from './paths.js';
import type { Resolver } from './resolve.js';
import { Scope } from './scope.js';
import type { Transactions } from './transactions.js';
import type { Attributes, BinItem, FileId, Transaction } from './types.js';
import { isActor } from './whose.js';
import type { ActorChoice } from './whose.js';

export interface BinQuery {
  /** What was below it, or in it. */
  readonly directory: FileId;
  /** What was destroyed after this moment. */
  readonly after: number;
  readonly by: ActorChoice;
  /** Of paths: all when not given. */
  readonly pattern?: Excludes;
  readonly limit?: number;
}

export interface BinParts {
  readonly index: IndexStore;
  readonly paths: Paths;
  readonly resolver: Resolver;
  readonly transactions: Transactions;
  readonly rootId: FileId;
}

type Loss = Pick<BinItem, 'kind' | 'path' | 'file' | 'type'>;

/** The index must have read as far as is asked for. */
export async function* listBin(parts: BinParts, query: BinQuery): AsyncGenerator<BinItem> {
  const losses = new Losses(parts, query);
  const pause = pacer();
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  for (const txid of losingBack(parts.index, query.after, Number(parts.transactions.last().txid))) {
    await pause();
    const transaction = parts.transactions.get(txid);
    if (transaction === undefined || !isActor(transaction, query.by)) continue;
    for await (const item of losses.of(transaction)) {
      yield item;
      left -= 1;
      if (left <= 0) return;
    }
  }
}

class Losses {
  readonly #parts: BinParts;
  readonly #query: BinQuery;
  readonly #scope: Scope;
  /** What was told of already: a file, and who overwrote it. */
  readonly #told = new Set<string>();

  constructor(parts: BinParts, query: BinQuery) {
    this.#parts = parts;
    this.#query = query;
    this.#scope = new Scope(parts.paths, parts.rootId, [query.directory]);
  }

  async* of(transaction: Transaction): AsyncGenerator<BinItem> {
    const { index, transactions } = this.#parts;
    const txid = Number(transaction.txid);
    const rows = changeRows(index, txid);
    const isSure = transaction.shared === undefined && !transaction.recovered && transactions.get(txid - 1) !== undefined;
    for (const loss of [...this.#names(rows, txid), ...await this.#contents(rows, txid)]) {
      if (!this.#wants(loss) || this.#isKnown(loss, transaction)) continue;
      const { timeNs, uid, pid, command, external } = transaction;
      const before = this.#attributesBefore(loss.file, txid);
      const size = before !== undefined && loss.type === regularType ? { size: before.size } : {};
      yield { ...loss, ...size, txid: transaction.txid, timeNs, uid, pid, command, external, isSure };
    }
  }

  #names(rows: ChangeRows, txid: number): Loss[] {
    const { index, paths } = this.#parts;
    const losses: Loss[] = [];
    for (const { kind, directory, name, file, type } of lostNames(index, paths, rows, txid)) {
      if (!this.#scope.holdsAt(directory, txid - 1)) continue;
      const above = paths.pathOf(txid - 1, directory) ?? paths.pathOf(txid, directory);
      if (above !== undefined) losses.push({ kind, path: joinBytes(above, name), file, type });
    }
    return losses;
  }

  async #contents(rows: ChangeRows, txid: number): Promise<Loss[]> {
    const { paths } = this.#parts;
    const losses: Loss[] = [];
    for (const file of overwrittenFiles(rows)) {
      // A file that came or went in this transaction is told of by its name.
      const path = paths.pathOf(txid, file);
      if (path === undefined || paths.pathOf(txid - 1, file) === undefined || !this.#scope.holdsAt(file, txid)) continue;
      const before = this.#attributesBefore(file, txid);
      const after = await this.#attributes(file, txid);
      if (before === undefined || after === undefined) continue;
      losses.push({ kind: after.size < before.size ? 'truncated' : 'overwritten', path, file, type: before.mode & formatMask });
    }
    return losses;
  }

  #wants({ path }: Loss): boolean {
    const { pattern } = this.#query;
    if (pattern === undefined) return true;
    const text = path.toString('latin1', 1);
    return pattern.hides(text.slice(text.lastIndexOf('/') + 1), text);
  }

  #isKnown({ kind, file }: Loss, { uid, pid, command }: Transaction): boolean {
    if (kind === 'deleted' || kind === 'replaced') return false;
    const key = [file, kind, uid, pid, command].join('/');
    if (this.#told.has(key)) return true;
    this.#told.add(key);
    return false;
  }

  #attributesBefore(file: FileId, txid: number): Attributes | undefined {
    const packed = this.#parts.resolver.attributesBefore(file, txid);
    return packed === undefined ? undefined : decodeAttributes(packed);
  }

  async #attributes(file: FileId, txid: number): Promise<Attributes | undefined> {
    try {
      return decodeAttributes(await this.#parts.resolver.attributes(txid, file));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      return undefined;
    }
  }
}
