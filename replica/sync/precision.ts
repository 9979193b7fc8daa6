/**
 * When a file at the other side counts as untouched without being read. Pure. In: how it stood, how it stands, how exactly the place keeps times. Out: yes, or "read it".
 *
 * Invariants:
 * 1. "No" costs a reading of the file, never a wrong decision: whether a file was changed its hash says. "Yes" is said only where a change would have shown.
 */
import type { Mark } from './known.js';

export interface Precision {
  /** Two times that differ by less are the same: 2 s on FAT. */
  readonly timeNs: bigint;
  /** Times of change and inode numbers mean something, as on the file systems of Unix. */
  readonly hasChangeTimes: boolean;
}

/** What file systems are known to round to. */
const steps: readonly bigint[] = [1n, 100n, 1_000n, 1_000_000n, 10_000_000n, 1_000_000_000n, 2_000_000_000n];
/** The clock of kernels that stamp times ticks so often at least. */
const tickNs = 20_000_000n;

/** `got`: what a file says after it was given the time `set`. */
export function stepOf(set: bigint, got: bigint): bigint {
  return steps.find((step) => got === set - (set % step)) ?? steps.at(-1)!;
}

export function isUntouched(known: Mark, now: Mark, { timeNs, hasChangeTimes }: Precision): boolean {
  if (known.isFresh === true || known.size !== now.size || !isSameTime(known.mtimeNs, now.mtimeNs, timeNs)) return false;
  return !hasChangeTimes || (known.ctimeNs === now.ctimeNs && known.inode === now.inode);
}

export function isSameTime(one: bigint, other: bigint, stepNs: bigint): boolean {
  const apart = one > other ? one - other : other - one;
  return apart < stepNs;
}

/** true when a change after `seenNs` (by this machine's clock) could leave the same time behind. */
export function isFreshAt(mtimeNs: bigint, seenNs: bigint, { timeNs }: Precision): boolean {
  return mtimeNs + (timeNs > tickNs ? timeNs : tickNs) > seenNs;
}
