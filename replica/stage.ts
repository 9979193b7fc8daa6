/**
 * Brings to the destination all that a switch needs: files with new bytes, the list of what is replaced, the new manifest, the plan of the switch. In: what differs. Out: the plan, and what the new manifest counts.
 *
 * Invariants:
 * 1. What this does lies in tidemark-work and in a new directory of PreviousBackup; nothing that was there is changed.
 * 2. The plan gets its name last.
 */
import { formatMoment, jsonTime } from '../engine/moments.js';
import { encodeEntry, hasSameAttributes } from './entry.js';
import type { Entry } from './entry.js';
import { Directories, faultOf } from './destination.js';
import { failpoint } from './failpoint.js';
import type { Destination } from './destination.js';
import type { Examined } from './examine.js';
import { backupFormat, changesName, lastBackup, nextManifest, nextSwitch, previousBackup, stagedPlace, switchName } from './layout.js';
import type { ChangesHeader, ManifestHeader } from './layout.js';
import { entryAt, lineFile } from './line-file.js';
import type { LineFile } from './line-file.js';
import { joined, parentOf } from './paths.js';
import { absentLine, previousMoments, readChanges } from './previous.js';
import type { Progress } from './progress.js';
import type { TreePlace } from './place.js';
import type { RunOptions } from './run.js';
import { sendAll } from './sender.js';
import type { SendResult } from './send-batch.js';
import { encodePath } from './stored-name.js';
import type { SwitchPlan } from './switch.js';
import { planSteps } from './switch-plan.js';
import { timeNsOf } from './view.js';

export interface StageOptions {
  readonly destination: Destination;
  readonly options: RunOptions<TreePlace>;
  readonly baseline: LineFile<ManifestHeader> | undefined;
  readonly examined: readonly Examined[];
  readonly progress: Progress;
  /** Nothing was staged for this snapshot before. */
  readonly isFresh: boolean;
}

export interface Staged {
  readonly plan: SwitchPlan;
  readonly header: ManifestHeader;
  readonly sentFiles: number;
  readonly sentBytes: number;
  readonly removed: number;
  readonly failures: readonly { readonly path: string; readonly reason: string }[];
}

/** A difference with the entry that the manifest will have. */
export interface Settled extends Examined {
  readonly stored: string;
}

export async function stage(given: StageOptions): Promise<Staged> {
  const { destination, options, baseline, examined, progress, isFresh } = given;
  const kind = destination.abilities.names;
  const differences = examined.map((one): Settled => ({ ...one, stored: encodePath(one.path, kind) }));
  const sent = differences.filter(({ after, isWritten, movedFrom }) => after?.type === 'file' && (isWritten || (movedFrom !== undefined && !destination.abilities.links)));
  const bytes = sent.reduce((sum, { after }) => sum + after!.size, 0);
  progress.phase('sending', sent.length, bytes);
  const results = await sendAll({
    place: options.place, destination, root: options.root, connections: options.place.kind === 'ftp' ? options.place.connections : directoryThreads, bytesPerSecond: options.bytesPerSecond,
    onBytes: (count) => { progress.add(0, count); }, onFiles: (count) => { progress.add(count, 0); },
  }, sent.map(({ after, stored }) => ({ entry: after!, stored, isNew: isFresh })));
  const failures = sent.flatMap(({ path }, index) => (results[index]!.failure === undefined ? [] : [{ path, reason: results[index]!.failure! }]));
  const settled = settle(differences, sent, results);
  await stageOthers(destination, settled);
  failpoint();
  const previous = await keepList(given, settled);
  failpoint();
  const header = headerOf(options, kind, baseline, settled);
  const lines = new Map(settled.map(({ path, after }) => [path, after === undefined ? undefined : encodeEntry(after)]));
  await options.local.putAndKeep(destination, nextManifest, lineFile(header, baseline, lines), 'next');
  const plan: SwitchPlan = { format: 1, txid: options.txid, previous, steps: planSteps(settled, baseline, destination.abilities) };
  failpoint();
  await options.local.put(destination, nextSwitch, [Buffer.from(JSON.stringify(plan), 'latin1')]);
  // All that the plan relies on, and itself, is on the disk before it has its name; and the name comes before the moves, for file systems keep the order of renames.
  await destination.sync();
  await destination.rename(nextSwitch, switchName);
  if (!destination.abilities.links) await destination.sync();
  return { plan, header, sentFiles: sent.length - failures.length, sentBytes: bytes, removed: settled.filter(({ after }) => after === undefined).length, failures };
}

const directoryThreads = 2;

