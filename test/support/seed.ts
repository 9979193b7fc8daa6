/**
 * Randomness that can be had again. A test takes one seed, prints it when it fails (seedOf names it in its message), and
 * takes it back from TIDEMARK_SEED.
 *
 * Invariants:
 * 1. The same seed gives the same numbers on every machine.
 */
import { randomBytes } from 'node:crypto';

/** TIDEMARK_SEED when it is set, else a fresh one. */
export function chooseSeed(): number {
  const given = process.env['TIDEMARK_SEED'];
  if (given === undefined || given === '') return randomBytes(4).readUInt32LE();
  const seed = Number(given);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`TIDEMARK_SEED is a whole number, not ${given}`);
  return seed;
}

/** mulberry32: 32 bits of state are enough for choosing operations. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to limit − 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** true once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError('nothing to choose from');
    return choice;
  }

  /** Fresh bytes. */
  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(this.below(2 ** 32), at);
    return bytes.subarray(0, length);
  }
}
