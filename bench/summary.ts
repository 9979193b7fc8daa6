/**
 * From samples to judgements, without I/O: medians, ratios with their spread, whether a row's bar is reached and the peers are beaten.
 *
 * Invariants:
 * 1. A ratio is of throughput: reference time by own time, from the two medians over the rounds that both have measured; some
 *    targets take part in fewer. Who is ahead is judged by the same medians.
 * 2. The spread is the least and the greatest ratio of one round's pair, so drift of the disk between rounds does not enter it.
 * 3. A target without samples has no summary: a failed row is never judged as reached.
 */
import type { Bar, Row } from './rows.js';

/** Row → target → one sample a round; null where that round failed or was left out. */
export type Samples = Record<string, Record<string, (number | null)[]>>;

export interface RowSummary {
  readonly median: number;
  readonly sampleCount: number;
  /** Throughput against the reference, where the row has one. */
  readonly ratio?: { readonly median: number; readonly least: number; readonly greatest: number };
  /** Whether the bar is reached; undefined for rows and targets without one. */
  readonly reached?: boolean;
}

const list = new Intl.ListFormat('en-GB');

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
  const ratio = ratioOf(samples[row.id]?.[target] ?? [], samples[row.id]?.[other] ?? []);
  return ratio && ratio.median > 1;
}

/**
 * What is wanting in a row, in words: "yes" when nothing is, and nothing at all where there is no bar or nothing was measured. Peers are
 * those that do without what is judged; where the bar is not a ratio to the bare directory there is nothing to compare with them.
 */
export function verdict(row: Row, target: string, peers: readonly string[], samples: Samples): string {
  const summary = summarize(row, target, samples);
  if (!summary) return samples[row.id]?.[target] && row.bar ? 'failed' : '';
  if (summary.reached === undefined) return '';
  const faults = summary.reached ? [] : ['falls short'];
  const ahead = row.bar?.kind === 'bare' ? peers.filter((peer) => isAhead(row, target, peer, samples) === false) : [];
  if (ahead.length > 0) faults.push(`behind ${list.format(ahead)}`);
  return faults.join(', ') || 'yes';
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
  const pairs: { mine: number; theirs: number }[] = [];
  for (const [round, mine] of own.entries()) {
    const theirs = reference[round] ?? null;
    if (mine !== null && theirs !== null) pairs.push({ mine, theirs });
  }
  if (pairs.length === 0) return undefined;
  const ratios = pairs.map(({ mine, theirs }) => theirs / mine);
  const median = medianOf(pairs.map(({ theirs }) => theirs)) / medianOf(pairs.map(({ mine }) => mine));
  return { median, least: Math.min(...ratios), greatest: Math.max(...ratios) };
}

function reaches(bar: Bar, median: number, ratio: number | undefined): boolean {
  if (bar.kind === 'seconds' || bar.kind === 'bytes') return median < bar.below;
  return ratio !== undefined && ratio >= bar.atLeast;
}
