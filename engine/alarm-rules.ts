/**
 * What is worth an alarm. In: a reading of the volume's state and the one before it. Out: for each rule whether that is bad, good, or neither. Pure: how long something must be
 * bad before it is told is decided by alarm-states.ts.
 *
 * Invariants:
 * 1. A rule whose limit is a number has room between bad and good, so that a value at the limit does not flap.
 * 2. A rule that cannot tell says 'fair', which changes nothing.
 */
import type { RoomVerdict } from './room-keeper.js';

/** The newest of the mass changes (files rewritten, removed or renamed by the dozen) that were noticed. */
export interface MassChangeReading {
  /** Counted from 1 in the life of the volume. */
  readonly serial: number;
  /** When it was noticed. */
  readonly atMs: number;
  readonly what: string;
  readonly remedy: string;
}

/** What the backups of the volume have to complain of, a line each: failures, and silence where a run should have ended. */
export interface BackupReading {
  readonly complaints: readonly string[];
}

/** What a node of a pair has to complain of, a line each: a lag beyond the limit, syncs that no standby guards. */
export interface PairReading {
  readonly complaints: readonly string[];
}

/** A volume at one time. Log positions are LSNs. */
export interface Reading {
  /** ms since the epoch. */
  readonly atMs: number;
  readonly logEnd: number;
  readonly logDurable: number;
  readonly indexReadUpTo: number;
  /** Counts of the index: damaged regions of the log, notes of gaps in the history, transactions of changes made past the mount. */
  readonly damagedRegions: number;
  readonly gaps: number;
  readonly externalTransactions: number;
  /** All there are. */
  readonly transactions: number;
  readonly scrubFaults: number;
  readonly scrubFailure: string | undefined;
  /** Of the last verify; undefined when there was none. */
  readonly verifyFaults: number | undefined;
  readonly massChange: MassChangeReading | undefined;
  readonly backups: BackupReading;
  readonly pair: PairReading;
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly room: RoomVerdict;
  /** At the present rate; undefined when it is not filling, or nobody knows. */
  readonly fullInDays: number | undefined;
}

export interface AlarmLimits {
  readonly indexLagBytes: number;
  readonly indexLagMs: number;
  readonly logSyncMs: number;
  readonly diskDays: number;
  /** Of the disk's size, but never more than `freeBytesMax`. */
  readonly diskFreePercent: number;
}

export const defaultLimits: AlarmLimits = { indexLagBytes: 256 << 20, indexLagMs: 300_000, logSyncMs: 120_000, diskDays: 7, diskFreePercent: 2 };

export type Verdict =
  /** `weight`: how bad; one that has grown is told again. `remedy`: instead of the rule's. */
  | { readonly state: 'bad'; readonly what: string; readonly weight: number; readonly remedy?: string }
  | { readonly state: 'fair' }
  | { readonly state: 'good' }
  /** Something that happens and has no end: what is new since it was told last is bad. `isSure`: the count may also have become smaller. */
  | { readonly state: 'count'; readonly what: string; readonly count: number; readonly isSure: boolean };

export const alarmNames = ['index-lag', 'log-sync', 'scrub', 'verify', 'damage', 'gap', 'disk', 'external', 'mass-change', 'backup', 'pair'] as const;
export type AlarmName = (typeof alarmNames)[number];

