/**
 * When the disk will be full, and how far back history will reach. In: what was free, and what history took, at several times. Out: days, at the rate of the samples. Pure.
 *
 * Invariants:
 * 1. The samples are bounded: one an hour, of the last week.
 * 2. No forecast is made from less than `leastSpanMs`: one large copy is not yet a rate.
 */

export interface SpaceSample {
  /** ms since the epoch. */
  readonly atMs: number;
  readonly freeBytes: number;
  /** What history took; of the newest sample it may not be counted yet. */
  readonly historyBytes?: number | undefined;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const keepMs = 7 * dayMs;
export const samplesMax = keepMs / hourMs + 1;
const leastSpanMs = 6 * hourMs;
/** What lies further ahead is not told: it would be guessing. */
const daysMax = 3650;

/** The samples with one more, where it is time for one; those from the future (the clock was set back) and old ones go. */
export function withSample(samples: readonly SpaceSample[], now: SpaceSample): readonly SpaceSample[] {
  const good = samples.filter(({ atMs }) => atMs <= now.atMs && atMs >= now.atMs - keepMs);
  const last = good.at(-1);
  const isDue = last === undefined || now.atMs - last.atMs >= hourMs;
  if (!isDue && good.length === samples.length) return samples;
  return isDue ? [...good, now].slice(-samplesMax) : good;
}

/** Days until nothing is free, by the line that fits the samples best; undefined when there are too few, or the disk is not filling. */
export function daysUntilFull(samples: readonly SpaceSample[], now: SpaceSample): number | undefined {
  const all = [...samples, now];
  if (now.atMs - all[0]!.atMs < leastSpanMs) return undefined;
  const slope = bytesPerMs(all.map(({ atMs, freeBytes }) => [atMs, freeBytes]));
  if (slope >= 0) return undefined;
  const days = now.freeBytes / -slope / dayMs;
  return days > daysMax ? undefined : days;
}

export interface ReachOptions {
  readonly samples: readonly SpaceSample[];
  readonly nowMs: number;
  readonly oldestMs: number;
  /** What history takes, and what it may take. */
  readonly historyBytes: number;
  readonly mostBytes: number;
  /** Age up to which the ladder keeps moments, ms. */
  readonly ladderEndMs: number;
}

/**
 * How far back history will reach, ms (Infinity: for ever): until it takes all that it may at the rate of the samples, it grows older, then what is oldest goes. The ladder ends it
 * in any case. Undefined while its rate is not known.
 */
export function historyReach({ samples, nowMs, oldestMs, historyBytes, mostBytes, ladderEndMs }: ReachOptions): number | undefined {
  const ageMs = Math.max(nowMs - oldestMs, 0);
  if (historyBytes >= mostBytes) return Math.min(ageMs, ladderEndMs);
  const counted = samples.flatMap(({ atMs, historyBytes }) => historyBytes === undefined ? [] : [[atMs, historyBytes] as const]);
  if (counted.length === 0 || nowMs - counted[0]![0] < leastSpanMs) return undefined;
  const slope = bytesPerMs([...counted, [nowMs, historyBytes]]);
  const reachMs = slope <= 0 ? Infinity : ageMs + (mostBytes - historyBytes) / slope;
  return Math.min(reachMs > daysMax * dayMs ? Infinity : reachMs, ladderEndMs);
}

/** The slope of the least-squares line through points of ms and bytes. */
function bytesPerMs(points: readonly (readonly [number, number])[]): number {
  const meanMs = points.reduce((sum, [atMs]) => sum + atMs, 0) / points.length;
  const meanBytes = points.reduce((sum, [, bytes]) => sum + bytes, 0) / points.length;
  let covariance = 0;
  let variance = 0;
  for (const [atMs, bytes] of points) {
    covariance += (atMs - meanMs) * (bytes - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}
