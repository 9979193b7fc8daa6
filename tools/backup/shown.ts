/**
 * How backups look to people and in JSON. In: what the daemon knows of them. Out: items as they travel, text, JSON.
 *
 * Invariants:
 * 1. No password, and nothing that leads to one, is in it but where it is kept.
 */
import { placeText } from '../../replica/place.js';
import type { Report } from '../../replica/progress.js';
import { counted, jsonTime, localTime, nsOfMs, sizeText } from '../format.js';
import type { OneBackup } from './one-backup.js';
import type { BackupConfig, BackupState, RunRecord } from './record.js';

/** As it travels to commands. */
export interface BackupItem {
  readonly config: BackupConfig;
  /** The protected directory, and the id of its volume. */
  readonly directory: string;
  readonly volume: string;
  readonly isPaused: boolean;
  /** Of the snapshot that the destination has. */
  readonly txid?: string;
  readonly timeNs?: string;
  readonly files?: number;
  readonly bytes?: number;
  readonly isPending: boolean;
  readonly succeededMs?: number;
  readonly nextMs?: number;
  readonly again: number;
  readonly faults: readonly string[];
  readonly runs: readonly RunRecord[];
  /** Of a sync: what is left to somebody to decide. */
  readonly conflicts: NonNullable<BackupState['conflicts']>;
  readonly doing?: { readonly task: string; readonly startedMs: number; readonly report?: Report };
}

export function itemOf(backup: OneBackup, directory: string, volume: string): BackupItem {
  const { config, state, doing } = backup;
  const nextMs = backup.nextMs();
  return {
    config, directory, volume, isPaused: state.isPaused, isPending: state.pending !== undefined, again: state.again.length, faults: Object.values(state.faults), runs: state.runs, conflicts: state.conflicts ?? [],
    ...(state.cursor === undefined ? {} : { txid: state.cursor.txid, timeNs: state.cursor.timeNs }),
    ...(state.files === undefined ? {} : { files: state.files }), ...(state.bytes === undefined ? {} : { bytes: state.bytes }),
    ...(state.succeededMs === undefined ? {} : { succeededMs: state.succeededMs }), ...(nextMs === undefined ? {} : { nextMs }), ...(doing === undefined ? {} : { doing }),
  };
}

/** Rate and time left of a report; 0 and undefined while nobody knows. */
export function paceOf({ doneBytes, totalBytes, sinceMs, phase }: Report, nowMs: number): { bytesPerSecond: number; secondsLeft: number | undefined } {
  const seconds = (nowMs - sinceMs) / 1000;
  const bytesPerSecond = (phase === 'sending' || phase === 'verifying') && seconds > 0.5 ? doneBytes / seconds : 0;
  return { bytesPerSecond, secondsLeft: bytesPerSecond > 0 ? (totalBytes - doneBytes) / bytesPerSecond : undefined };
}

export function jsonItem(item: BackupItem): object {
  const { config, succeededMs, nextMs } = item;
  return {
    name: config.name, directory: item.directory, destination: placeText(config.place), schedule: config.schedule ?? null, keep: config.keep, paused: item.isPaused,
    txid: item.txid === undefined ? null : Number(item.txid), time: item.timeNs === undefined ? null : jsonTime(BigInt(item.timeNs)), files: item.files ?? 0, bytes: item.bytes ?? 0,
    interrupted: isInterrupted(item), toSendAgain: item.again, lastRun: jsonMs(succeededMs), nextRun: jsonMs(nextMs), faults: item.faults, doing: jsonDoing(item),
  };
}

export function jsonMs(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : jsonTime(nsOfMs(timeMs));
}

export function isInterrupted({ isPending, doing }: BackupItem): boolean {
  return isPending && doing === undefined;
}

/** What it is at. */
export function jsonDoing({ doing }: BackupItem): object | null {
  if (doing === undefined) return null;
  const { task, startedMs, report } = doing;
  const since = jsonTime(nsOfMs(startedMs));
  if (report === undefined) return { task, since };
  const { phase, doneFiles, totalFiles, doneBytes, totalBytes } = report;
  const { bytesPerSecond, secondsLeft } = paceOf(report, Date.now());
  return { task, since, phase, doneFiles, totalFiles, doneBytes, totalBytes, bytesPerSecond: Math.round(bytesPerSecond), secondsLeft: secondsLeft === undefined ? null : Math.round(secondsLeft) };
}

/** One line of `tidemark status`. */
export function lineItem({ config, faults, isPaused, timeNs, doing }: BackupItem): string {
  const has = timeNs === undefined ? 'nothing there yet' : `as of ${localTime(BigInt(timeNs)).slice(0, 19)}`;
  const state = faults.length > 0 ? `FAULT: ${faults.join('; ')}` : doing !== undefined ? `${doing.task} under way` : isPaused ? 'paused' : has;
  return `  backup    ${config.name} → ${placeText(config.place)}: ${state}\n`;
}

