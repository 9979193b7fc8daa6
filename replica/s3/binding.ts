/**
 * Whose a bucket is. In: a place, a volume. Out: objects of a bucket that belongs to this backup of this volume, or a refusal.
 *
 * Invariants:
 * 1. A place that another volume, or another backup of this one, uses is never written to.
 * 2. A store that writes on a condition without looking at it is refused: two writers would overwrite each other there.
 */
import { randomBytes } from 'node:crypto';
import { parseBinding, refuseForeign } from '../binding.js';
import type { Owner } from '../binding.js';
import { DestinationError, faultOf } from '../destination.js';
import { backupFormat } from '../layout.js';
import type { Binding } from '../layout.js';
import type { S3Place } from '../place.js';
import { bindingKey, headKey, parseRoot } from './layout.js';
import { S3Objects } from './objects.js';

/** What a bucket has no need to remember. */
type BucketBinding = Omit<Binding, 'abilities'>;

/** Throws DestinationError. */
export async function bindBucket(place: S3Place, owner: Owner): Promise<void> {
  const objects = await S3Objects.open(place);
  try {
    const known = await readBinding(objects);
    if (known !== undefined) return refuseForeign(objects.shown, known, owner);
    const head = await readIfThere(objects, headKey);
    if (head !== undefined) refuseForeign(objects.shown, parseRoot(head.bytes, `${headKey} on ${objects.shown}`).header, owner);
    await refuseUnconditional(objects);
    const binding: BucketBinding = { format: backupFormat, ...owner };
    if (await objects.put(bindingKey, Buffer.from(`${JSON.stringify(binding)}\n`), 'absent') === undefined) refuseForeign(objects.shown, (await readBinding(objects))!, owner);
  } finally {
    objects.close();
  }
}

/** Opens a place that was bound. Throws DestinationError: gone, when it shows nothing; foreign. */
export async function openBoundBucket(place: S3Place, owner: Owner): Promise<S3Objects> {
  const objects = await S3Objects.open(place);
  try {
    const known = await readBinding(objects);
    if (known === undefined) throw new DestinationError('gone', `${objects.shown} has no ${bindingKey}: it was emptied, or is something else; if a new one is to take its place, remove this backup and add it anew`);
    refuseForeign(objects.shown, known, owner);
    return objects;
  } catch (error) {
    objects.close();
    throw error;
  }
}

export async function readIfThere(objects: S3Objects, key: string): Promise<{ readonly bytes: Buffer; readonly tag: string } | undefined> {
  try {
    return await objects.get(key);
  } catch (error) {
    if (faultOf(error) === 'absent') return undefined;
    throw error;
  }
}

async function readBinding(objects: S3Objects): Promise<Binding | undefined> {
  const found = await readIfThere(objects, bindingKey);
  return found === undefined ? undefined : parseBinding(found.bytes.toString(), bindingKey, objects.shown);
}

/** Tries both conditions where they do not hold. */
async function refuseUnconditional(objects: S3Objects): Promise<void> {
  const key = `tidemark-trial-${randomBytes(8).toString('hex')}`;
  const [one, two] = [Buffer.from('1'), Buffer.from('2')];
  try {
    const tag = await objects.put(key, one, 'absent');
    const isKept = tag !== undefined && await objects.put(key, two, 'absent') === undefined && await objects.put(key, two, { tag: '0'.repeat(32) }) === undefined;
    if (!isKept || await objects.put(key, two, { tag }) === undefined) throw new DestinationError('refused', `${objects.shown} does not write on a condition (If-None-Match, If-Match), so two writers could overwrite each other there; use a store that does`);
  } finally {
    await objects.remove(key);
  }
}
