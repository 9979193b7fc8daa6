/**
 * Which moments are kept. In: points in time, the policy's numbers, now. Out: for each rule, the points that it holds. Pure.
 *
 * Invariants:
 * 1. A point goes only if every rule lets it go.
 * 2. Judging what is left again, at the same time, lets nothing more go.
 * 3. Stretches of time are counted from the epoch, not from now: what was kept stays kept while its rung lasts.
 */

/** A transaction as a moment that can be looked at. */
export interface Point {
  readonly txid: number;
  /** Ms since the epoch. */
  readonly timeMs: number;
  /** How good a moment it was: see `quality`. */
  readonly quality: number;
  /** Nothing to count: as a version of a file, an empty one, or one that only got another name. */
  readonly isMinor?: boolean;
}

/** One point a stretch: of so many ms, of a calendar month (UTC), or every transaction. */
export type Spacing = 'transaction' | 'month' | number;

export interface Rung {
  /** For points up to this age in ms; the last rung may have none (Infinity). */
  readonly upToMs: number;
  readonly every: Spacing;
}

/** Tells of each point (oldest first) whether it must stay. */
export type Rule = (points: readonly Point[], nowMs: number) => boolean[];

/** Where there is a choice, a moment right after a sync or a close with nobody else writing goes before one right after a sync or close, and that before any. */
export const quality = { any: 0, settled: 1, quiescent: 2 } as const;

/** Of each stretch the best point, of equally good ones the last. Points older than the last rung are not held. */
export function ladderRule(ladder: readonly Rung[]): Rule {
  return (points, nowMs) => {
    const held = points.map(() => false);
    let best: { readonly index: number; readonly stretch: string } | undefined;
    for (const [index, point] of points.entries()) {
      const rung = ladder.findIndex(({ upToMs }) => nowMs - point.timeMs <= upToMs);
      if (rung < 0) continue;
      const stretch = `${rung} ${stretchOf(ladder[rung]!.every, point)}`;
      if (best?.stretch === stretch && points[best.index]!.quality > point.quality) continue;
      if (best?.stretch === stretch) held[best.index] = false;
      held[index] = true;
      best = { index, stretch };
    }
    return held;
  };
}

/** Pins, and whatever else is in use. */
export function txidRule(txids: ReadonlySet<number>): Rule {
  return (points) => points.map(({ txid }) => txids.has(txid));
}

/** What is younger than this. */
export function ageRule(ageMs: number): Rule {
  return (points, nowMs) => points.map(({ timeMs }) => nowMs - timeMs < ageMs);
}

/** So many of the newest that count, and what lies between. */
export function newestRule(count: number): Rule {
  return (points) => {
    let first = points.length;
    for (let left = count; left > 0 && first > 0; first--) if (points[first - 1]!.isMinor !== true) left--;
    return points.map((_, index) => index >= first);
  };
}

/** What is younger than this is never given up, whatever the limits say; nor is the newest point. */
export function youngRule(ageMs: number): Rule {
  const [isYoung, isNewest] = [ageRule(ageMs), newestRule(1)];
  return (points, nowMs) => {
    const newest = isNewest(points, nowMs);
    return isYoung(points, nowMs).map((young, index) => young || newest[index]!);
  };
}

/** The points that no rule lets go, oldest first. */
export function keptPoints(points: readonly Point[], rules: readonly Rule[], nowMs: number): Point[] {
  const held = rules.map((rule) => rule(points, nowMs));
  return points.filter((_, index) => held.some((ofRule) => ofRule[index]));
}

/**
 * How many of the oldest points may go, where only a beginning can: those before the first that a rule holds. (Versions of a file, each by the transaction that ended it: a
 * file's floor cuts off what is below.)
 */
export function goneBelow(points: readonly Point[], rules: readonly Rule[], nowMs: number): number {
  const first = keptPoints(points, rules, nowMs)[0];
  return first === undefined ? points.length : points.indexOf(first);
}

/** The same ladder, but nothing older than so many ms. */
export function cutLadder(ladder: readonly Rung[], mostMs: number): Rung[] {
  const last = ladder.findIndex(({ upToMs }) => upToMs >= mostMs);
  return last < 0 ? [...ladder] : [...ladder.slice(0, last), { ...ladder[last]!, upToMs: mostMs }];
}

function stretchOf(every: Spacing, { txid, timeMs }: Point): number {
  if (every === 'transaction') return txid;
  if (every !== 'month') return Math.floor(timeMs / every);
  const date = new Date(timeMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}