export function textItem(item: BackupItem): string {
  const { config, doing } = item;
  const lines = [`${config.name}: ${item.directory} → ${placeText(config.place)}`];
  lines.push(runsText(item));
  lines.push(item.timeNs === undefined ? '  has       nothing yet' : `  has       ${counted(item.files ?? 0, 'file')} (${sizeText(item.bytes ?? 0)}) as of ${localTime(BigInt(item.timeNs)).slice(0, 19)}`);
  lines.push(`  keeps     ${config.keep === 'none' ? 'nothing of what is replaced' : config.keep}`);
  if (doing !== undefined) lines.push(`  does      ${doing.task}${doing.report === undefined ? '' : `: ${reportText(doing.report)}`}`);
  else if (item.isPending) lines.push('  is        interrupted; the next run goes on where it was');
  if (item.again > 0) lines.push(`  will      send ${counted(item.again, 'file')} again`);
  for (const fault of item.faults) lines.push(`  FAULT     ${fault}`);
  return `${lines.join('\n')}\n`;
}

/** When it runs. */
export function runsText({ config: { schedule, timeZone, window }, isPaused, nextMs }: BackupItem): string {
  return `  runs      ${schedule ?? 'when it is asked for'}${timeZone === undefined ? '' : ` (${timeZone})`}${window === undefined ? '' : `, between ${window.replace('-', ' and ')}`}${isPaused ? ', PAUSED' : nextMs === undefined ? '' : `; next ${localTime(nsOfMs(nextMs)).slice(0, 19)}`}`;
}

export function reportText(report: Report): string {
  const { phase, doneFiles, totalFiles, doneBytes, totalBytes } = report;
  if (phase !== 'sending' && phase !== 'verifying') return phase;
  const { bytesPerSecond, secondsLeft } = paceOf(report, Date.now());
  const pace = bytesPerSecond === 0 ? '' : `, ${sizeText(Math.round(bytesPerSecond))}/s${secondsLeft === undefined ? '' : `, ${secondsText(secondsLeft)} left`}`;
  return `${phase} ${sizeText(doneBytes)} of ${sizeText(totalBytes)}, ${doneFiles.toLocaleString('en-US')} of ${counted(totalFiles, 'file')}${pace}`;
}

export function runText({ kind, startedMs, endedMs, files, bytes, removed, notes, error, sync }: RunRecord): string {
  const when = localTime(nsOfMs(startedMs)).slice(0, 19);
  const took = secondsText((endedMs - startedMs) / 1000);
  const name = sync === undefined ? kind : 'sync';
  if (error !== undefined) return `${when}  ${name.padEnd(6)}  FAILED after ${took}: ${error}`;
  const what = sync !== undefined ? syncedText(sync, bytes ?? 0) : kind === 'run' ? `${counted(files ?? 0, 'file')} sent (${sizeText(bytes ?? 0)}), ${counted(removed ?? 0, 'item')} removed` : `${counted(files ?? 0, 'file')} well`;
  return `${when}  ${name.padEnd(6)}  ${what}, ${took}${notes.map((line) => `\n${' '.repeat(29)}${line}`).join('')}`;
}

export function jsonRun({ kind, startedMs, endedMs, timeNs, files, bytes, removed, notes, error, sync }: RunRecord): object {
  return {
    kind, started: jsonTime(nsOfMs(startedMs)), ended: jsonTime(nsOfMs(endedMs)), ms: endedMs - startedMs, time: timeNs === undefined ? null : jsonTime(BigInt(timeNs)),
    files: files ?? 0, bytes: bytes ?? 0, removed: removed ?? 0, notes, error: error ?? null,
    ...(sync === undefined ? {} : { ...sync }),
  };
}

function syncedText({ here, there, conflicts }: NonNullable<RunRecord['sync']>, bytes: number): string {
  const side = ({ written, removed, renamed }: typeof here): string => [`${counted(written, 'file')} written`, ...(renamed > 0 ? [`${renamed} renamed`] : []), ...(removed > 0 ? [`${removed} removed`] : [])].join(', ');
  return `here: ${side(here)}; there: ${side(there)} (${sizeText(bytes)})${conflicts === 0 ? '' : `; ${counted(conflicts, 'conflict')} to decide`}`;
}

export function secondsText(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` : hoursText(seconds * 1000);
}

export function hoursText(ms: number): string {
  const hours = ms / 3_600_000;
  return hours < 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(1)} days`;
}
