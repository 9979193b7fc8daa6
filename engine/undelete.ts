/**
 * What was deleted under a path, and the moment at which it was still whole. In: a path, the index. Out: the file and a snapshot that shows it there.
 *
 * A directory is emptied before it is removed, each name a transaction of its own; what one process removed below it in one go before it removed the directory counts
 * as part of its deletion. So the moment is the one before the first of these.
 *
 * Invariants:
 * 1. What was renamed is not deleted. A path leads through the directories that stood at it then, not through those that stand there now.
 * 2. Between the moment and the deletion nothing happened below a directory but the removals that are taken as part of it.
 */
import { directoryType } from './attributes.js';
import { fileTxidKey, filePrefix, table, txidAtEnd, txidMax } from './index-keys.js';
import type { Floors } from './floors.js';
import type { IndexStore } from './index-store.js';
import { txid as toTxid } from './ids.js';
import { judged } from './judged.js';
import { nameOperation } from './log-bodies.js';
import { keptBefore } from './losses.js';
import { nsPerSecond } from './moments.js';
import { allNameChanges, nameChanges } from './name-history.js';
import type { NamedEntry } from './name-history.js';
import { pacer } from './pacer.js';
import { splitPath } from './path-bytes.js';
import type { Paths } from './paths.js';
import type { Resolver } from './resolve.js';
import type { Transactions } from './transactions.js';
import type { DeletedVersion, FileId, Transaction } from './types.js';

export interface UndeleteParts {
  readonly index: IndexStore;
  readonly floors: Floors;
  readonly paths: Paths;
  readonly resolver: Resolver;
  readonly transactions: Transactions;
  readonly rootId: FileId;
}

/** A stretch of time in which a path led to a file. */
interface Stay {
  readonly file: FileId;
  readonly type: number;
  /** The transaction that brought it; 0 when it was there before all that is recorded. */
  readonly from: number;
  /** What ended it; undefined while it lasts, or when a directory above went elsewhere. */
  readonly end: NamedEntry | undefined;
}

/** Removals further apart were not done in one go. */
const pauseNs = 10n * nsPerSecond;
/** Stays looked at along one path. */
const mostStays = 10_000;

/** What was deleted last under the path; with `at`, what was there at that moment, or else the last that had been deleted by then. */
export async function lastDeleted(parts: UndeleteParts, path: Buffer, at: number): Promise<DeletedVersion | undefined> {
  const names = splitPath(path);
  let looked = 0;
  for await (const stay of stays(parts, names, parts.rootId, { from: 0, until: txidMax })) {
    if (++looked > mostStays) return undefined;
    if (stay.end === undefined || stay.from > at || !isDeletion(parts.paths, stay.end)) continue;
    const transaction = parts.transactions.get(stay.end.txid);
    if (transaction === undefined || transaction.external) continue;
    const moment = stay.type === directoryType ? await wholeMoment(parts, stay.file, transaction) : stay.end.txid;
    const snapshot = keptBefore(parts.index, Math.max(moment, stay.from + 1), judged(parts.index).oldest);
    // Given up with the moments, or by a rule for this file.
    if (snapshot === undefined || snapshot < stay.from || parts.floors.hides(stay.file, snapshot)) continue;
    return { file: stay.file, type: stay.type, snapshot: toTxid(snapshot), deletedAt: transaction.txid, otherName: parts.paths.pathOf(txidMax - 1, stay.file) };
  }
  return undefined;
}

/** What stood at a path below a directory within a stretch of transactions, newest first. */
async function* stays(parts: UndeleteParts, names: readonly Buffer[], directory: FileId, within: { from: number; until: number }): AsyncGenerator<Stay> {
  const [name, ...rest] = names;
  if (name === undefined) return;
  const changes = [...nameChanges(parts.index, directory, name)];
  for (let at = changes.length; at >= 0; at--) {
    const [start, end] = [changes[at - 1], changes[at]];
    const there = end === undefined ? await parts.resolver.lookup(txidMax - 1, directory, name) : { file: end.before, type: end.typeBefore };
    const from = Math.max(start?.txid ?? 0, within.from);
    const until = Math.min(end === undefined ? txidMax : end.txid - 1, within.until);
    if (there === undefined || there.file === 0n || from > until) continue;
    if (rest.length === 0) yield { ...there, from, end: end !== undefined && until === end.txid - 1 ? end : undefined };
    else yield* stays(parts, rest, there.file, { from, until });
  }
}

function isDeletion(paths: Paths, end: NamedEntry): boolean {
  return end.operation === nameOperation.unlink || end.operation === nameOperation.rmdir || paths.placeAt(end.txid, end.before) === undefined;
}

/** The first transaction of those that emptied a directory and removed it. */
async function wholeMoment({ index, transactions }: UndeleteParts, directory: FileId, removal: Transaction): Promise<number> {
  const pause = pacer();
  const directories: FileId[] = [directory];
  const removals = new Set<number>([Number(removal.txid)]);
  for (const emptied of directories) {
    for (const { before, after, typeBefore, txid } of lastChanges(index, emptied)) {
      await pause();
      if (before === 0n || after !== 0n || txid > Number(removal.txid)) continue;
      removals.add(txid);
      if (typeBefore === directoryType) directories.push(before);
    }
  }
  const changes = new Set<number>(removals);
  // Nothing that happened before the first removal matters.
  const first = [...removals].reduce((least, txid) => Math.min(least, txid));
  for (const changed of directories) {
    for (const { key } of index.scan(fileTxidKey(table.directory, changed, first), filePrefix)) changes.add(txidAtEnd(key));
    await pause();
  }
  let moment = removal;
  for (const txid of [...changes].sort((a, b) => b - a)) {
    if (txid >= Number(moment.txid)) continue;
    const transaction = transactions.get(txid);
    const belongs = transaction !== undefined && removals.has(txid) && isSame(transaction, removal) && moment.timeNs - transaction.timeNs <= pauseNs;
    if (!belongs) break;
    moment = transaction;
  }
  return Number(moment.txid);
}

/** For each name of a directory its last change. */
function* lastChanges(index: IndexStore, directory: FileId): Generator<NamedEntry> {
  let last: NamedEntry | undefined;
  for (const change of allNameChanges(index, directory)) {
    if (last !== undefined && !last.name.equals(change.name)) yield last;
    last = change;
  }
  if (last !== undefined) yield last;
}

function isSame(one: Transaction, other: Transaction): boolean {
  return one.uid === other.uid && one.pid === other.pid && one.command === other.command;
}
