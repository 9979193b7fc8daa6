/**
 * What is done with a place, whichever kind it is: the one file that knows that files lie as files in some, and in packs in others. In: a place. Out: as binding.ts, run.ts, verify.ts and view.ts.
 */
import * as tree from './binding.js';
import type { Owner } from './binding.js';
import type { LocalFiles } from './local-files.js';
import { openPlace } from './open-place.js';
import type { Place } from './place.js';
import { runBackup } from './run.js';
import type { RunOptions, RunResult } from './run.js';
import { verifyBackup } from './verify.js';
import type { VerifyOptions, VerifyResult } from './verify.js';
import { BackupView } from './view.js';
import type { BackupContents } from './view.js';

/** Binds a place that nobody uses yet; one that this backup had before is taken up again. Throws DestinationError. */
export async function bind(place: Place, owner: Owner, local: LocalFiles): Promise<void> {
  // Loaded where it is needed: the library is large.
  if (place.kind === 's3') return (await import('./s3/binding.js')).bindBucket(place, owner);
  return tree.bindPlace(place, owner, local);
}

/** Throws DestinationError, or what reading the snapshot throws. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { place } = options;
  if (place.kind === 's3') return (await import('./s3/run.js')).runToBucket({ ...options, place });
  return runBackup({ ...options, place });
}

/** Throws DestinationError. */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  const { place } = options;
  if (place.kind === 's3') return (await import('./s3/verify.js')).verifyBucket({ ...options, place });
  return verifyBackup({ ...options, place });
}

/** `owner`: whose it must be; undefined: anybody's. Throws DestinationError: absent when there is no backup; damaged; foreign. */
export async function openContents(place: Place, owner?: Owner): Promise<BackupContents> {
  if (place.kind === 's3') return (await import('./s3/view.js')).BucketView.open(place, owner);
  const destination = owner === undefined ? await openPlace(place, tree.leastAbilities) : await tree.openBound(place, owner);
  try {
    return await BackupView.open(destination);
  } catch (error) {
    await destination.close();
    throw error;
  }
}