export interface Rule {
  /** How long it must be bad before it is told, and good before its end is. */
  readonly badForMs: (limits: AlarmLimits) => number;
  readonly goodForMs: number;
  /** How long one that gets worse and worse is not told again; an hour when absent. */
  readonly worseAfterMs?: number;
  /** What to do. */
  readonly remedy: string;
  readonly judge: (reading: Reading, before: Reading | undefined, limits: AlarmLimits) => Verdict;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
/** A hundredth of a large disk is room for a long time. */
const freeBytesMax = 50 * 2 ** 30;
const good: Verdict = { state: 'good' };
const fair: Verdict = { state: 'fair' };
const atOnce = (): number => 0;

export const rules: Readonly<Record<AlarmName, Rule>> = {
  'index-lag': {
    badForMs: (limits) => limits.indexLagMs, goodForMs: minuteMs,
    remedy: 'the past of the last minutes cannot be shown until it has caught up; look into the daemon\'s log, or mount again', judge: indexLag,
  },
  'log-sync': {
    badForMs: (limits) => limits.logSyncMs, goodForMs: minuteMs, remedy: 'the disk does not take what is written; check it and the kernel\'s log', judge: logSync,
  },
  scrub: { badForMs: atOnce, goodForMs: 0, remedy: 'check the disk; `tidemark verify` lists what is lost', judge: scrub },
  verify: { badForMs: atOnce, goodForMs: 0, remedy: '`tidemark verify` lists each with its remedy', judge: verify },
  damage: { badForMs: atOnce, goodForMs: 60 * minuteMs, remedy: 'check the disk; `tidemark verify` lists what is lost', judge: damage },
  gap: { badForMs: atOnce, goodForMs: dayMs, remedy: 'moments before it may show what came after; the daemon\'s log says why it was made', judge: gap },
  disk: { badForMs: atOnce, goodForMs: 10 * minuteMs, remedy: 'make room, or give up old history', judge: disk },
  external: { badForMs: atOnce, goodForMs: dayMs, remedy: '`tidemark log` flags them; find out who writes to the directory past the mount', judge: external },
  'mass-change': { badForMs: atOnce, goodForMs: 0, worseAfterMs: 0, remedy: '`tidemark log` shows who did it; `tidemark restore` brings it back', judge: judgeMassChange },
  backup: { badForMs: atOnce, goodForMs: 0, remedy: '`tidemark backup status` and `history`, or `tidemark sync status` and `history`, tell more', judge: backup },
  pair: { badForMs: atOnce, goodForMs: 0, remedy: '`tidemark pair status` tells more; look at the other node and what lies between', judge: judgePair },
};

function indexLag(reading: Reading, before: Reading | undefined, limits: AlarmLimits): Verdict {
  const lagBytes = reading.logEnd - reading.indexReadUpTo;
  if (lagBytes > limits.indexLagBytes) return { state: 'bad', what: `the index is ${mebibytes(lagBytes)} of log behind`, weight: 0 };
  if (lagBytes > 0 && reading.indexReadUpTo === before?.indexReadUpTo) return { state: 'bad', what: `the index stands still, ${mebibytes(lagBytes)} of log behind`, weight: 0 };
  return lagBytes > limits.indexLagBytes / 2 ? fair : good;
}

/** It is synced once an interval, at the latest. */
function logSync(reading: Reading, before: Reading | undefined): Verdict {
  const waitingBytes = reading.logEnd - reading.logDurable;
  if (waitingBytes <= 0) return good;
  if (before === undefined || before.logDurable !== reading.logDurable) return good;
  return { state: 'bad', what: `the log is not synced though ${mebibytes(waitingBytes)} of it wait`, weight: 0 };
}

function scrub(reading: Reading): Verdict {
  if (reading.scrubFaults > 0) return { state: 'bad', what: `the scrub found ${times(reading.scrubFaults, 'fault')} in the log`, weight: reading.scrubFaults };
  return reading.scrubFailure === undefined ? good : { state: 'bad', what: `the scrub cannot go on: ${reading.scrubFailure}`, weight: 0 };
}

function verify(reading: Reading): Verdict {
  if (reading.verifyFaults === undefined) return fair;
  return reading.verifyFaults === 0 ? good : { state: 'bad', what: `verify found ${times(reading.verifyFaults, 'fault')}`, weight: reading.verifyFaults };
}

function damage(reading: Reading): Verdict {
  if (reading.damagedRegions > 0) return { state: 'bad', what: `the log has ${times(reading.damagedRegions, 'damaged region')}`, weight: reading.damagedRegions };
  return isCaughtUp(reading) ? good : fair;
}

function gap(reading: Reading): Verdict {
  return { state: 'count', what: `the history has ${times(reading.gaps, 'gap')}`, count: reading.gaps, isSure: isCaughtUp(reading) };
}

function external(reading: Reading): Verdict {
  const count = reading.externalTransactions;
  return { state: 'count', what: `files were changed past the mount (${times(count, 'such transaction')} until now)`, count, isSure: isCaughtUp(reading) };
}

/** Does not wait for a whole reading: it is judged as soon as it is known. */
export function judgeMassChange({ atMs, massChange: last }: Pick<Reading, 'atMs' | 'massChange'>): Verdict {
  return last === undefined || atMs - last.atMs >= dayMs ? good : { state: 'bad', what: last.what, weight: last.serial, remedy: last.remedy };
}

function backup({ backups: { complaints } }: Reading): Verdict {
  return complaints.length === 0 ? good : { state: 'bad', what: complaints.join(' · '), weight: complaints.length };
}

/** Does not wait for a whole reading, either. */
export function judgePair({ pair: { complaints } }: Pick<Reading, 'pair'>): Verdict {
  return complaints.length === 0 ? good : { state: 'bad', what: complaints.join(' · '), weight: complaints.length };
}

function disk(reading: Reading, _before: Reading | undefined, limits: AlarmLimits): Verdict {
  const leastBytes = Math.min((reading.totalBytes * limits.diskFreePercent) / 100, freeBytesMax);
  const days = reading.fullInDays ?? Number.POSITIVE_INFINITY;
  const free = `${mebibytes(reading.freeBytes)} free`;
  if (reading.room === 'none') return { state: 'bad', what: `the disk is full (${free}) and no more history may be given up: applications cannot write`, weight: 2 };
  if (reading.room === 'short') return { state: 'bad', what: `the disk is full (${free}): the oldest history is given up so that applications can write`, weight: 1 };
  if (reading.freeBytes < leastBytes) return { state: 'bad', what: `the disk is all but full (${free})`, weight: 0 };
  if (days < limits.diskDays) return { state: 'bad', what: `the disk will be full in ${days.toFixed(1)} days at the present rate (${free})`, weight: 0 };
  return days < limits.diskDays * 1.25 || reading.freeBytes < leastBytes * 1.25 ? fair : good;
}

/** While the index is made anew it counts from zero. */
function isCaughtUp(reading: Reading): boolean {
  return reading.indexReadUpTo >= reading.logEnd;
}

function mebibytes(bytes: number): string {
  const mebi = bytes / (1 << 20);
  return mebi >= 10 * 1024 ? `${(mebi / 1024).toFixed(1)} GiB` : `${mebi.toFixed(1)} MiB`;
}

function times(count: number, singular: string): string {
  return `${count} ${singular}${count === 1 ? '' : 's'}`;
}
