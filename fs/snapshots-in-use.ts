/**
 * Which snapshots somebody is looking at. In: each request below one, what is open. Out: their transactions, for whoever would give them up.
 *
 * Invariants:
 * 1. A snapshot with something open in it is in use, and one that was asked for anything within the last `lingerMs`.
 */
import type { Txid } from '../native/types.js';

/** Who walks through the past opens and closes as he goes. */
const lingerMs = 10 * 60_000;

export class SnapshotsInUse {
  readonly #usedMs = new Map<Txid, number>();

  note(snapshot: Txid): void {
    this.#usedMs.set(snapshot, performance.now());
  }

  /** `open`: snapshots with something open, each of them perhaps several times. */
  now(open: Iterable<Txid>): ReadonlySet<number> {
    const sinceMs = performance.now() - lingerMs;
    for (const [snapshot, usedMs] of this.#usedMs) if (usedMs < sinceMs) this.#usedMs.delete(snapshot);
    return new Set([...this.#usedMs.keys(), ...open].map(Number));
  }
}
