/**
 * Decides what a restore has to do, without doing any of it: walks the tree as it was and, when it is restored in place, the tree as it is.
 *
 * Invariants:
 * 1. Nothing is removed that has no history: excluded names stay, and with them the directories they lie in.
 * 2. A file is left alone only if its change time proves that it has not changed since: the time is the same as then, and older
 *    than the snapshot by more than a clock tick, so that no later change can carry it too.
 * 3. Items stand with parents before children, removals with children before parents.
 */
import { constants, lstatSync, readdirSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { bytesOf, isWithin, joinPath, parentOf, relativeTo, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { CommandError, isAbsent } from '../errors.js';

/** Two changes within one tick of the kernel's clock (at most 10 ms) can carry the same time; this is well above. */
const tickNs = 100_000_000n;

export interface Item {
  readonly source: BytePath;
  readonly target: BytePath;
  /** As it was. */
  readonly stat: BigIntStats;
  /** The live file has not changed since then. */
  readonly isUnchanged: boolean;
}

export interface RestorePlan {
  readonly items: readonly Item[];
  /** What stands in the way of an item (a directory where a file was): removed first. */
  readonly obstacles: readonly BytePath[];
  /** What did not exist then: removed last. */
  readonly removals: readonly BytePath[];
  /** Bytes of the files to copy. */
  readonly totalBytes: bigint;
  /** What stands at the place of a file: `keeps` refuses to take that place, whenever it came there. */
  readonly others: 'replaces' | 'keeps';
}

/** How to treat what lives at the target. */
export type Place =
  /** A new place: nothing may be there. */
  | { readonly kind: 'new' }
  /** Where it was: `root` is the mountpoint, `snapshotRoot` the same directory as it was, `hides` tells excluded paths (from the root, with a leading slash). */
  | {
      readonly kind: 'in-place';
      readonly root: BytePath;
      readonly snapshotRoot: BytePath;
      readonly snapshotNs: bigint | undefined;
      readonly hides: (path: BytePath) => boolean;
    };

interface Draft {
  readonly items: Item[];
  readonly obstacles: BytePath[];
  readonly removals: BytePath[];
  totalBytes: bigint;
  readonly others: RestorePlan['others'];
}

/** Plans the restore of `source` (a path in a snapshot that exists) to `target`. Throws CommandError, errno-coded errors. */
export function planRestore(source: BytePath, target: BytePath, place: Place): RestorePlan {
  const draft: Draft = { items: [], obstacles: [], removals: [], totalBytes: 0n, others: place.kind === 'new' ? 'keeps' : 'replaces' };
  if (place.kind === 'in-place') planParents(target, place, draft);
  // A list of work instead of recursion: trees may be deeper than the stack.
  const open: { source: BytePath; target: BytePath }[] = [{ source, target }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const stat = lstatSync(bytesOf(next.source), { bigint: true });
    planOne(next.source, next.target, stat, place, draft);
    if (!stat.isDirectory()) continue;
    const names = listing(next.source);
    if (place.kind === 'in-place') planRemovals(next.target, new Set(names), place, draft);
    for (const name of names.reverse()) open.push({ source: joinPath(next.source, name), target: joinPath(next.target, name) });
  }
  return draft;
}

/** Directories above the target that are gone come back too, as they were. */
function planParents(target: BytePath, place: Extract<Place, { kind: 'in-place' }>, draft: Draft): void {
  const missing: BytePath[] = [];
  for (let directory = target; directory !== place.root; ) {
    directory = parentOf(directory);
    const live = lstatSync(bytesOf(directory), { bigint: true, throwIfNoEntry: false });
    if (live?.isDirectory()) break;
    if (live !== undefined) throw new CommandError(`${shown(directory)} is not a directory any more`, 'move it away, or restore to another place with --to');
    missing.unshift(directory);
  }
  for (const directory of missing) {
    const source = joinPath(place.snapshotRoot, relativeTo(directory, place.root));
    draft.items.push({ source, target: directory, stat: lstatSync(bytesOf(source), { bigint: true }), isUnchanged: false });
  }
}

function planOne(source: BytePath, target: BytePath, stat: BigIntStats, place: Place, draft: Draft): void {
  const live = lstatSync(bytesOf(target), { bigint: true, throwIfNoEntry: false });
  if (live !== undefined && place.kind === 'new') throw new CommandError(`${shown(target)} exists already`, 'choose another place');
  if (live !== undefined && live.isDirectory() !== stat.isDirectory() && place.kind === 'in-place') planRemoval(target, place, draft.obstacles);
  const snapshotNs = place.kind === 'in-place' ? place.snapshotNs : undefined;
  const isUnchanged = live !== undefined && snapshotNs !== undefined && !stat.isDirectory() && isSame(stat, live, snapshotNs);
  draft.items.push({ source, target, stat, isUnchanged });
  if (stat.isFile() && !isUnchanged) draft.totalBytes += stat.size;
}

function isSame(then: BigIntStats, now: BigIntStats, snapshotNs: bigint): boolean {
  return then.ctimeNs === now.ctimeNs && then.ctimeNs + tickNs < snapshotNs && then.mtimeNs === now.mtimeNs && then.size === now.size && then.mode === now.mode && then.uid === now.uid && then.gid === now.gid && then.nlink === now.nlink;
}

/** What the live directory has and the snapshot had not. */
function planRemovals(directory: BytePath, namesThen: ReadonlySet<string>, place: Extract<Place, { kind: 'in-place' }>, draft: Draft): void {
  if (!lstatSync(bytesOf(directory), { throwIfNoEntry: false })?.isDirectory()) return;
  for (const name of listing(directory)) {
    if (namesThen.has(name) || (directory === place.root && (name === '.snapshots' || name === '.tidemark'))) continue;
    planRemoval(joinPath(directory, name), place, draft.removals);
  }
}

/** Everything below `top` and then itself, but for what has no history and the directories that lie around that. */
function planRemoval(top: BytePath, place: Extract<Place, { kind: 'in-place' }>, removals: BytePath[]): void {
  const found: BytePath[] = [];
  const kept: BytePath[] = [];
  const open = [top];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (place.hides(relativeTo(path, place.root))) {
      kept.push(path);
      continue;
    }
    found.push(path);
    if (lstatSync(bytesOf(path)).isDirectory()) for (const name of listing(path)) open.push(joinPath(path, name));
  }
  for (const path of found.reverse()) if (!kept.some((child) => isWithin(child, path))) removals.push(path);
}

function listing(directory: BytePath): BytePath[] {
  return readdirSync(bytesOf(directory), { encoding: 'latin1' }) as BytePath[];
}

/** true when the file system object is there; other faults than absence are thrown. */
export function exists(path: BytePath): boolean {
  try {
    lstatSync(bytesOf(path));
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** File type bits of a mode. */
export function typeOf(stat: BigIntStats): number {
  return Number(stat.mode) & constants.S_IFMT;
}
