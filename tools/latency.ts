/**
 * What is made of a latency histogram: the numbers that people read. An OperationLatency of the addon comes in, as it is or over the control socket; counts
 * and microseconds go out.
 *
 * Invariants:
 * 1. A percentile is never too short: at least that share of the requests took no longer. It is at most an eighth too long (from 1 µs on).
 * 2. p50 ≤ p90 ≤ p99 ≤ p99.9 ≤ the longest.
 */
import type { OperationLatency } from '../native/types.js';

export interface LatencySummary {
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

/** All requests of one kind in seven numbers. */
export function summarize(latency: OperationLatency): LatencySummary {
  const count = countOf(latency);
  return {
    count,
    meanUs: count === 0 ? 0 : Math.round((latency.totalUs / count) * 1000) / 1000,
    p50Us: perMilleUs(latency, 500),
    p90Us: perMilleUs(latency, 900),
    p99Us: perMilleUs(latency, 990),
    p999Us: perMilleUs(latency, 999),
    maxUs: latency.maxUs,
  };
}

/** How many requests were recorded. */
export function countOf(latency: OperationLatency): number {
  return countBelow(latency, Infinity);
}

/** How many requests took less than `boundUs`; exact where that is a border of buckets (a power of two), else too few by those of one bucket. */
export function countBelow(latency: OperationLatency, boundUs: number): number {
  return latency.buckets.reduce((sum, { belowUs, count }) => (belowUs <= boundUs ? sum + count : sum), 0);
}

/** In what time at least so many of a thousand requests were answered; 0 when there were none. Per mille are whole, so that ranks are exact. */
function perMilleUs(latency: OperationLatency, perMille: number): number {
  const rank = Math.ceil((countOf(latency) * perMille) / 1000);
  let seen = 0;
  for (const [index, { belowUs, count }] of latency.buckets.entries()) {
    seen += count;
    // The longest lies in the last bucket, and is all that is known of one that takes whatever is longer.
    if (seen >= rank) return index === latency.buckets.length - 1 ? latency.maxUs : belowUs;
  }
  return latency.maxUs;
}
