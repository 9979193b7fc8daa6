/**
 * Pins: names that keep a snapshot. In: the index, which has them from the log's PIN records. Out: values, and the rules for a
 * name.
 *
 * Invariants:
 * 1. A pin's name is never also a moment (`5m`, `txn-7`, `now`), so `@name` has one meaning.
 * 2. A pin is in the log, durable, before `add` or `addAhead` returns; after `add` also in the index, so that every answer knows it.
 */
import { VolumeError } from './errors.js';
import { table } from './index-keys.js';
import type { IndexEntry, IndexStore } from './index-store.js';
import { readNumberBE, txid as toTxid } from './ids.js';
import { readMoment } from './moments.js';
import type { Transactions } from './transactions.js';
import type { NativeVolume } from '../native/types.js';
import type { Pin, Txid } from './types.js';

/** Backups pin what they hold by names that begin so. */
const backupPrefix = 'backup-';
/** A pin is a directory name with "@" before it. */
const nameBytesMax = 200;
const controlCharacter = /[\u0000-\u001f\u007f]/;

export interface PinsParts {
  readonly index: IndexStore;
  readonly transactions: Transactions;
  readonly native: Pick<NativeVolume, 'appendPin' | 'logState'>;
  /** Resolves when the index has all that had happened. */
  readonly caughtUp: () => Promise<unknown>;
}

export class Pins {
  readonly #parts: PinsParts;
  readonly #index: IndexStore;
  readonly #transactions: Transactions;

  constructor(parts: PinsParts) {
    this.#parts = parts;
    this.#index = parts.index;
    this.#transactions = parts.transactions;
  }

  /** In the order of their names. */
  all(): Pin[] {
    return [...this.#index.scan(Buffer.of(table.pin), 1)].map((entry) => this.#decode(entry));
  }

  get(name: string): Pin | undefined {
    const key = pinKey(name);
    if (key.length > nameBytesMax + 1) return undefined;
    const value = this.#index.get(key);
    return value === undefined ? undefined : this.#decode({ key, value });
  }

  /** Throws VolumeError: EINVAL for a bad name, EEXIST when it is taken, ENOENT for a transaction that is not known. */
  async add(name: string, txid: Txid): Promise<void> {
    const { native, caughtUp } = this.#parts;
    await caughtUp();
    this.#checkNew(name);
    if (this.#transactions.get(txid) === undefined) throw notKnown(txid);
    await native.appendPin(Buffer.from(name), txid, false);
    await caughtUp();
  }

  /** As `add`, for a transaction that has ended, without having the index catch up: that takes processors from whoever makes many changes just now. */
  async addAhead(name: string, txid: Txid): Promise<void> {
    const { native } = this.#parts;
    this.#checkNew(name);
    const isAhead = txid > this.#transactions.last().txid && txid <= native.logState().ended;
    if (!isAhead && this.#transactions.get(txid) === undefined) throw notKnown(txid);
    await native.appendPin(Buffer.from(name), txid, false);
  }

  /** Throws VolumeError ENOENT when there is no such pin. */
  async remove(name: string): Promise<void> {
    const { native, caughtUp } = this.#parts;
    await caughtUp();
    const pin = this.get(name);
    if (pin === undefined) throw new VolumeError('ENOENT', `there is no pin "${name}"; see "tidemark pins"`);
    await native.appendPin(Buffer.from(name), pin.txid, true);
    await caughtUp();
  }

  #checkNew(name: string): void {
    checkPinName(name);
    if (this.get(name) !== undefined) throw new VolumeError('EEXIST', `there is a pin "${name}" already; remove it first or choose another name`);
  }

  #decode({ key, value }: IndexEntry): Pin {
    const number = readNumberBE(value, 0);
    return {
      name: key.toString('utf8', 1), txid: toTxid(number), timeNs: this.#transactions.get(number)?.timeNs ?? 0n, madeAtNs: value.readBigInt64BE(8),
    };
  }
}

/** The youngest moment that a backup holds. */
export function lastBackup(pins: readonly Pin[]): Pin | undefined {
  return pins.filter(({ name }) => name.startsWith(backupPrefix)).reduce<Pin | undefined>((last, pin) => (last === undefined || pin.txid > last.txid ? pin : last), undefined);
}

function notKnown(txid: Txid): VolumeError {
  return new VolumeError('ENOENT', `there is no transaction ${txid}; see "tidemark log"`);
}

function checkPinName(name: string): void {
  const fault = name === '' ? 'is empty'
    : Buffer.byteLength(name) > nameBytesMax ? `is longer than ${nameBytesMax} bytes`
      : name.includes('/') || controlCharacter.test(name) ? 'has a slash or a control character'
        : name.startsWith('@') || name.startsWith('.') ? 'begins with "@" or "."'
          : readMoment(name, 0n) !== undefined || /^(?:txn-|GMT-)/.test(name) ? 'is a moment of its own'
            : name === 'deleted' ? 'means what was deleted'
              : undefined;
  if (fault !== undefined) throw new VolumeError('EINVAL', `"${name}" cannot name a pin: it ${fault}; choose another name`);
}

function pinKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(table.pin), Buffer.from(name)]);
}
