/**
 * Who runs in which round, without I/O. Targets come in; the ones of a round go out, in their order.
 *
 * Invariants:
 * 1. Each round begins with another target, so drift of the disk meets them all alike.
 * 2. A target that takes part in fewer rounds than there are has them spread evenly, and never has none.
 */
import type { Target } from './targets/target.js';

/** @param round 1 … runs */
export function targetsOf(round: number, runs: number, targets: readonly Target[]): Target[] {
  const first = (round - 1) % targets.length;
  return [...targets.slice(first), ...targets.slice(0, first)].filter((target) => takesPart(round, runs, roundsOf(target, runs)));
}

/** How many of the rounds a target takes part in. */
export function roundsOf({ mostRounds }: Target, runs: number): number {
  return Math.min(mostRounds ?? runs, runs);
}

/** Counted up round by round, its share of the rounds passes a whole number just in those that it runs in. */
function takesPart(round: number, runs: number, share: number): boolean {
  return Math.floor((round * share) / runs) > Math.floor(((round - 1) * share) / runs);
}
