/**
 * How an undo's plan looks to people and in JSON: one line for each path, with what is put back there and from which moment; one line for each conflict, with who did what.
 */
import { jsonPath, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { jsonTime, localTime, modeText, sizeText, table, typeText, userText } from '../format.js';
import type { TransactionItem } from '../protocol.js';
import type { UndoConflictItem, UndoStepItem } from '../recovery-protocol.js';

/** Neighbouring lines of one path become one. */
export function shownSteps(steps: readonly UndoStepItem[]): string {
  const rows: { verb: string; path: string; details: string[] }[] = [];
  const byPath = new Map<string, { details: string[] }>();
  for (const step of steps) {
    const [verb, path, detail] = lineOf(step);
    const known = verb === 'put back' ? byPath.get(path) : undefined;
    if (known !== undefined) {
      known.details.push(detail);
      continue;
    }
    const row = { verb, path, details: detail === '' ? [] : [detail] };
    rows.push(row);
    if (verb === 'put back') byPath.set(path, row);
  }
  return table(rows.map(({ verb, path, details }) => [verb, path, details.join(', ')]));
}

function lineOf(step: UndoStepItem): [verb: string, path: string, detail: string] {
  const path = shown(step.path as BytePath);
  const to = shown((step.to ?? '') as BytePath);
  const asOf = step.at === undefined ? '' : ` as of txn-${step.at.txid}`;
  switch (step.kind) {
    case 'rename': return ['rename', `${path} → ${to}`, ''];
    case 'link': return ['link', to, `to ${path}`];
    case 'recreate': return ['recreate', path, `${typeText(step.type ?? 0)}${asOf}, ${whenOf(step)}`];
    case 'remove': return ['remove', path, typeText(step.type ?? 0)];
    case 'size': return ['put back', path, `size ${sizeText(step.size ?? 0)}${asOf}`];
    case 'bytes': return ['put back', path, `bytes ${step.start ?? 0}–${(step.end ?? 0) - 1} (${sizeText((step.end ?? 0) - (step.start ?? 0))})${asOf}`];
    case 'xattr': return ['put back', path, `attribute ${shown((step.name ?? '') as BytePath)}${asOf}`];
    case 'mode': return ['put back', path, `mode ${modeText(Number(step.value)).slice(1)}${asOf}`];
    case 'uid': return ['put back', path, `owner ${userText(Number(step.value))}${asOf}`];
    case 'gid': return ['put back', path, `group ${step.value ?? ''}${asOf}`];
    default: return ['put back', path, `time ${localTime(BigInt(step.value ?? 0))}`];
  }
}

function whenOf({ at }: UndoStepItem): string {
  return at === undefined || at.timeNs === '0' ? 'before all history' : localTime(BigInt(at.timeNs));
}

export function shownConflict(conflict: UndoConflictItem): string {
  const { mine, other } = conflict;
  const mineBy = mine === undefined ? '' : `${shownActor(mine)}`;
  const otherBy = other === undefined ? '' : `, then ${shownActor(other)}`;
  return `conflict: ${shown(conflict.path as BytePath)}: ${whatClashes(conflict)}${mineBy === '' && otherBy === '' ? '' : ` (${mineBy}${mineBy === '' ? otherBy.slice(2) : otherBy})`}`;
}

function whatClashes({ kind, range, xattr }: UndoConflictItem): string {
  switch (kind) {
    case 'name': return 'the name was changed again by others';
    case 'bytes': return `bytes ${range?.start ?? 0}–${(range?.end ?? 0) - 1} were changed again by others`;
    case 'size': return 'the size was changed again by others';
    case 'mode': return 'the mode was changed again by others';
    case 'owner': return 'the owner was changed again by others';
    case 'xattr': return `the attribute ${shown((xattr ?? '') as BytePath)} was changed again by others`;
    case 'contents': return 'others have changed it, or what is in it, since';
    case 'directory': return 'its directory is not there any more';
    case 'origin': return 'its other name cannot go back';
    case 'lost': return 'what it was is no longer kept';
    default: return 'whose changes these are is not known: several are in one transaction';
  }
}

function shownActor({ txid, timeNs, uid, pid, command }: TransactionItem): string {
  return `${userText(uid)} ${command}[${pid}] at ${localTime(BigInt(timeNs))}, txn-${txid}`;
}

export function jsonStep({ path, to, at, inode: _inode, replaces: _replaces, source: _source, present: _present, type, value, ...rest }: UndoStepItem): object {
  return {
    ...rest, ...jsonPath(path as BytePath),
    ...(to === undefined ? {} : { to: jsonPath(to as BytePath).path }),
    ...(type === undefined ? {} : { type: typeText(type) }),
    ...(value === undefined ? {} : rest.kind === 'mtime' ? { time: jsonTime(BigInt(value)) } : { value: Number(value) }),
    ...(at === undefined ? {} : { txid: Number(at.txid) }),
  };
}

export function jsonConflict({ path, mine, other, ...rest }: UndoConflictItem): object {
  return { ...rest, ...jsonPath(path as BytePath), mine: mine === undefined ? null : jsonActor(mine), other: other === undefined ? null : jsonActor(other) };
}

function jsonActor({ txid, timeNs, uid, pid, command }: TransactionItem): object {
  return { txid: Number(txid), time: jsonTime(BigInt(timeNs)), uid, pid, command };
}
