/**
 * Transactions that have ended, by number and by time. In: the index. Out: decoded ENDs.
 *
 * Invariants:
 * 1. Times grow strictly with txids, so the order of one is the order of the other.
 * 2. Transaction 0 is the moment the volume was made, before all history; it is there until history begins later.
 */
import { decodeEnd, endBodyBytes, endFlag, endReasons } from './log-bodies.js';
import { numberKey, table, timeKey, txidMax } from './index-keys.js';
import type { IndexEntry, IndexStore } from './index-store.js';
import { readNumberBE, txid as toTxid } from './ids.js';
import { judged } from './judged.js';
import type { Transaction, Txid } from './types.js';

/** A transaction's number and time. */
export interface Moment {
  readonly txid: number;
  readonly timeNs: bigint;
}

export class Transactions {
  readonly #index: IndexStore;
  readonly #createdNs: bigint;

  constructor(index: IndexStore, createdNs: bigint) {
    this.#index = index;
    this.#createdNs = createdNs;
  }

  /** Undefined when it has not ended, or is no longer kept. */
  get(txid: Txid | number): Transaction | undefined {
    if (Number(txid) === 0) return judged(this.#index).oldest === 0 ? this.zero() : undefined;
    const value = this.#index.get(numberKey(table.transaction, Number(txid)));
    return value === undefined ? undefined : decode(toTxid(txid), value);
  }

  /** The last that ended; transaction 0 when none has. */
  last(): Transaction {
    return fromEntry(this.#index.atOrBefore(numberKey(table.transaction, txidMax), 1)) ?? this.zero();
  }

  /** The last that ended at or before a time; undefined when none had. */
  atOrBefore(timeNs: bigint): Moment | undefined {
    const entry = this.#index.atOrBefore(timeKey(timeNs), 1);
    return entry === undefined ? undefined : { txid: readNumberBE(entry.value, 0), timeNs: entry.key.readBigUInt64BE(1) };
  }

  /** When the last moment up to a transaction ended; undefined when there is none. */
  timeUpTo(txid: number): bigint | undefined {
    return fromEntry(this.#index.atOrBefore(numberKey(table.transaction, txid), 1))?.timeNs;
  }

  /** Up to here only what the index knows is a moment. */
  horizon(): number {
    return judged(this.#index).horizon;
  }

  /** Time of the oldest moment that can be read. */
  oldestNs(): bigint {
    return this.get(judged(this.#index).oldest)?.timeNs ?? this.#createdNs;
  }

  /** All moments, oldest first; safe to stop, and to wait between two of them. */
  * all(): Generator<Transaction> {
    const zero = this.get(0);
    if (zero !== undefined) yield zero;
    yield* this.after(0);
  }

  /** All that are kept of those after one, oldest first; as `all`. */
  * after(txid: number): Generator<Transaction> {
    for (const { key, value } of this.#index.scan(numberKey(table.transaction, txid + 1), 1)) yield decode(toTxid(readNumberBE(key, 1)), value);
  }

  zero(): Transaction {
    return {
      txid: toTxid(0), timeNs: this.#createdNs, uid: 0, gid: 0, pid: 0, command: '', reason: 'start', external: false, recovered: false, quiescent: true,
    };
  }
}

function fromEntry(entry: IndexEntry | undefined): Transaction | undefined {
  return entry === undefined ? undefined : decode(toTxid(readNumberBE(entry.key, 1)), entry.value);
}

function decode(txid: Txid, value: Buffer): Transaction {
  const end = decodeEnd(value, value.length - endBodyBytes);
  const shared = end.flags & endFlag.severalActors ? 'actors' : end.flags & endFlag.severalProcesses ? 'processes' : undefined;
  return {
    txid, timeNs: end.timeNs, uid: end.uid, gid: end.gid, pid: end.pid, command: end.command,
    reason: endReasons[end.reason] ?? String(end.reason),
    external: (end.flags & endFlag.external) !== 0,
    recovered: (end.flags & endFlag.recovered) !== 0,
    quiescent: (end.flags & endFlag.quiescent) !== 0,
    ...(shared === undefined ? {} : { shared }),
  };
}
