/** What the backups of a volume have to complain of: failures, and silence where a run should have ended by now. In: backups, the time. Out: a reading for the alarms. */
import type { BackupReading } from '../../engine/alarm-rules.js';
import { silentFrom } from '../../replica/schedule.js';
import { hoursText } from './shown.js';
import { kindOf } from './names.js';
import type { OneBackup } from './one-backup.js';

/** A continuous backup that has not caught up for so long. */
const behindMs = 600_000;

export function backupReading(backups: readonly OneBackup[], nowMs: number): BackupReading {
  const complaints = backups.flatMap((backup) => complaintsOf(backup, nowMs));
  return { complaints };
}

function complaintsOf(backup: OneBackup, nowMs: number): string[] {
  const { config, state, schedule } = backup;
  const what = kindOf(config);
  const found = Object.entries(state.faults).map(([kind, message]) => `${kind === 'run' ? `the ${what} ${config.name} failed` : `the ${kind === 'test' ? 'test restore' : 'verification'} of the backup ${config.name} failed`}: ${message}`);
  const lastMs = Math.max(state.succeededMs ?? 0, state.addedMs);
  const silentMs = schedule === undefined || state.isPaused ? undefined : schedule.kind === 'continuous' ? (backup.isBehind ? lastMs + behindMs : undefined) : silentFrom(schedule, lastMs);
  if (silentMs !== undefined && nowMs > silentMs) found.push(`the ${what} ${config.name} is silent: ${state.succeededMs === undefined ? 'no run has ended well yet' : `the last good run was ${hoursText(nowMs - state.succeededMs)} ago`}`);
  return found;
}
