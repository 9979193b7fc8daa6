/**
 * Whether an editor's user finds his document after a power cut. In: what a lane's witness knows, the lane's directory. Out: complaints. This knows nothing of how the
 * files got there, only what was saved when: what the user knows.
 *
 * 1. A document that is never without a whole version ("whole-…", saves.ts) is there, under its name or that of its backup, and is wholly one that was saved.
 * 2. It is no older than what was there when the directory was synced last.
 * 3. A document that is written in its place is wholly the version that was saved last, when nobody had begun to write another.
 */
import type { Tree } from '../trees.js';
import { lastSync, nodeOf, targetsBetween } from '../witness.js';
import type { LaneWitness, Reach } from '../witness.js';
import { ways } from './saves.js';

export function checkSaves(lane: LaneWitness, reach: Reach, found: Tree): string[] {
  return [...ways.keys()].flatMap((path) => {
    if (!lane.names.has(path)) return [];
    const fault = path.startsWith('whole-') ? wholeFault(lane, reach, path, found) : inPlaceFault(lane, reach, path, found);
    return fault === undefined ? [] : [`${lane.directory}/${path} ${fault}`];
  });
}

function wholeFault(lane: LaneWitness, { done, begun }: Reach, path: string, found: Tree): string | undefined {
  const promised = lastSync(lane.directorySyncs.get('') ?? [], done) ?? 0;
  const versions = savedUnder(lane, path, promised, begun);
  // Before its first version was there for good.
  if (versions === undefined) return undefined;
  const there = [path, `${path}~`].flatMap((name) => found.get(name)?.bytes ?? []);
  return there.some((bytes) => versions.some((version) => version.equals(bytes))) ? undefined : `is nowhere as it was saved: ${there.length} files, ${versions.length} versions it may be`;
}

/** Whole versions that the name or the backup's had from an operation on; undefined: at first none. */
function savedUnder(lane: LaneWitness, path: string, from: number, to: number): Buffer[] | undefined {
  const saved = (first: number, last: number): Buffer[] => [path, `${path}~`]
    .flatMap((name) => targetsBetween(lane, name, first, last))
    .flatMap((id) => (id === undefined ? [] : nodeOf(lane, id).versions.at(-1)?.bytes ?? []));
  return saved(from, from).length === 0 ? undefined : saved(from, to);
}

function inPlaceFault(lane: LaneWitness, { done, begun }: Reach, path: string, found: Tree): string | undefined {
  const promised = lastSync(lane.directorySyncs.get('') ?? [], done) ?? 0;
  const targets = targetsBetween(lane, path, promised, begun);
  const [id] = targets;
  if (targets.length !== 1 || id === undefined) return undefined;
  const { versions, syncs } = nodeOf(lane, id);
  const last = lastSync(syncs, done) ?? 0;
  if (versions.some(({ op }) => op > last && op <= begun)) return undefined;
  const saved = versions.findLast(({ op }) => op <= last)?.bytes;
  return saved === undefined || found.get(path)?.bytes.equals(saved) === true ? undefined : 'is not what was saved last';
}
