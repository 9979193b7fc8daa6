/**
 * When a backup runs. In: a schedule as users write it (`0 0 * * *`, `Mon 06:00`, `Mon-Fri 18:30`, `06:00`, `hourly`, `continuous`, `on-plug`), a time zone. Out: times. Pure but for the clock that is handed in.
 *
 * Invariants:
 * 1. A time that a clock change skips comes right after it; one that comes twice counts once.
 */
import { Cron } from 'croner';

export type Schedule =
  | { readonly kind: 'times'; readonly text: string; readonly pattern: string; readonly timeZone?: string }
  | { readonly kind: 'continuous'; readonly text: string }
  | { readonly kind: 'on-plug'; readonly text: string };

export class ScheduleError extends Error {
  readonly code = 'ESCHEDULE';
}

const day = '(?:mon|tue|wed|thu|fri|sat|sun)';
const plain = new RegExp(`^(?:(daily|${day}(?:[-,]${day})*) )?([01]?\\d|2[0-3]):([0-5]\\d)$`, 'i');

/** Throws ScheduleError. */
export function parseSchedule(text: string, timeZone?: string): Schedule {
  const trimmed = text.trim();
  if (trimmed === 'continuous' || trimmed === 'on-plug') return { kind: trimmed, text: trimmed };
  const pattern = patternOf(trimmed);
  const schedule: Schedule = { kind: 'times', text: trimmed, pattern, ...(timeZone === undefined ? {} : { timeZone }) };
  try {
    if (cronOf(schedule).nextRun(new Date(0)) === null) throw new ScheduleError('it never comes');
  } catch (error) {
    if (timeZone !== undefined && !isTimeZone(timeZone)) throw new ScheduleError(`"${timeZone}" is no time zone; write it like Europe/Berlin`);
    throw new ScheduleError(`the schedule "${text}" cannot be read (${error instanceof Error ? error.message.replace(/^CronPattern: /, '') : ''}); write it like "0 0 * * *", "Mon 06:00", "06:00", hourly, continuous or on-plug`);
  }
  return schedule;
}

function patternOf(text: string): string {
  if (text === 'hourly') return '0 * * * *';
  const match = plain.exec(text);
  if (match === null) return text;
  const days = match[1] === undefined || match[1].toLowerCase() === 'daily' ? '*' : match[1].toUpperCase();
  return `${Number(match[3])} ${Number(match[2])} * * ${days}`;
}

/** The first time after another; undefined: none that the clock decides. */
export function nextAfter(schedule: Schedule, afterMs: number): number | undefined {
  return schedule.kind === 'times' ? cronOf(schedule).nextRun(new Date(afterMs))?.getTime() : undefined;
}

/** From when on it is strange that no run has ended well: twice the interval after the last one. `undefined`: never. */
export function silentFrom(schedule: Schedule, lastMs: number): number | undefined {
  const first = nextAfter(schedule, lastMs);
  const second = first === undefined ? undefined : nextAfter(schedule, first);
  if (first === undefined || second === undefined) return undefined;
  return Math.max(second, lastMs + 2 * (second - first));
}

/** `22:00-06:00`: true while the time of day lies in it. */
export function isInWindow(window: string, nowMs: number, timeZone?: string): boolean {
  const [from = '', to = ''] = window.split('-');
  const now = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(timeZone === undefined ? {} : { timeZone }) }).format(nowMs);
  return from <= to ? from <= now && now < to : from <= now || now < to;
}

function cronOf({ pattern, timeZone }: Extract<Schedule, { kind: 'times' }>): Cron {
  return new Cron(pattern, { paused: true, ...(timeZone === undefined ? {} : { timezone: timeZone }) });
}

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}
