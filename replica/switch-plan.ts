/**
 * The moves of a switch, in their order. Pure. In: what differs, the manifest that is replaced, what the destination can keep. Out: steps.
 *
 * Invariants:
 * 1. What goes away moves before anything comes: a file can become a directory, and the other way round.
 * 2. A directory that is new, or gone, moves as a whole.
 * 3. Attributes come last, those of directories deepest first: moves change times.
 */
import type { Abilities } from './destination.js';
import type { Entry } from './entry.js';
import { entryAt } from './line-file.js';
import type { LineFile } from './line-file.js';
import type { ManifestHeader } from './layout.js';
import { isBelow, parentOf } from './paths.js';
import { isRepair } from './stage.js';
import type { Settled } from './stage.js';
import type { Step } from './switch.js';
import { encodePath } from './stored-name.js';

/** `differences`: in the order of paths. */
export function planSteps(differences: readonly Settled[], base: LineFile<ManifestHeader> | undefined, abilities: Abilities): Step[] {
  // What lies in a directory stands right behind it.
  const keyed = differences.map((one) => ({ one, key: one.path.replaceAll('/', '\0') })).sort((left, right) => (left.key < right.key ? -1 : 1));
  const sorted = keyed.map(({ one }) => one);
  return [...keeps(sorted, abilities), ...puts(sorted, base, abilities), ...sets(sorted, base, abilities)];
}

/** What is stored as something of its own. */
function isStored(entry: Entry | undefined, abilities: Abilities): boolean {
  return entry !== undefined && (entry.type === 'file' || entry.type === 'directory' || (entry.type === 'symlink' && abilities.symlinks));
}

function hasNewBytes({ before, after, isWritten, movedFrom }: Settled): boolean {
  if (after?.type === 'symlink') return before?.type !== 'symlink' || before.target !== after.target;
  return isWritten || movedFrom !== undefined || before?.type !== after?.type;
}

function keeps(sorted: readonly Settled[], abilities: Abilities): Step[] {
  const steps: Step[] = [];
  let whole: string | undefined;
  for (const one of sorted) {
    const { path, stored, before, after } = one;
    if (!isStored(before, abilities) || (whole !== undefined && isBelow(path, whole)) || isRepair(one)) continue;
    if (after !== undefined && !hasNewBytes(one)) continue;
    if (before!.type === 'directory') whole = path;
    steps.push({ what: 'keep', path: stored });
  }
  return steps;
}

function puts(sorted: readonly Settled[], base: LineFile<ManifestHeader> | undefined, abilities: Abilities): Step[] {
  // All is new: the staging area itself becomes LastBackup.
  if (base === undefined) return [{ what: 'put', path: '' }];
  const steps: Step[] = [];
  let whole: string | undefined;
  for (const one of sorted) {
    const { path, stored, before, after } = one;
    if (!isStored(after, abilities) || (whole !== undefined && isBelow(path, whole)) || !hasNewBytes(one)) continue;
    if (after!.type === 'directory') {
      if (before?.type === 'directory') continue;
      whole = path;
    }
    steps.push({ what: 'put', path: stored });
  }
  return steps;
}

function sets(sorted: readonly Settled[], base: LineFile<ManifestHeader> | undefined, abilities: Abilities): Step[] {
  const files: Step[] = [];
  const directories = new Map<string, Entry>();
  const now = new Map(sorted.map(({ path, after }) => [path, after]));
  for (const one of sorted) {
    const { path, stored, after } = one;
    if (after !== undefined && isStored(after, abilities) && after.type !== 'directory' && !hasNewBytes(one)) files.push(step(stored, after));
    if (after?.type === 'directory') directories.set(path, after);
    for (let above = parentOf(path); above !== '' && !directories.has(above); above = parentOf(above)) {
      const entry = now.has(above) ? now.get(above) : base === undefined ? undefined : entryAt(base, above);
      if (entry?.type === 'directory') directories.set(above, entry);
    }
  }
  if (!abilities.modes && abilities.times !== 'nanoseconds') return files;
  const deepestFirst = [...directories].sort(([one], [other]) => (one < other ? 1 : -1));
  return [...files, ...deepestFirst.map(([path, entry]) => step(encodePath(path, abilities.names), entry))];
}

function step(path: string, { mode, uid, gid, mtimeNs }: Entry): Step {
  return { what: 'set', path, mode, uid, gid, mtime: String(mtimeNs) };
}
