/**
 * What is done once when a volume is opened: the store's files, then the addon's part; later, when the index is there, what was changed
 * while nothing was mounted is found and recorded. In: a directory. Out: opened parts; one external transaction, or none.
 *
 * Invariants:
 * 1. volume.json exists, and is of a format that we know, before the addon touches the store.
 * 2. When opening fails, nothing stays open.
 */
import { openError } from './errors.js';
import { findExternalChanges } from './external-changes.js';
import type { ExternalChangesOptions } from './external-changes.js';
import type { NativeAddon, NativeVolume } from './native.js';
import { removeUnfinishedPacking } from './segment-packing.js';
import { readExcludes } from './store-excludes.js';
import { openStoreFiles } from './store-files.js';
import type { StoreFiles } from './store-files.js';

export interface StoreOpenOptions {
  /** As in the addon's VolumeOptions. Default: true. */
  readonly strict?: boolean;
  /** Default: as the volume was last opened with. */
  readonly exclude?: readonly string[];
  readonly failpoint?: string;
}

export interface OpenedStore {
  readonly files: StoreFiles;
  readonly native: NativeVolume;
  /** Globs of names without history. */
  readonly exclude: readonly string[];
}

export interface RecordExternalChangesOptions extends Omit<ExternalChangesOptions, 'sinceNs'> {
  readonly say: (line: string) => void;
}

/** The kernel stamps changes with a clock that lags behind by up to a tick (10 ms at the slowest). */
const clockLagNs = 20_000_000n;

/** `directory`: absolute. Throws VolumeError with the remedy. */
export function openStore(directory: string, options: StoreOpenOptions, addon: NativeAddon): OpenedStore {
  const files = openStoreFiles(directory);
  try {
    const { strict = true, failpoint = '' } = options;
    const exclude = options.exclude ?? readExcludes(files.root);
    const native = addon.openVolume({ backing: directory, strict, exclude, failpoint });
    // Not before: until it had the lock, another process might have been packing.
    removeUnfinishedPacking(files.log);
    return { files, native, exclude };
  } catch (error) {
    files.close();
    throw openError(error, directory);
  }
}

export async function recordExternalChanges(options: RecordExternalChangesOptions): Promise<void> {
  const { native, say, ...rest } = options;
  const { lastTimeNs } = native.recovery;
  // A new store: there was nothing to be changed.
  if (lastTimeNs === 0n) return;
  const found = await findExternalChanges({ native, ...rest, sinceNs: lastTimeNs - clockLagNs });
  if (found.records.length === 0) return;
  const txid = await native.appendExternal(found.records, found.timeNs);
  const files = found.fileCount === 1 ? '1 file or directory was' : `${found.fileCount} files and directories were`;
  const more = found.isCut ? ' and more; the rest is not listed' : '';
  say(`${files} changed while nothing was mounted${more}: recorded as transaction ${txid}; their contents from before are lost, all others are exact`);
}
