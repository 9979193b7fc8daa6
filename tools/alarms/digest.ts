/**
 * The daily digest: when it is due, and what it says. Pure.
 */
import type { ScrubState } from '../../engine/scrub-state.js';
import { counted, localTime, nsOfMs, sizeText } from '../format.js';
import type { DigestMemory } from './memory.js';

export interface DigestFacts {
  readonly nowMs: number;
  readonly transactions: number;
  readonly historyBytes: number;
  readonly freeBytes: number;
  readonly fullInDays: number | undefined;
  readonly scrub: ScrubState;
  /** Of the present round, 0 … 1. */
  readonly scrubProgress: number;
  /** A line for each alarm that is raised. */
  readonly raised: readonly string[];
}

/** true when the last digest is older than the last time that `at` ("HH:MM", local) has passed. */
export function isDigestDue(lastMs: number, nowMs: number, at: string): boolean {
  const [hours = 0, minutes = 0] = at.split(':').map(Number);
  const passed = new Date(nowMs);
  passed.setHours(hours, minutes, 0, 0);
  if (passed.getTime() > nowMs) passed.setDate(passed.getDate() - 1);
  return lastMs < passed.getTime();
}

export function digestLines(facts: DigestFacts, last: DigestMemory): string[] {
  const grown = last.historyBytes === undefined ? undefined : facts.historyBytes - last.historyBytes;
  const forecast = facts.fullInDays === undefined ? 'not filling' : `full in ${facts.fullInDays.toFixed(0)} days at the present rate`;
  return [
    `since ${localMs(last.atMs)}: ${counted(Math.max(0, facts.transactions - last.transactions), 'transaction')}`,
    `history: ${sizeText(facts.historyBytes)}${grown === undefined ? '' : ` (${grown < 0 ? '-' : '+'}${sizeText(Math.abs(grown))})`}`,
    `disk: ${sizeText(facts.freeBytes)} free, ${forecast}`,
    scrubText(facts.scrub, facts.scrubProgress),
    ...(facts.raised.length === 0 ? ['alarms: none'] : facts.raised.map((line) => `alarm: ${line}`)),
    ...last.told.map((line) => `told: ${line}`),
  ];
}

/** One line for people. */
export function scrubText(scrub: Pick<ScrubState, 'rounds' | 'roundEndedMs' | 'faults'>, progress: number): string {
  const whole = scrub.rounds === 0 ? 'no whole round yet' : `last whole round ${localMs(scrub.roundEndedMs)}`;
  const faults = scrub.faults.length === 0 ? 'no faults' : counted(scrub.faults.length, 'fault');
  return `scrub: ${(progress * 100).toFixed(0)} % of this round, ${whole}, ${faults}`;
}

function localMs(atMs: number): string {
  return localTime(nsOfMs(atMs));
}
