/**
 * PreviousBackup: what later runs replaced, by the moment of the backup that it belonged to, and its ladder. In: a destination, a ladder. Out: fewer of these moments.
 *
 * The state of the backup of time T: of each path, what the earliest PreviousBackup from T on has of it, else what LastBackup has. So when a moment goes, what it alone has moves to the moment before it, whose state it was, too.
 * Of a file whose attributes alone changed there is a line and no bytes: those are where the moment after it has them.
 *
 * Invariants:
 * 1. Giving up a moment changes no other moment's state.
 * 2. Interrupted anywhere, it is done again from the note that was made before (layout: merging.json).
 */
import { ladderRule, keptPoints, quality } from '../engine/retention.js';
import type { Rung } from '../engine/retention.js';
import { readMoment } from '../engine/moments.js';
import { Directories, faultOf, readWhole, removeTree, replaceFile } from './destination.js';
import type { Destination } from './destination.js';
import { parseEntry, pathOfLine } from './entry.js';
import type { Entry } from './entry.js';
import { failpoint } from './failpoint.js';
import { changesName, mergingName, previousBackup } from './layout.js';
import type { AbsentLine, ChangesHeader } from './layout.js';
import { LineFile, lineFile } from './line-file.js';
import type { LocalFiles } from './local-files.js';
import { bytesOf, joined, parentOf, toText } from './paths.js';
import { encodePath } from './stored-name.js';

const largestChangesBytes = 2 ** 31;

/** A directory in PreviousBackup. */
export interface PreviousMoment {
  readonly name: string;
  readonly timeNs: bigint;
}

export function absentLine(path: string): string {
  const text = toText(path);
  const line: AbsentLine = text === undefined ? { path: bytesOf(path).toString('utf8'), pathHex: bytesOf(path).toString('hex'), absent: true } : { path: text, absent: true };
  return JSON.stringify(line);
}

/** What a line of changes says was there; undefined: nothing. */
export function entryBefore(line: string): Entry | undefined {
  return line.endsWith(',"absent":true}') ? undefined : parseEntry(line);
}

/** Oldest first. Directories that are none of ours are passed over. */
export async function previousMoments(destination: Destination): Promise<PreviousMoment[]> {
  let names: string[];
  try {
    names = (await destination.list(previousBackup)).filter(({ type }) => type === 'directory').map(({ name }) => name);
  } catch (error) {
    if (faultOf(error) === 'absent') return [];
    throw error;
  }
  const moments = names.flatMap((name): PreviousMoment[] => {
    const moment = name.startsWith('@') ? readMoment(name.slice(1), 0n) : undefined;
    return moment === undefined || 'txid' in moment ? [] : [{ name, timeNs: moment.startNs }];
  });
  return moments.sort((one, other) => Number(one.timeNs - other.timeNs));
}

/** Throws absent for a moment that was being made when its run ended, damaged. */
export async function readChanges(destination: Destination, name: string): Promise<LineFile<ChangesHeader>> {
  const path = joined(joined(previousBackup, name), changesName);
  return new LineFile<ChangesHeader>(await readWhole(destination, path, largestChangesBytes), `${path} on ${destination.shown}`);
}

/** Gives up what the ladder does not hold; returns how many moments went. */
export async function thinPrevious(destination: Destination, local: LocalFiles, ladder: readonly Rung[], nowMs: number): Promise<number> {
  await finishMerging(destination, local);
  const moments = await previousMoments(destination);
  const points = moments.map(({ timeNs }, index) => ({ txid: index, timeMs: Number(timeNs / 1_000_000n), quality: quality.any }));
  const kept = new Set(keptPoints(points, [ladderRule(ladder)], nowMs).map(({ txid }) => txid));
  let before: string | undefined;
  let count = 0;
  for (const [index, { name }] of moments.entries()) {
    if (kept.has(index)) {
      before = name;
      continue;
    }
    await giveUp(destination, local, { name, ...(before === undefined ? {} : { into: before }) });
    count++;
  }
  return count;
}

interface Merging {
  readonly name: string;
  /** The moment before it; undefined: there is none. */
  readonly into?: string;
}

async function giveUp(destination: Destination, local: LocalFiles, merging: Merging): Promise<void> {
  await local.put(destination, mergingName, [Buffer.from(`${JSON.stringify(merging)}\n`)]);
  failpoint();
  await merge(destination, local, merging);
}

/** A merge that an earlier run did not finish. */
export async function finishMerging(destination: Destination, local: LocalFiles): Promise<void> {
  let merging: Merging;
  try {
    merging = JSON.parse((await readWhole(destination, mergingName, 1 << 16)).toString()) as Merging;
  } catch (error) {
    if (faultOf(error) === 'absent') return;
    if (!(error instanceof SyntaxError)) throw error;
    await destination.remove(mergingName);
    return;
  }
  await merge(destination, local, merging);
}

async function merge(destination: Destination, local: LocalFiles, { name, into }: Merging): Promise<void> {
  if (into !== undefined) await moveWhatIsNeeded(destination, local, name, into);
  failpoint();
  await removeTree(destination, joined(previousBackup, name));
  failpoint();
  await destination.remove(mergingName);
}

async function moveWhatIsNeeded(destination: Destination, local: LocalFiles, name: string, into: string): Promise<void> {
  let [going, staying]: (LineFile<ChangesHeader> | undefined)[] = [];
  try {
    going = await readChanges(destination, name);
    staying = await readChanges(destination, into);
  } catch (error) {
    // It is half gone: what was needed has moved.
    if (faultOf(error) === 'absent' && going === undefined) return;
    throw error;
  }
  const directories = new Directories(destination);
  const kind = destination.abilities.names;
  const added = new Map<string, string>();
  for (const index of going.below('')) {
    const line = going.line(index);
    const path = pathOfLine(line);
    const entry = entryBefore(line);
    const known = staying.lineOf(path);
    // Where only attributes changed between the two, the bytes of the one before lie here.
    const isShared = known !== undefined && entry?.type === 'file' && entryBefore(known)?.sha256 === entry.sha256;
    if (known !== undefined && !isShared) continue;
    if (known === undefined) added.set(path, line);
    if (entry === undefined || entry.type === 'directory') continue;
    const stored = encodePath(path, kind);
    const target = joined(joined(previousBackup, into), stored);
    await directories.ensure(parentOf(target));
    failpoint();
    try {
      await destination.rename(joined(joined(previousBackup, name), stored), target);
    } catch (error) {
      // It has moved already, or never was more than a line.
      if (faultOf(error) !== 'absent') throw error;
    }
  }
  failpoint();
  if (added.size === 0) return;
  const path = joined(joined(previousBackup, into), changesName);
  await local.put(destination, `${path}.new`, lineFile(staying.header, staying, added));
  await replaceFile(destination, `${path}.new`, path);
}
