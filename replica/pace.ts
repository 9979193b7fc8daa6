/**
 * Keeps to a bandwidth. In: how many bytes went. Out: how long to wait, if at all.
 *
 * Invariants:
 * 1. Over any time the bytes are at most the rate times the time, and one burst.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const burstMs = 200;

export class Pace {
  readonly #bytesPerMs: number;
  /** When all that went until now would have been over at the rate. */
  #paidUntilMs = 0;

  /** Bytes a second; Infinity: as fast as it goes. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** undefined: go on at once. */
  spend(bytes: number): Promise<void> | undefined {
    if (this.#bytesPerMs === Infinity) return undefined;
    const nowMs = performance.now();
    this.#paidUntilMs = Math.max(this.#paidUntilMs, nowMs) + bytes / this.#bytesPerMs;
    const waitMs = this.#paidUntilMs - nowMs - burstMs;
    return waitMs > 0 ? sleep(waitMs) : undefined;
  }
}
