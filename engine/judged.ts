/**
 * How far history has been judged, as the index keeps it. In: the index's `F` entry. Out: two transactions.
 */
import { floorKey } from './index-keys.js';
import { number8 } from './index-packing.js';
import type { IndexTable } from './index-store.js';
import { readNumberBE } from './ids.js';

export interface Judged {
  /** The oldest transaction that is a moment. */
  readonly oldest: number;
  /** Transactions up to here are kept only if the index knows them. */
  readonly horizon: number;
}

/** What was last given up; all zero when nothing ever was. */
export function judged(index: IndexTable): Judged {
  const value = index.get(floorKey);
  return value === undefined ? { oldest: 0, horizon: 0 } : { oldest: readNumberBE(value, 0), horizon: readNumberBE(value, 8) };
}

export function keepJudged(index: IndexTable, { oldest, horizon }: Judged): void {
  index.put(floorKey, Buffer.concat([number8(oldest), number8(horizon)]));
}
