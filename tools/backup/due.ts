/** When a backup or sync is to do something. Pure but for the drive that is asked. In: its configuration and state, the clock. Out: yes or no. */
import { isInWindow, nextAfter, parseSchedule } from '../../replica/schedule.js';
import type { Schedule } from '../../replica/schedule.js';
import type { Drive } from './drive.js';
import type { BackupConfig, BackupState } from './record.js';

export interface Standing {
  readonly config: BackupConfig;
  readonly state: BackupState;
  readonly schedule: Schedule | undefined;
  readonly drive: Drive | undefined;
  /** Of a continuous one. */
  readonly isBehind: boolean;
}

/** A time of the schedule has passed, or its drive has come. To be asked often. */
export function hasComeDue({ schedule, state, drive }: Standing, nowMs: number): boolean {
  if (schedule?.kind === 'times') return (nextAfter(schedule, state.dueMs ?? state.addedMs) ?? Infinity) <= nowMs;
  return schedule?.kind === 'on-plug' && drive?.hasJustCome() === true;
}

export function isRunWanted({ schedule, state, drive, isBehind }: Standing): boolean {
  const { dueMs = 0, succeededMs = 0, pending } = state;
  if (drive !== undefined && !drive.isThere()) return false;
  if (schedule?.kind === 'continuous') return isBehind;
  return dueMs > succeededMs || (pending !== undefined && schedule !== undefined);
}

/** Of a verification or a test restore, by its own schedule. */
export function isTimeFor({ config, state }: Standing, text: string | undefined, lastMs: number | undefined, nowMs: number): boolean {
  if (text === undefined || state.cursor === undefined) return false;
  const next = nextAfter(parseSchedule(text, config.timeZone), lastMs ?? state.addedMs);
  return next !== undefined && next <= nowMs;
}

export function mayWork({ config: { window, timeZone }, state }: Standing, nowMs: number): boolean {
  return !state.isPaused && (window === undefined || isInWindow(window, nowMs, timeZone));
}
