/**
 * Of one thing's steps: up to where those at the end are mine, and whether others' stand on any of mine. Pure.
 *
 * Invariants:
 * 1. Mine can be taken back only if no step of others follows any of them: then the thing becomes what it was before the first.
 */
import type { BytesStep, Step } from './undo-types.js';

export interface Run<S extends Step> {
  /** The first of mine; what was before it is put back. */
  readonly first: S | undefined;
  /** A step of others behind one of mine. */
  readonly clash: { readonly mine: S; readonly other: S } | undefined;
}

export function runOf<S extends Step>(steps: readonly S[]): Run<S> {
  const first = steps.find(({ isMine }) => isMine);
  if (first === undefined) return { first, clash: undefined };
  const other = steps.find((step) => !step.isMine && step.txid > first.txid);
  return other === undefined ? { first, clash: undefined } : { first, clash: { mine: first, other } };
}

/** The moment before a step. */
export function momentBefore({ txid }: Step): number {
  return txid - 1;
}

export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly run: Run<BytesStep>;
}

/** Ranges that the same steps changed, in order; only those that mine changed. Neighbours with the same outcome are one. */
export function segmentsOf(steps: readonly BytesStep[]): Segment[] {
  const borders = [...new Set(steps.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
  const byStart = [...steps].sort((a, b) => a.start - b.start);
  const segments: Segment[] = [];
  let open: BytesStep[] = [];
  let next = 0;
  for (const [index, start] of borders.entries()) {
    const end = borders[index + 1];
    if (end === undefined) break;
    open = open.filter((step) => step.end > start);
    for (; next < byStart.length && byStart[next]!.start <= start; next++) open.push(byStart[next]!);
    const run = runOf([...open].sort((a, b) => a.txid - b.txid));
    if (run.first !== undefined) addSegment(segments, { start, end, run });
  }
  return segments;
}

function addSegment(segments: Segment[], segment: Segment): void {
  const last = segments.at(-1);
  const joins = last?.end === segment.start && last.run.first?.txid === segment.run.first?.txid && last.run.clash?.other.txid === segment.run.clash?.other.txid;
  if (joins) segments[segments.length - 1] = { ...last, end: segment.end };
  else segments.push(segment);
}
