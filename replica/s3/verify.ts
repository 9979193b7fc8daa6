/**
 * Checks a bucket: whether all packs are there that its entries name, and, of some or all files, whether their bytes are those that were sent. In: a place. Out: what is missing or damaged, to be sent again.
 *
 * Invariants:
 * 1. Nothing is changed in the bucket.
 * 2. When its root or a list cannot be believed, the next run does not rely on the copy that this machine has of them.
 */
import { faultOf } from '../destination.js';
import { manifestName } from '../layout.js';
import { LineFile } from '../line-file.js';
import type { S3Place } from '../place.js';
import { Progress } from '../progress.js';
import { readBack } from '../verify.js';
import type { VerifyOptions, VerifyResult } from '../verify.js';
import { listPacks, missingFiles } from './base.js';
import { openBoundBucket } from './binding.js';
import { BucketView } from './view.js';

/** Throws DestinationError. */
export async function verifyBucket({ place, owner, local, percent, onReport }: VerifyOptions<S3Place>): Promise<VerifyResult> {
  const progress = new Progress(onReport);
  progress.phase('connecting');
  const objects = await openBoundBucket(place, owner);
  try {
    const notes: string[] = [];
    const view = await BucketView.of(objects);
    void view.last;
    const published = local.read('manifest');
    if (published !== undefined && new LineFile(published, 'the copy of the manifest in the store').sha256 !== view.manifest.sha256) notes.push(`${manifestName} on ${objects.shown} is not the one that was published; the next run compares everything and writes it anew`);
    progress.phase('comparing');
    const missing = new Set(missingFiles(view.manifest, await listPacks(objects)));
    return { ...await readBack(view, missing, percent, progress), notes };
  } catch (error) {
    if (faultOf(error) === 'damaged' && local.read('manifest') !== undefined) local.rename('manifest', 'doubted');
    throw error;
  } finally {
    progress.end();
    objects.close();
  }
}
