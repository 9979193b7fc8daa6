/**
 * From moments to snapshots and back: what `@…` means, and which names `.snapshots` lists. In: the index's transactions and
 * pins, the clock. Out: txids and names.
 *
 * Invariants:
 * 1. A listed name resolves to the transaction it was listed for, also later: the second that is not over yet is listed with its
 *    nanoseconds, since another transaction may still end in it.
 * 2. At most 500 names are listed, pins first of all.
 */
import { MomentError } from './errors.js';
import { fileTxidKey, filePrefix, table, txidAtEnd } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { txid as toTxid } from './ids.js';
import { judged } from './judged.js';
import type { Judged } from './judged.js';
import { floorSecond, formatMoment, localTime, nsPerSecond, readMoment } from './moments.js';
import { thin } from './thinning.js';
import type { Pins } from './pins.js';
import type { Moment, Transactions } from './transactions.js';
import type { FileId, Txid } from './types.js';

export const listedNamesMax = 500;

/** Samba reads a list twice a request, and Explorer asks at least twice; to go through a history of thousands of moments each time takes long. */
const rememberedNs = 10n * nsPerSecond;
const rememberedLists = 32;

export interface SnapshotName {
  readonly name: string;
  readonly txid: Txid;
  readonly timeNs: bigint;
}

/** A list, and all that it was made from. */
interface MadeList extends Judged {
  readonly moments: Moment[];
  readonly newest: number | undefined;
  readonly room: number;
  readonly nowNs: bigint;
}

export class Times {
  readonly #transactions: Transactions;
  readonly #pins: Pins;
  readonly #index: IndexStore;
  readonly #nowNs: () => bigint;
  /** Lists made lately, by directory; undefined: the root's. */
  readonly #made = new Map<FileId | undefined, MadeList>();

  constructor(transactions: Transactions, pins: Pins, index: IndexStore, nowNs: () => bigint) {
    this.#transactions = transactions;
    this.#pins = pins;
    this.#index = index;
    this.#nowNs = nowNs;
  }

  snapshotAt(timeNs: bigint): Txid {
    if (timeNs > this.#clockNs()) throw new MomentError('future', `${localTime(timeNs)} lies in the future; give a moment that has passed`);
    return this.#atOrBefore(timeNs, localTime(timeNs));
  }

  parseMoment(text: string): Txid {
    const written = text.startsWith('@') ? text.slice(1) : text;
    const pin = this.#pins.get(written);
    if (pin !== undefined) return pin.txid;
    const moment = readMoment(written, this.#nowNs());
    if (moment === undefined) {
      throw new MomentError('unreadable', `cannot read the moment "${text}"; write for example 2026-11-22T07-00-00Z, 5m, yesterday, txn-1234 or a pin's name`);
    }
    if ('txid' in moment) return this.#transaction(moment.txid);
    if (moment.startNs > this.#clockNs()) throw new MomentError('future', `${text} lies in the future; give a moment that has passed`);
    return this.#atOrBefore(moment.timeNs, text);
  }

  /** The names to list, newest first. */
  names(directory: FileId | undefined): SnapshotName[] {
    const nowNs = this.#clockNs();
    const pins = this.#pins.all().slice(0, listedNamesMax).map(({ name, txid, timeNs }) => ({ name, txid, timeNs }));
    const room = listedNamesMax - pins.length;
    const moments = room < 2 ? [] : this.#thinned(directory, nowNs, room);
    const names = moments.map(({ txid, timeNs }) => ({
      name: formatMoment(timeNs, floorSecond(timeNs) + nsPerSecond > nowNs ? 'nanosecond' : 'second'), txid: toTxid(txid), timeNs,
    }));
    return [...pins, ...names].sort((a, b) => (a.timeNs < b.timeNs ? 1 : a.timeNs > b.timeNs ? -1 : 0));
  }

  oldestNs(): bigint {
    return this.#transactions.oldestNs();
  }

  /** Made again when something was added or given up, and after a while, as it depends on the clock too. */
  #thinned(directory: FileId | undefined, nowNs: bigint, room: number): Moment[] {
    const lastBefore = (timeNs: bigint): Moment | undefined => (directory === undefined ? this.#transactions.atOrBefore(timeNs) : this.#lastIn(directory, timeNs));
    const newest = lastBefore(nowNs)?.txid;
    const { oldest, horizon } = judged(this.#index);
    const made = this.#made.get(directory);
    const ageNs = nowNs - (made?.nowNs ?? 0n);
    const holds = made?.newest === newest && made?.oldest === oldest && made.horizon === horizon && made.room === room && ageNs >= 0n && ageNs < rememberedNs;
    if (holds) return made.moments;
    const moments = thin(lastBefore, nowNs, room);
    this.#made.delete(directory);
    this.#made.set(directory, { moments, newest, oldest, horizon, room, nowNs });
    const [first] = this.#made.keys();
    if (this.#made.size > rememberedLists) this.#made.delete(first);
    return moments;
  }

  /** The last transaction at or before a time in which something in the directory changed. */
  #lastIn(directory: FileId, timeNs: bigint): Moment | undefined {
    const last = this.#transactions.atOrBefore(timeNs);
    if (last === undefined) return undefined;
    const entry = this.#index.atOrBefore(fileTxidKey(table.directory, directory, last.txid), filePrefix);
    if (entry === undefined) return undefined;
    const found = this.#transactions.get(txidAtEnd(entry.key));
    return found === undefined ? undefined : { txid: Number(found.txid), timeNs: found.timeNs };
  }

  #transaction(number: bigint): Txid {
    const last = this.#transactions.last().txid;
    if (number > last) throw new MomentError('future', `transaction ${number} has not ended yet; the last one is ${last}`);
    if (this.#transactions.get(toTxid(number)) === undefined) {
      throw new MomentError('too-old', `transaction ${number} is no longer kept; the oldest moment is ${localTime(this.oldestNs())}`);
    }
    return toTxid(number);
  }

  #atOrBefore(timeNs: bigint, text: string): Txid {
    const moment = this.#transactions.atOrBefore(timeNs);
    if (moment !== undefined) return toTxid(moment.txid);
    if (timeNs < this.oldestNs()) {
      throw new MomentError('too-old', `${text} lies before the oldest moment, ${localTime(this.oldestNs())}`);
    }
    return toTxid(0);
  }

  /** Now; or the last transaction's time, should the clock have been set back since. */
  #clockNs(): bigint {
    const nowNs = this.#nowNs();
    const lastNs = this.#transactions.last().timeNs;
    return lastNs > nowNs ? lastNs : nowNs;
  }
}
