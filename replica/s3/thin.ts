/**
 * Gives up earlier roots by the ladder, then the packs that no root names any more. In: a bucket, its last root, a ladder. Out: fewer objects, and notes.
 *
 * Invariants:
 * 1. A pack is removed only if every root that stays was read, and none of them names it.
 * 2. A young pack stays: it may be of a run that has not come to its end, here or on another machine.
 * 3. Interrupted anywhere, what is left is removed another time.
 */
import { ladderRule, keptPoints, quality } from '../../engine/retention.js';
import type { Rung } from '../../engine/retention.js';
import { DestinationError } from '../destination.js';
import { failpoint } from '../failpoint.js';
import { timeNsOf } from '../view.js';
import { manifestsPrefix, packsOfLists, packsPrefix, parseRoot, timeOfEarlier } from './layout.js';
import type { Root } from './layout.js';
import { readPackList } from './lists.js';
import { inParallel } from './objects.js';
import type { S3Objects } from './objects.js';
import { graceMs } from './packs.js';
import { PieceReader } from './pieces.js';

/** `ladder` undefined: no earlier root stays. Returns what was noticed. Throws DestinationError. */
export async function thinRoots(objects: S3Objects, last: Root, ladder: readonly Rung[] | undefined): Promise<string[]> {
  const earlier = await earlierKeys(objects);
  const lastNs = timeNsOf(last.header.time);
  const points = earlier.map(({ timeNs }, index) => ({ txid: index, timeMs: Number(timeNs / 1_000_000n), quality: quality.any }));
  const kept = new Set(keptPoints(points, [ladderRule(ladder ?? [])], Date.now()).map(({ txid }) => txid));
  // The last one may have been kept under its time by a run that was cut off.
  const gone = earlier.filter(({ timeNs }, index) => !kept.has(index) || timeNs === lastNs);
  await inParallel(gone, objects.connections, async ({ key }) => {
    await objects.remove(key);
    failpoint();
  });
  if (gone.length === 0 && ladder !== undefined) return [];
  const staying = earlier.filter((one) => !gone.includes(one)).map(({ key }) => key);
  try {
    await sweep(objects, await packsNamed(objects, last, staying));
    return [];
  } catch (error) {
    if (!(error instanceof DestinationError) || (error.fault !== 'damaged' && error.fault !== 'absent')) throw error;
    return [`no packs were removed, for it cannot be told which are needed: ${error.message}`];
  }
}

/** Oldest first. */
export async function earlierKeys(objects: S3Objects): Promise<{ readonly key: string; readonly timeNs: bigint }[]> {
  const found: { key: string; timeNs: bigint }[] = [];
  for await (const { key } of objects.list(manifestsPrefix)) {
    const timeNs = timeOfEarlier(key);
    if (timeNs !== undefined) found.push({ key, timeNs });
  }
  return found;
}

async function packsNamed(objects: S3Objects, last: Root, keys: readonly string[]): Promise<Set<string>> {
  const named = new Set<string>();
  const reader = new PieceReader(objects);
  /** Lists of packs have most of their pieces in common. */
  const read = new Set<string>();
  const add = async (root: Root): Promise<void> => {
    for (const name of packsOfLists(root)) named.add(name);
    const pieces = root.packs.filter(({ sha256 }) => !read.has(sha256));
    for (const piece of pieces) {
      for (const name of await readPackList(reader, [piece])) named.add(name);
      read.add(piece.sha256);
    }
  };
  await add(last);
  await inParallel(keys, objects.connections, async (key) => { await add(parseRoot((await objects.get(key)).bytes, `${key} on ${objects.shown}`)); });
  return named;
}

async function sweep(objects: S3Objects, named: ReadonlySet<string>): Promise<void> {
  const oldMs = Date.now() - graceMs;
  const unnamed: string[] = [];
  for await (const { key, modifiedMs } of objects.list(packsPrefix)) if (!named.has(key.slice(packsPrefix.length)) && modifiedMs <= oldMs) unnamed.push(key);
  await inParallel(unnamed, objects.connections, async (key) => {
    await objects.remove(key);
    failpoint();
  });
  for (const upload of await objects.uploads(packsPrefix)) if (upload.begunMs <= oldMs) await objects.dropUpload(upload);
}
