/**
 * Pins: names that keep a snapshot. In: the index, which has them from the log's PIN records. Out: values, and the rules for a
 * name.
 *
 * Invariants:
 * 1. A pin's name is never also a moment (`5m`, `txn-7`, `now`), so `@name` has one meaning.
 * 2. A pin is in the log, durable, before `pin` returns; and in the index, so that every answer knows it.
 */
import { VolumeError } from './errors.js';
import { table } from './index-keys.js';
import type { IndexEntry, IndexStore } from './index-store.js';
import { readNumberBE, txid as toTxid } from './ids.js';
import { readMoment } from './moments.js';
import type { Transactions } from './transactions.js';
import type { Pin, Txid } from './types.js';

/** A pin is a directory name with "@" before it. */
const nameBytesMax = 200;
const controlCharacter = /[\u0000-\u001f\u007f]/;

export class Pins {
  readonly #index: IndexStore;
  readonly #transactions: Transactions;

  constructor(index: IndexStore, transactions: Transactions) {
    this.#index = index;
    this.#transactions = transactions;
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
  checkNew(name: string, txid: Txid): void {
    checkPinName(name);
    if (this.get(name) !== undefined) throw new VolumeError('EEXIST', `there is a pin "${name}" already; remove it first or choose another name`);
    if (this.#transactions.get(txid) === undefined) throw new VolumeError('ENOENT', `there is no transaction ${txid}; see "tidemark log"`);
  }

  /** Throws VolumeError ENOENT when there is no such pin. */
  existing(name: string): Pin {
    const pin = this.get(name);
    if (pin === undefined) throw new VolumeError('ENOENT', `there is no pin "${name}"; see "tidemark pins"`);
    return pin;
  }

  #decode({ key, value }: IndexEntry): Pin {
    const number = readNumberBE(value, 0);
    return {
      name: key.toString('utf8', 1), txid: toTxid(number), timeNs: this.#transactions.get(number)?.timeNs ?? 0n, madeAtNs: value.readBigInt64BE(8),
    };
  }
}

function checkPinName(name: string): void {
  const fault = name === '' ? 'is empty'
    : Buffer.byteLength(name) > nameBytesMax ? `is longer than ${nameBytesMax} bytes`
      : name.includes('/') || controlCharacter.test(name) ? 'has a slash or a control character'
        : name.startsWith('@') || name.startsWith('.') ? 'begins with "@" or "."'
          : readMoment(name, 0n) !== undefined || /^(?:txn-|GMT-)/.test(name) ? 'is a moment of its own'
            : undefined;
  if (fault !== undefined) throw new VolumeError('EINVAL', `"${name}" cannot name a pin: it ${fault}; choose another name`);
}

function pinKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(table.pin), Buffer.from(name)]);
}
