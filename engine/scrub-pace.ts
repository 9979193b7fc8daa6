/**
 * How fast the scrub reads: slices of the log, with pauses that spread a whole round over its time. Pure.
 */

export interface ScrubSettings {
  /** How long a whole round is to take, ms. */
  readonly roundMs: number;
  /** Never faster than this, also where the round then takes longer. */
  readonly bytesPerSecond: number;
}

export const defaultScrubSettings: ScrubSettings = { roundMs: 7 * 24 * 3_600_000, bytesPerSecond: 8 << 20 };

/** How much is read before the next pause. Large enough that a small history is asked for seldom. */
export const sliceBytes = 16 << 20;
/** After a mount others go first: at most this long, and a thousandth of a round. */
const settleMsMax = 60_000;

/** When to read on, ms since the epoch. `logBytes`: what a round has to read; `readAtMs`, `readBytes`: the last slice. */
export function nextSliceMs(logBytes: number, last: { readonly readAtMs: number; readonly readBytes: number }, { roundMs }: ScrubSettings): number {
  const share = logBytes > 0 ? Math.min(1, (last.readBytes === 0 ? sliceBytes : last.readBytes) / logBytes) : 1;
  return last.readAtMs + Math.round(roundMs * share);
}

export function settleMs({ roundMs }: ScrubSettings): number {
  return Math.min(settleMsMax, roundMs / 1000);
}

/** How long to wait now, when so much was read in so much time, so as not to be faster than allowed, ms. */
export function brakeMs(readBytes: number, tookMs: number, { bytesPerSecond }: ScrubSettings): number {
  return Math.max(0, (readBytes / bytesPerSecond) * 1000 - tookMs);
}
