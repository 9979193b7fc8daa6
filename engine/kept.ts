/**
 * A set of kept transactions, for asking about the gaps between them. In: their txids. Out: neighbours.
 *
 * Invariants:
 * 1. Above the last number every transaction is kept: it was not judged.
 */
export class Kept {
  readonly #txids: Float64Array;

  /** `txids`: growing; at least one. */
  constructor(txids: Float64Array) {
    this.#txids = txids;
  }

  get oldest(): number {
    return this.#txids[0]!;
  }

  has(txid: number): boolean {
    return this.atOrAfter(txid) === txid;
  }

  /** The kept transaction that shows what `txid` did: itself or the next one. */
  atOrAfter(txid: number): number {
    return this.#txids[this.#countBelow(txid)] ?? txid;
  }

  /** The last kept transaction before `txid`; undefined when there is none. */
  before(txid: number): number | undefined {
    const last = this.#txids.at(-1)!;
    return txid > last + 1 ? txid - 1 : this.#txids[this.#countBelow(txid) - 1];
  }

  /** true when what was saved in `txid`, after something the same was saved in `previous` (-1: never), shows at no kept transaction. */
  isDead(txid: number, previous: number): boolean {
    const shown = this.before(txid);
    return shown === undefined || shown < previous;
  }

  /** How many are less than `txid`. */
  #countBelow(txid: number): number {
    let low = 0;
    let high = this.#txids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#txids[middle]! < txid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
