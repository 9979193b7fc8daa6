/**
 * Finds the changes that an undo takes back: the transactions of the chosen ones, and what they touched below a directory. In: the index. Out: names and files, with the
 * transactions in which they are mine.
 *
 * Invariants:
 * 1. Every transaction from the beginning to now is known by itself: where some were merged, nobody can say whose changes those are.
 * 2. A transaction whose actor is not sure is not taken for mine; it is told of.
 */
import { VolumeError } from './errors.js';
import { decodeNameEntry, namedKey, numberKey, table } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import type { Changes } from './changes.js';
import { localTime } from './moments.js';
import { changeRows } from './name-history.js';
import { pacer } from './pacer.js';
import type { Paths } from './paths.js';
import { Scope } from './scope.js';
import type { Transactions } from './transactions.js';
import type { FileId, Transaction } from './types.js';
import type { Uncertain } from './undo-types.js';
import { isActor } from './whose.js';
import type { ActorChoice } from './whose.js';

export interface UndoRequest {
  /** What happened below it, or to it, is meant. */
  readonly directory: FileId;
  /** What came after this moment, … */
  readonly after: number;
  /** … up to this one. */
  readonly upTo: number;
  readonly by: ActorChoice;
}

export interface TouchedName {
  readonly directory: FileId;
  readonly name: Buffer;
  /** The first transaction that changed it and is mine. */
  readonly first: number;
}

/** What mine touched. */
export interface Touched {
  readonly names: ReadonlyMap<string, TouchedName>;
  /** By file: the first transaction that changed its bytes or attributes and is mine. */
  readonly files: ReadonlyMap<FileId, number>;
  readonly mine: ReadonlySet<number>;
  readonly uncertain: readonly Uncertain[];
}

export interface ScanParts {
  readonly index: IndexStore;
  readonly paths: Paths;
  readonly changes: Changes;
  readonly transactions: Transactions;
  readonly rootId: FileId;
}

/** Throws VolumeError ENOENT, with the moment from which on an undo is possible, when history since the beginning was given up. */
export async function scanTouched(parts: ScanParts, request: UndoRequest): Promise<Touched> {
  const scan = new Scan(parts, request);
  const pause = pacer();
  let expected = request.after + 1;
  for (const transaction of parts.transactions.after(request.after)) {
    await pause();
    if (Number(transaction.txid) !== expected++) throw new VolumeError('ENOENT', givenUp(parts));
    if (transaction.txid <= request.upTo) scan.look(transaction);
  }
  return scan;
}

/** From when on each transaction is kept by itself. */
export function givenUp({ index, transactions }: Pick<ScanParts, 'index' | 'transactions'>): string {
  let from = Number(transactions.last().txid);
  for (const { key } of index.scanBack(numberKey(table.transaction, from), 1)) {
    const txid = readNumberBE(key, 1);
    if (txid < from - 1) break;
    from = txid;
  }
  if (from === 1 && transactions.get(0) !== undefined) from = 0;
  const timeNs = transactions.get(from)?.timeNs ?? transactions.oldestNs();
  if (from === 0) return `the history begins at ${localTime(timeNs)}; say --since txn-0 for all of it`;
  return `older changes are no longer kept one by one, so they cannot be undone; what changed since ${localTime(timeNs)} can: --since txn-${from}`;
}

class Scan implements Touched {
  readonly names = new Map<string, TouchedName>();
  readonly files = new Map<FileId, number>();
  readonly mine = new Set<number>();
  readonly uncertain: Uncertain[] = [];
  readonly #parts: ScanParts;
  readonly #by: ActorChoice;
  readonly #scope: Scope;

  constructor(parts: ScanParts, { directory, by }: UndoRequest) {
    this.#parts = parts;
    this.#by = by;
    this.#scope = new Scope(parts.paths, parts.rootId, [directory]);
  }

  look(transaction: Transaction): void {
    const why = doubt(transaction, this.#by);
    const txid = Number(transaction.txid);
    if (why !== undefined) return this.#noteUncertain(txid, why);
    if (!isActor(transaction, this.#by)) return;
    const rows = changeRows(this.#parts.index, txid);
    for (const file of rows.files.keys()) {
      if (this.#scope.holds(file, txid)) this.#note(this.files, file, txid);
    }
    for (const { directory, name } of rows.names) {
      const value = this.#parts.index.get(namedKey(table.name, directory, name, txid));
      if (value === undefined) continue;
      const { before, after } = decodeNameEntry(value);
      const isMeant = [directory, before, after].some((file) => file !== 0n && this.#scope.holds(file, txid));
      const key = `${directory}/${name.toString('latin1')}`;
      if (!isMeant) continue;
      this.mine.add(txid);
      if (!this.names.has(key)) this.names.set(key, { directory, name: Buffer.from(name), first: txid });
    }
  }

  #note(files: Map<FileId, number>, file: FileId, txid: number): void {
    this.mine.add(txid);
    if (!files.has(file)) files.set(file, txid);
  }

  #noteUncertain(txid: number, why: Uncertain['why']): void {
    const files = this.#parts.changes.filesIn(changeRows(this.#parts.index, txid), txid);
    const meant = files.find(({ file }) => this.#scope.holds(file, txid));
    if (meant !== undefined) this.uncertain.push({ txid, file: meant.file, why });
  }
}

/** Why it cannot be said whether all, or none, of a transaction's changes are the chosen one's. */
function doubt(transaction: Transaction, by: ActorChoice): Uncertain['why'] | undefined {
  if (transaction.recovered) return 'recovered';
  if (transaction.shared === 'actors') return 'shared';
  // Others of the same user and program are meant as well, unless one process is.
  return transaction.shared === 'processes' && by.pid !== undefined && isActor({ ...transaction, pid: by.pid }, by) ? 'shared' : undefined;
}
