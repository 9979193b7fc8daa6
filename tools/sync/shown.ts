/** How syncs look to people and in JSON. In: what the daemon knows of them. Out: text, JSON. */
import { placeText } from '../../replica/place.js';
import { fromText, shown, toText } from '../../replica/paths.js';
import { isInterrupted, jsonDoing, jsonMs, reportText, runsText } from '../backup/shown.js';
import type { BackupItem } from '../backup/shown.js';
import { counted, jsonTime, localTime, sizeText } from '../format.js';

type Conflict = BackupItem['conflicts'][number];

export function jsonSync(item: BackupItem): object {
  const { config, files = 0, bytes = 0, succeededMs, nextMs, timeNs, conflicts } = item;
  return {
    name: config.name, directory: item.directory, other: placeText(config.place), schedule: config.schedule ?? null, conflict: config.sync?.conflict ?? null, paused: item.isPaused,
    time: timeNs === undefined ? null : jsonTime(BigInt(timeNs)), files, bytes, conflicts: conflicts.length, interrupted: isInterrupted(item), lastRun: jsonMs(succeededMs), nextRun: jsonMs(nextMs), faults: item.faults, doing: jsonDoing(item),
  };
}

/** One line of `tidemark status`. */
export function lineSync({ config, faults, isPaused, timeNs, doing, conflicts }: BackupItem): string {
  const has = timeNs === undefined ? 'not synced yet' : `as of ${localTime(BigInt(timeNs)).slice(0, 19)}`;
  const state = faults.length > 0 ? `FAULT: ${faults.join('; ')}` : doing !== undefined ? 'under way' : isPaused ? 'paused' : has;
  return `  sync      ${config.name} ↔ ${placeText(config.place)}: ${state}${conflicts.length === 0 ? '' : `, ${counted(conflicts.length, 'conflict')} to decide`}\n`;
}

export function textSync(item: BackupItem): string {
  const { config, doing, timeNs, files = 0, bytes = 0, conflicts } = item;
  const lines = [`${config.name}: ${item.directory} ↔ ${placeText(config.place)}`, runsText(item)];
  lines.push(timeNs === undefined ? '  same      nothing yet' : `  same      ${counted(files, 'file')} (${sizeText(bytes)}) as of ${localTime(BigInt(timeNs)).slice(0, 19)}`);
  lines.push(`  both      changed: ${policyTexts[config.sync?.conflict ?? 'keep-both']}`);
  if (doing !== undefined) lines.push(`  does      ${doing.report === undefined ? 'a run' : reportText(doing.report)}`);
  else if (isInterrupted(item)) lines.push('  is        interrupted; the next run goes on where it was');
  if (conflicts.length > 0) lines.push(`  open      ${counted(conflicts.length, 'conflict')}; see \`tidemark sync conflicts ${config.name}\``);
  for (const fault of item.faults) lines.push(`  FAULT     ${fault}`);
  return `${lines.join('\n')}\n`;
}

const policyTexts = { 'keep-both': 'both stay, the other one\'s version under another name', newer: 'the later one wins', ask: 'both stay as they are until you decide' } as const;

const kinds: Readonly<Record<Conflict['kind'], string>> = { 'both-changed': 'both changed', 'deleted-here': 'deleted here, changed there', 'deleted-there': 'changed here, deleted there' };

export function jsonConflict({ path, kind, here, there }: Conflict): object {
  const version = (found: Conflict['here']): object | null => (found === undefined ? null : { size: found.size, time: jsonTime(BigInt(found.mtimeNs)) });
  return { path: toText(path) ?? shown(path), kind, here: version(here), there: version(there) };
}

export function textConflict({ path, kind, here, there }: Conflict): string {
  const version = (found: Conflict['here']): string => (found === undefined ? '-' : `${sizeText(found.size)} of ${localTime(BigInt(found.mtimeNs)).slice(0, 19)}`);
  return `${shown(path)}: ${kinds[kind]}; here ${version(here)}, there ${version(there)}\n`;
}

/** Of what somebody typed, from the root of the volume or from that of all: a path as in replica/paths.ts. */
export function pathOf(text: string, directory: string): string {
  return fromText((text.startsWith(`${directory}/`) ? text.slice(directory.length) : text).replace(/^\/+|\/+$/g, ''));
}