/** What was sent gets its hash; what could not be read stays as it was. */
function settle(differences: readonly Settled[], sent: readonly Settled[], results: readonly SendResult[]): Settled[] {
  const resultOf = new Map(sent.map(({ path }, index) => [path, results[index]!]));
  return differences.flatMap((one): Settled[] => {
    const { path, before, after, movedFrom } = one;
    const result = resultOf.get(path);
    if (result !== undefined) return result.sha256 === undefined ? [] : [{ ...one, after: { ...after!, sha256: result.sha256 }, isWritten: true }];
    if (after?.type !== 'file') return [one];
    const sha256 = (movedFrom ?? before)?.sha256;
    return [{ ...one, after: sha256 === undefined ? after : { ...after, sha256 } }];
  });
}

/** What is no bytes: directories, symlinks, second names of files that are there under another one. */
async function stageOthers(destination: Destination, settled: readonly Settled[]): Promise<void> {
  const directories = new Directories(destination);
  const { names, links, symlinks } = destination.abilities;
  for (const { before, after, stored, isWritten, movedFrom } of settled) {
    const staged = joined(stagedPlace, stored);
    if (after?.type === 'directory' && before?.type !== 'directory') await directories.ensure(staged);
    if (after?.type === 'symlink' && symlinks && (before?.type !== 'symlink' || before.target !== after.target)) {
      await directories.ensure(parentOf(staged));
      await destination.symlink(after.target ?? '', staged);
      await destination.setAttributes(staged, after);
    }
    if (after?.type === 'file' && movedFrom !== undefined && !isWritten && links) {
      await directories.ensure(parentOf(staged));
      await destination.link(joined(lastBackup, encodePath(movedFrom.path, names)), staged);
      await destination.setAttributes(staged, after);
    }
  }
}

/** Says what each changed path was in the backup that is replaced. Returns its directory in PreviousBackup; "" when there is none to replace. */
async function keepList({ destination, options, baseline }: StageOptions, settled: readonly Settled[]): Promise<string> {
  if (baseline === undefined) return '';
  const { txid, time, volume } = baseline.header;
  const header: ChangesHeader = { format: backupFormat, kind: 'changes', volume, txid, time };
  const lines = new Map(settled.filter((one) => !isRepair(one)).map(({ path, before }) => [path, before === undefined ? absentLine(path) : encodeEntry(before)]));
  if (lines.size === 0) return '';
  const name = await freeName(destination, timeNsOf(time), txid);
  const directory = joined(previousBackup, name);
  await new Directories(destination).ensure(directory);
  await options.local.put(destination, joined(directory, changesName), lineFile(header, undefined, lines));
  return name;
}

/** Two backups of one second have different names; a run that did not come to its end leaves its name to the next. */
async function freeName(destination: Destination, timeNs: bigint, txid: string): Promise<string> {
  const second = `@${formatMoment(timeNs, 'second')}`;
  const taken = await previousMoments(destination);
  if (!taken.some(({ name }) => name === second)) return second;
  try {
    if ((await readChanges(destination, second)).header.txid === txid) return second;
  } catch (error) {
    if (faultOf(error) === 'absent') return second;
    if (faultOf(error) !== 'damaged') throw error;
  }
  return `@${formatMoment(timeNs, 'nanosecond')}`;
}

/** What was sent again because it was not there, or not whole: nothing of it is worth keeping. */
export function isRepair({ before, after, isWritten }: Examined): boolean {
  return isWritten && before?.sha256 !== undefined && before.sha256 === after?.sha256 && hasSameAttributes(before, after);
}

/** What the new manifest counts. `names`: how they are stored. */
export function headerOf({ owner, txid, timeNs }: RunOptions, names: ManifestHeader['names'], baseline: LineFile<ManifestHeader> | undefined, settled: readonly Pick<Examined, 'path' | 'before' | 'after'>[]): ManifestHeader {
  const count = { files: baseline?.header.files ?? 0, directories: baseline?.header.directories ?? 0, bytes: baseline?.header.bytes ?? 0 };
  const add = (entry: Entry | undefined, by: 1 | -1): void => {
    if (entry === undefined) return;
    if (entry.type === 'directory') count.directories += by;
    else count.files += by;
    count.bytes += by * entry.size;
  };
  for (const { path, before, after } of settled) {
    add(before ?? (baseline === undefined ? undefined : entryAt(baseline, path)), -1);
    add(after, 1);
  }
  return { format: backupFormat, kind: 'backup', ...owner, txid, time: jsonTime(timeNs), names, ...count };
}
