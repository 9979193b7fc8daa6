/**
 * What a pair needs of a volume: on the primary, what leads from one transaction to the next; on the standby, transactions that have the numbers, times and actors of another
 * volume. In: the engine's parts. Out: steps; transactions opened and ended as told.
 *
 * A store with the file `standby` in it follows another volume: its own barriers end nothing, and what a crash left open stays open until it is opened again.
 *
 * Invariants:
 * 1. While a volume follows, it has no transaction that the other one has not ended before.
 * 2. A snapshot that is held is not given up.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from './errors.js';
import { encodeKept, endFlag, endReasons } from './log-bodies.js';
import type { NativeVolume } from './native.js';
import { syncDirectory } from './store-files.js';
import type { Step, Steps } from './steps.js';
import type { Transactions } from './transactions.js';
import type { Transaction, Txid } from './types.js';

export interface ReplicationParts {
  readonly native: NativeVolume;
  readonly steps: Steps;
  /** The store's directory, by descriptor. */
  readonly store: string;
  readonly caughtUp: () => Promise<number>;
  readonly transactions: Transactions;
}

/** Txids are exact up to here. */
export const greatestTxid = 2n ** 53n - 1n;

const markerName = 'standby';

/** true for a store whose volume follows another. */
export function isFollowing(store: string): boolean {
  return existsSync(join(store, markerName));
}

export class Replication {
  readonly #parts: ReplicationParts;
  readonly #held = new Map<object | string, number>();

  constructor(parts: ReplicationParts) {
    this.#parts = parts;
  }

  /** The store's directory, by descriptor. */
  get store(): string {
    return this.#parts.store;
  }

  /** Where the pair keeps what it has to remember; not there until it is made. */
  get directory(): string {
    return join(this.#parts.store, 'pair');
  }

  get isFollowing(): boolean {
    return isFollowing(this.#parts.store);
  }

  /** What leads from one kept moment to another, either way. Waits for the index. */
  async step(from: Txid, to: Txid): Promise<Step> {
    await this.#parts.caughtUp();
    return this.#parts.steps.between(Number(from), Number(to));
  }

  /** The last transaction that has ended, by the log: the index may not know it yet. */
  get ended(): Txid {
    return this.#parts.native.logState().ended;
  }

  /** The last transaction that the index knows. */
  get last(): Transaction {
    return this.#parts.transactions.last();
  }

  /** Moments after a transaction, in order, as far as the index knows; safe to stop. */
  * momentsAfter(txid: Txid): Generator<Transaction> {
    yield* this.#parts.transactions.after(Number(txid));
  }

  /** `holder` keeps a snapshot from being given up; undefined: none any more. */
  hold(holder: object | string, snapshot: Txid | undefined): void {
    if (snapshot === undefined) this.#held.delete(holder);
    else this.#held.set(holder, Number(snapshot));
  }

  /** Snapshots that somebody holds. */
  held(): ReadonlySet<number> {
    return new Set(this.#held.values());
  }

  /** From now on the volume follows, also when it is opened again. Nothing may be able to change the live tree but whoever brings the other volume's changes. */
  follow(): void {
    writeFileSync(join(this.#parts.store, markerName), '');
    syncDirectory(this.#parts.store);
  }

  /** Changes belong to this transaction of the other volume now. Rejects with EINVAL for one that lies before what this volume has. */
  async openTransaction(txid: Txid): Promise<void> {
    await this.#parts.native.openFollowed(txid);
  }

  /** Ends it as the other volume did. Rejects with EINVAL when another one is open. */
  async endTransaction({ txid, uid, gid, pid, command, reason, timeNs, shared, ...flags }: Transaction): Promise<void> {
    const several = shared === 'actors' ? endFlag.severalProcesses | endFlag.severalActors : shared === 'processes' ? endFlag.severalProcesses : 0;
    const bits = endFlag.followed | several | (flags.external ? endFlag.external : 0) | (flags.recovered ? endFlag.recovered : 0) | (flags.quiescent ? endFlag.quiescent : 0);
    await this.#parts.native.endFollowed(txid, { uid, gid, pid }, command, Math.max(0, (endReasons as readonly string[]).indexOf(reason)), bits, timeNs);
  }

  /** A history that has none yet gets its first transaction, so that there is one to begin with. */
  async begin(): Promise<void> {
    if (this.ended > 0n) return;
    for (let txid = 1n as Txid; ; txid = (txid + 1n) as Txid) {
      await this.openTransaction(txid);
      await this.endTransaction({ txid, timeNs: BigInt(Date.now()) * 1_000_000n, uid: 0, gid: 0, pid: process.pid, command: 'tidemark', reason: 'query', external: false, recovered: false, quiescent: false });
      try {
        return this.#parts.native.stopFollowing((txid + 1n) as Txid);
      } catch (error) {
        // Somebody has changed something meanwhile: that ends with the next one.
        if (codeOf(error) !== 'EINVAL') throw error;
      }
    }
  }

  /** The transaction that has ended last is the first moment: none before it is shown. */
  async beginHistory(txid: Txid): Promise<void> {
    await this.#keepOnly([Number(txid)]);
  }

  /** Of the moments after `common` only the last one, `tail`, stays. */
  async forgetBetween(common: Txid, tail: Txid): Promise<void> {
    const kept: number[] = [];
    for (const { txid } of this.#parts.transactions.all()) if (txid <= common) kept.push(Number(txid));
    await this.#keepOnly([...kept, Number(tail)]);
  }

  async #keepOnly(txids: readonly number[]): Promise<void> {
    await this.#parts.native.appendKept(BigInt(txids.at(-1)!) as Txid, encodeKept(Float64Array.from(txids)));
    await this.#parts.caughtUp();
  }

  /** The volume has transactions of its own again, from `next` on. Throws EINVAL while a transaction has begun and not ended. */
  lead(next: Txid): void {
    try {
      this.#parts.native.stopFollowing(next);
    } catch (error) {
      // A volume that was opened without following has nothing to stop.
      if (codeOf(error) !== 'EINVAL' || this.isFollowing) throw error;
    }
    rmSync(join(this.#parts.store, markerName), { force: true });
    syncDirectory(this.#parts.store);
  }

  /** What the log tells up to now is on the disk when this resolves. */
  async syncLog(): Promise<void> {
    await this.#parts.native.syncLog();
  }

  /** All that has been applied and logged until now is on the disk when this resolves. */
  async makeDurable(): Promise<void> {
    await Promise.all([this.#parts.native.syncLog(), this.#parts.native.syncTree()]);
  }
}
