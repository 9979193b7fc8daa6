/**
 * How editors save: the ways of replacing a document that programs have, each with the syncs that it does. In: a lane, randomness. Out: what the lane's witness knows.
 * check-live.ts says what must be there of every file; check-saves.ts what of the documents.
 *
 * Invariants:
 * 1. Each document is saved in one way all the time. Its path tells the way.
 */
import type { Random } from '../../support/seed.js';
import type { LaneWork } from '../lane.js';

type Save = (lane: LaneWork, path: string, length: number, random: Random) => Promise<void>;

const longest = 60_000;

/** Write a new file, sync it, rename it over the old one; then the directory, or not. */
const replace: Save = async (lane, path, length, random) => {
  await lane.create(`${path}.new`, length, random.pick(['data', 'full']));
  await lane.rename(`${path}.new`, path);
  if (random.oneIn(2)) await lane.syncDirectory('');
};

/** As GNOME's: the old one keeps a second name, as the backup, until the next time. */
const replaceWithLink: Save = async (lane, path, length, random) => {
  await lane.create(`${path}.new`, length, 'full');
  if (!lane.isFree(`${path}~`)) await lane.unlink(`${path}~`);
  await lane.link(path, `${path}~`);
  await lane.rename(`${path}.new`, path);
  if (random.oneIn(2)) await lane.syncDirectory('');
};

/** As vim: the old one is renamed away, a new one written and synced in its place, and the old one removed. */
const aside: Save = async (lane, path, length, random) => {
  await lane.rename(path, `${path}~`);
  await lane.create(path, length, 'full');
  if (random.oneIn(3)) await lane.syncDirectory('');
  await lane.unlink(`${path}~`);
  if (random.oneIn(3)) await lane.syncDirectory('');
};

/** As Emacs with backups: a lock while it is edited; the first time the old one becomes the backup, afterwards the file is written anew. */
const withBackup: Save = async (lane, path, length, random) => {
  await lane.create(`${path}.lock`, 30, 'none');
  if (lane.isFree(`${path}~`)) {
    await lane.rename(path, `${path}~`);
    await lane.create(path, length, 'full');
  } else await lane.rewrite(path, length, 'full');
  await lane.unlink(`${path}.lock`);
  if (random.oneIn(8)) await lane.unlink(`${path}~`);
};

/** Cut to nothing, written, synced. */
const rewrite: Save = (lane, path, length, random) => lane.rewrite(path, length, random.pick(['data', 'full']));

/** Written over what is there, synced; the length stays, or the rest is cut off and synced, too. */
const inPlace: Save = async (lane, path, length, random) => {
  await lane.write(path, 0, Math.min(length, lane.sizeOf(path) + 5000), random.pick(['data', 'full']));
  if (length >= lane.sizeOf(path)) return;
  await lane.truncate(path, length);
  await lane.syncFile(path, 'full');
};

/** By path. Those that begin with "whole-" are never without a whole version, under their name or that of their backup. */
export const ways = new Map<string, Save>([
  ['whole-replaced', replace], ['whole-linked', replaceWithLink], ['whole-aside', aside], ['backed-up', withBackup], ['rewritten', rewrite], ['in-place', inPlace],
]);

export async function saveAll(lane: LaneWork, random: Random, saveCount: number): Promise<void> {
  for (const path of ways.keys()) if (lane.isFree(path)) await lane.create(path, 1 + random.below(longest), 'full');
  await lane.syncDirectory('');
  for (let save = 0; save < saveCount; save += 1) {
    const [path, way] = random.pick([...ways]);
    await way(lane, path, 1 + random.below(random.pick([5000, longest])), random);
    if (random.oneIn(3)) await lane.remember();
  }
}
