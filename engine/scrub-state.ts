/**
 * What the scrub remembers: where it is, what it has found. In: slices of the log that were read, or the text of `scrub.json`. Out: the state after them. Pure.
 *
 * Invariants:
 * 1. The faults are what the last reading of each place found: one that is read again without a fault is forgotten.
 * 2. At most `faultsMax` faults are kept.
 */
import type { LogFault } from './log-check.js';

export interface ScrubState {
  /** LSN up to which the present round has read. */
  readonly position: number;
  /** LSN of the first record there was when the round began. */
  readonly base: number;
  /** Whole rounds until now. */
  readonly rounds: number;
  /** When the last whole round ended, ms since the epoch; 0 for none. */
  readonly roundEndedMs: number;
  /** When it last read, ms since the epoch, and how many bytes. */
  readonly readAtMs: number;
  readonly readBytes: number;
  /** Records that were sound, of all rounds. */
  readonly records: number;
  readonly faults: readonly LogFault[];
}

/** A part of the log that was read. */
export interface ScrubSlice {
  readonly from: number;
  readonly to: number;
  /** The log's end: a round is whole when it was reached. */
  readonly end: number;
  /** The first record of the slice. */
  readonly firstLsn: number;
  readonly records: number;
  readonly faults: readonly LogFault[];
  readonly atMs: number;
}

export const faultsMax = 1000;

/** A volume that was never scrubbed: as if it had been when it was made. */
export function firstScrubState(createdMs: number): ScrubState {
  return { position: 0, base: 0, rounds: 0, roundEndedMs: 0, readAtMs: createdMs, readBytes: 0, records: 0, faults: [] };
}

export function afterSlice(state: ScrubState, slice: ScrubSlice): ScrubState {
  const isWhole = slice.to >= slice.end;
  const elsewhere = state.faults.filter(({ lsn }) => lsn < slice.from || lsn >= slice.to);
  return {
    position: isWhole ? 0 : slice.to,
    base: slice.from === 0 ? slice.firstLsn : state.base,
    rounds: state.rounds + (isWhole ? 1 : 0),
    roundEndedMs: isWhole ? slice.atMs : state.roundEndedMs,
    readAtMs: slice.atMs,
    readBytes: slice.to - slice.from,
    records: state.records + slice.records,
    faults: [...elsewhere, ...slice.faults].sort((a, b) => a.lsn - b.lsn).slice(0, faultsMax),
  };
}

/** Undefined when the text is no state: half a file, or of another version. */
export function parseScrubState(text: string): ScrubState | undefined {
  try {
    const content = JSON.parse(text) as { format?: unknown; state?: Partial<Record<keyof ScrubState, unknown>> };
    const state = content.state;
    if (content.format !== 1 || state === undefined || !Array.isArray(state.faults) || !state.faults.every(isFault)) return undefined;
    const { position, base, rounds, roundEndedMs, readAtMs, readBytes, records, faults } = state;
    if (![position, base, rounds, roundEndedMs, readAtMs, readBytes, records].every((value) => Number.isSafeInteger(value) && (value as number) >= 0)) return undefined;
    return { position, base, rounds, roundEndedMs, readAtMs, readBytes, records, faults: faults as LogFault[] } as ScrubState;
  } catch {
    return undefined;
  }
}

/** What `scrub.json` holds. */
export function scrubFile(state: ScrubState): object {
  return { format: 1, state };
}

function isFault(value: unknown): boolean {
  const { lsn, length, segment, isUnreadable } = (value ?? {}) as Partial<LogFault>;
  return [lsn, length, segment].every(Number.isSafeInteger) && typeof isUnreadable === 'boolean';
}
