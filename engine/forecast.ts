/**
 * When the disk will be full. In: what was free at several times. Out: days left, at the rate of the samples. Pure.
 *
 * Invariants:
 * 1. The samples are bounded: one an hour, of the last week.
 * 2. No forecast is made from less than `leastSpanMs`: one large copy is not yet a rate.
 */

export interface SpaceSample {
  /** ms since the epoch. */
  readonly atMs: number;
  readonly freeBytes: number;
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
  const slope = bytesPerMs(all);
  if (slope >= 0) return undefined;
  const days = now.freeBytes / -slope / dayMs;
  return days > daysMax ? undefined : days;
}

/** The slope of the least-squares line. */
function bytesPerMs(samples: readonly SpaceSample[]): number {
  const meanMs = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length;
  const meanBytes = samples.reduce((sum, { freeBytes }) => sum + freeBytes, 0) / samples.length;
  let covariance = 0;
  let variance = 0;
  for (const { atMs, freeBytes } of samples) {
    covariance += (atMs - meanMs) * (freeBytes - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}
