/**
 * What is done once when a volume is opened: the store's files, then the addon's part; later, when the index is there, what was changed
 * while nothing was mounted is found and recorded. In: a directory. Out: opened parts; one external transaction, or none.
 *
 * Invariants:
 * 1. volume.json exists, and is of a format that we know, before the addon touches the store.
 * 2. When opening fails, nothing stays open.
 */
import { openError } from './errors.js';
import { findExternalChanges, findYounger } from './external-changes.js';
import type { ExternalChangesOptions } from './external-changes.js';
import { hideReturned } from './floor-setting.js';
import type { HistoryKind, NativeAddon, NativeVolume } from './native.js';
import { removeUnfinishedPacking } from './segment-packing.js';
import { isFollowing } from './replication.js';
import { keepExcludes, readExcludes } from './store-excludes.js';
import { policyExcludes } from './store-policy.js';
import { openStoreFiles } from './store-files.js';
import type { StoreFiles } from './store-files.js';

export interface StoreOpenOptions {
  /** As in the addon's VolumeOptions. Default: strict. */
  readonly history?: HistoryKind;
  /** Besides those of the policy. Default: all that the volume was last opened with. */
  readonly exclude?: readonly string[];
  readonly failpoint?: string;
  /** A descriptor of the directory: a mount that another process has left hides it, and will be gone on with. */
  readonly resumedRoot?: number;
  /** Whoever had the volume last was killed from outside: not by an index that kills whoever opens it. */
  readonly wasKilled?: boolean;
}

export interface VolumeOpenOptions extends StoreOpenOptions {
  /** Told one line at a time what was found and repaired. */
  readonly say?: (line: string) => void;
  /** The clock, ns since the epoch. */
  readonly nowNs?: () => bigint;
  /** How long opening waits for the search for external changes, ms (external-search.ts). Default: until it is over. */
  readonly patienceMs?: number;
  /** The addon; loaded when not given. */
  readonly addon?: NativeAddon;
}

export interface OpenedStore {
  readonly files: StoreFiles;
  readonly native: NativeVolume;
  /** Globs of names without history. */
  readonly exclude: readonly string[];
}

export interface RecordExternalChangesOptions extends Omit<ExternalChangesOptions, 'sinceNs'> {
  readonly addon: NativeAddon;
  /** Resolves when the index is as far as the log. */
  readonly caughtUp: () => Promise<unknown>;
  readonly say: (line: string) => void;
}

/** The kernel stamps changes with a clock that lags behind by up to a tick (10 ms at the slowest). */
export const clockLagNs = 20_000_000n;

/** `directory`: absolute. Throws VolumeError with the remedy. */
export function openStore(directory: string, options: StoreOpenOptions, addon: NativeAddon): OpenedStore {
  const files = openStoreFiles(directory, options.resumedRoot);
  try {
    const { history = 'strict', failpoint = '' } = options;
    const resumes = options.resumedRoot !== undefined;
    // What the policy says by now holds from the next mount on.
    const exclude = options.exclude === undefined || resumes ? readExcludes(files.root) : [...new Set([...options.exclude, ...policyExcludes(files.root)])];
    const native = addon.openVolume({ backing: resumes ? files.root : directory, history, exclude, failpoint, resumes, follows: isFollowing(files.store) });
    // Not before: until it had the lock, another process might have been packing.
    removeUnfinishedPacking(files.log);
    return { files, native, exclude };
  } catch (error) {
    files.close();
    throw openError(error, directory);
  }
}

/** Tells what a power cut or damage has done. `damaged`: regions of the log that the index met. */
export function sayRecovery(native: NativeVolume, damaged: number, say: (line: string) => void): void {
  if (damaged > 0) say(`the log has ${damaged} damaged regions; run "tidemark verify" to see what is lost`);
  const replayed = native.recovery.replayed.length;
  if (replayed > 0) say(`after a power cut: what had been synced to ${replayed === 1 ? '1 file' : `${replayed} files`} was written to them again, out of the log`);
}

/** Looks at every inode while the index catches up. */
export async function recordExternalChanges(options: RecordExternalChangesOptions): Promise<void> {
  const { native, addon, caughtUp, say, ...rest } = options;
  const { clean, lastTimeNs } = native.recovery;
  // A new store: there was nothing to be changed.
  if (lastTimeNs === 0n) return;
  const sinceNs = lastTimeNs - clockLagNs;
  const [younger] = await Promise.all([findYounger(addon, rest.root, sinceNs), caughtUp()]);
  const found = await findExternalChanges({ native, ...rest, sinceNs }, younger);
  if (found.records.length === 0) return;
  const txid = await native.appendExternal(found.records, found.timeNs);
  const files = found.fileCount === 1 ? '1 file or directory was' : `${found.fileCount} files and directories were`;
  const more = found.isCut ? ' and more; the rest is not listed' : '';
  // What the power took out of the log looks the same.
  const when = clean ? 'while nothing was mounted' : 'while nothing was mounted, or right before the crash';
  say(`${files} changed ${when}${more}: recorded as transaction ${txid}; their contents from before are lost, all others are exact`);
}

/** Globs without history are `exclude` from now on: what was among them until now is shown at no moment from before. */
export async function changeExcludes(native: NativeVolume, root: string, exclude: readonly string[], say: (line: string) => void): Promise<void> {
  const returned = await hideReturned(native, root, readExcludes(root), exclude);
  if (returned > 0) say(`${returned === 1 ? '1 file that had' : `${returned} files that had`} no history until now: snapshots from before do not show them`);
  keepExcludes(root, exclude);
}
