/**
 * One run of a backup to a place where files lie as files (of others: by-place.ts): brings a destination from the snapshot of its last run to a later one. In: the destination, the snapshot, what history says has changed. Out: a new LastBackup with its manifest, or a fault and
 * the old one.
 *
 * 1. A switch that an earlier run began is finished first.
 * 2. What differs is looked up (examine.ts), and what has new bytes is sent to the staging area.
 * 3. The list of what will be replaced, the new manifest and the plan of the switch are sent.
 * 4. The switch (switch.ts); its last move publishes the manifest.
 * 5. PreviousBackup is thinned by the ladder.
 *
 * Invariants:
 * 1. Until 4 nothing of the last backup is touched; from there on its invariants hold.
 * 2. Ended anywhere, the next run to the same snapshot goes on: files that have arrived are checked, not sent.
 */
import type { Rung } from '../engine/retention.js';
import { openBound } from './binding.js';
import type { Owner } from './binding.js';
import { faultOf, removeTree } from './destination.js';
import type { Destination } from './destination.js';
import { examine } from './examine.js';
import type { Change } from './examine.js';
import { Baseline } from './baseline.js';
import { lastBackup } from './layout.js';
import type { ManifestHeader } from './layout.js';
import type { LocalFiles } from './local-files.js';
import type { Place, TreePlace } from './place.js';
import { thinPrevious } from './previous.js';
import { Progress } from './progress.js';
import type { Report } from './progress.js';
import { SnapshotTree } from './snapshot-tree.js';
import type { Filter } from './snapshot-tree.js';
import { stage } from './stage.js';
import { performSwitch, unfinishedSwitch } from './switch.js';
import { clearOtherStaging } from './staged-for.js';

export interface RunOptions<P extends Place = Place> {
  readonly place: P;
  readonly owner: Owner;
  readonly local: LocalFiles;
  /** The snapshot: where it can be read, its number, its time. */
  readonly root: Buffer;
  readonly txid: string;
  readonly timeNs: bigint;
  /** What history says has changed since a snapshot; undefined: it does not know any more. */
  readonly changesSince: (txid: string) => Promise<readonly Change[] | undefined>;
  readonly filter: Filter;
  /** undefined: nothing of what is replaced is kept. */
  readonly ladder: readonly Rung[] | undefined;
  readonly bytesPerSecond: number;
  /** Paths that are to be sent again. */
  readonly again: readonly string[];
  readonly onReport: (report: Report) => void;
}

export interface RunResult {
  readonly txid: string;
  readonly files: number;
  readonly bytes: number;
  /** Of this run. */
  readonly sentFiles: number;
  readonly sentBytes: number;
  readonly removed: number;
  /** What was noticed, a line each. */
  readonly notes: readonly string[];
  /** Paths that could not be read, with why; the next run tries them again. */
  readonly failures: readonly { readonly path: string; readonly reason: string }[];
  /** Paths that were to be there and are not; the next run sends them. */
  readonly missing: readonly string[];
}

const asideName = `${lastBackup}-unknown`;

/** Throws DestinationError, or what reading the snapshot throws. */
export async function runBackup(options: RunOptions<TreePlace>): Promise<RunResult> {
  const progress = new Progress(options.onReport);
  progress.phase('connecting');
  const destination = await openBound(options.place, options.owner);
  try {
    return await runOn(destination, options, progress);
  } catch (error) {
    // What should be there and is not: perhaps all of it is gone.
    if (faultOf(error) === 'absent') await (await openBound(options.place, options.owner)).close();
    throw error;
  } finally {
    progress.end();
    await destination.close();
  }
}

async function runOn(destination: Destination, options: RunOptions<TreePlace>, progress: Progress): Promise<RunResult> {
  const { local } = options;
  const begun = await unfinishedSwitch(destination);
  const missing: string[] = [];
  if (begun !== undefined) {
    progress.phase('switching');
    missing.push(...(await performSwitch(destination, begun, true)).missing);
  }
  const baseline = await Baseline.find(destination, options);
  if (baseline.manifest?.header.txid === options.txid && options.again.length === 0 && baseline.missing.length === 0) {
    await thin(destination, options);
    return result(baseline.manifest.header, { sentFiles: 0, sentBytes: 0, removed: 0, notes: baseline.notes, failures: [], missing });
  }
  const notes = [...baseline.notes];
  if (baseline.manifest === undefined && await putAside(destination)) notes.push(`nothing tells what ${lastBackup} on ${destination.shown} is: it was put aside as ${asideName}, and all was sent anew`);
  progress.phase('comparing');
  const isFresh = await clearOtherStaging(destination, local, options.txid);
  const changes = baseline.manifest === undefined || baseline.isDoubtful ? undefined : await options.changesSince(baseline.manifest.header.txid);
  const tree = new SnapshotTree(options.root, options.filter);
  const again = new Set([...options.again, ...baseline.missing]);
  const examined = examine({ tree, base: baseline.manifest, changes, again });
  const staged = await stage({ destination, options, baseline: baseline.manifest, examined, progress, isFresh });
  progress.phase('switching');
  missing.push(...(await performSwitch(destination, staged.plan, false)).missing);
  local.rename('next', 'manifest');
  progress.phase('thinning');
  await thin(destination, options);
  const { header, sentFiles, sentBytes, removed, failures } = staged;
  return result(header, { sentFiles, sentBytes, removed, notes, failures, missing });
}

/** A LastBackup that neither its manifest nor the copy of it on this machine tells of. */
async function putAside(destination: Destination): Promise<boolean> {
  if (!(await destination.list('')).some(({ name }) => name === lastBackup)) return false;
  await removeTree(destination, asideName);
  await destination.rename(lastBackup, asideName);
  return true;
}

async function thin(destination: Destination, { local, ladder }: RunOptions): Promise<void> {
  await thinPrevious(destination, local, ladder ?? [], Date.now());
}

function result({ txid, files, bytes }: ManifestHeader, rest: Omit<RunResult, 'txid' | 'files' | 'bytes'>): RunResult {
  return { txid, files, bytes, ...rest };
}

