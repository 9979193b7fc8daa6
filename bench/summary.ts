/**
 * From samples to judgements, without I/O: medians, ratios with their spread, and whether a row's bar is reached.
 *
 * Invariants:
 * 1. A ratio is of throughput: reference time by own time, from the two medians.
 * 2. The spread is the least and the greatest ratio of one round's pair, so drift of the disk between rounds does not enter it.
 * 3. A target without samples has no summary: a failed row is never judged as reached.
 */
import type { Bar, Row } from './rows.js';

/** Row → target → one sample a round; null where that round failed. */
export type Samples = Record<string, Record<string, (number | null)[]>>;

export interface RowSummary {
  readonly median: number;
  readonly sampleCount: number;
  /** Throughput against the reference, where the row has one. */
  readonly ratio?: { readonly median: number; readonly least: number; readonly greatest: number };
  /** Whether the bar is reached; undefined for rows and targets without one. */
  readonly reached?: boolean;
}

/** What stands in the table for one target of one row; undefined when it has no samples. */
export function summarize(row: Row, target: string, samples: Samples): RowSummary | undefined {
  const own = samples[row.id]?.[target] ?? [];
  const good = own.filter((value) => value !== null);
  if (good.length === 0) return undefined;
  const median = medianOf(good);
  const reference = referenceOf(row, target, samples);
  const ratio = reference && ratioOf(own, reference);
  const base = { median, sampleCount: good.length, ...(ratio ? { ratio } : {}) };
  if (target === 'bare' || !row.bar) return base;
  return { ...base, reached: reaches(row.bar, median, ratio?.median) };
}

/** Whether a target is ahead of another in a row; undefined when one of them has no samples. */
export function isAhead(row: Row, target: string, other: string, samples: Samples): boolean | undefined {
  const own = summarize(row, target, samples);
  const others = summarize(row, other, samples);
  return own && others ? own.median < others.median : undefined;
}

/** @param values at least one */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function referenceOf(row: Row, target: string, samples: Samples): (number | null)[] | undefined {
  if (row.bar?.kind === 'bare') return target === 'bare' ? undefined : samples[row.id]?.['bare'];
  if (row.bar?.kind === 'row') return samples[row.bar.row]?.[target];
  return undefined;
}

function ratioOf(own: readonly (number | null)[], reference: readonly (number | null)[]): RowSummary['ratio'] {
  const pairs: number[] = [];
  const [ownGood, referenceGood]: [number[], number[]] = [[], []];
  for (const [round, mine] of own.entries()) {
    const theirs = reference[round] ?? null;
    if (mine !== null) ownGood.push(mine);
    if (theirs !== null) referenceGood.push(theirs);
    if (mine !== null && theirs !== null) pairs.push(theirs / mine);
  }
  if (pairs.length === 0) return undefined;
  return { median: medianOf(referenceGood) / medianOf(ownGood), least: Math.min(...pairs), greatest: Math.max(...pairs) };
}

function reaches(bar: Bar, median: number, ratio: number | undefined): boolean {
  if (bar.kind === 'seconds' || bar.kind === 'bytes') return median < bar.below;
  return ratio !== undefined && ratio >= bar.atLeast;
}
