/**
 * The steps of a plan, in their order: renames, versions that move aside, what goes, directories that come, files that come, attributes. Pure. In: a plan. Out: steps; how many files go on each side.
 *
 * Invariants:
 * 1. What makes room goes before what takes it: files before their directories, deeper ones first; directories come before what lies in them.
 */
import type { Entry } from '../entry.js';
import type { Abilities } from '../destination.js';
import { isSame, otherOf } from './decide.js';
import type { Side, Versions } from './decide.js';
import type { Intent } from './intents.js';
import type { Plan, Rename } from './plan.js';

export type Step =
  | ({ readonly what: 'move' } & Rename)
  /** The side's own version gets another name there. `path` is the one that it had. */
  | { readonly what: 'aside'; readonly side: Side; readonly path: string; readonly to: string }
  /** `isKept`: somebody's change, which is put away rather than removed. */
  | { readonly what: 'remove'; readonly side: Side; readonly path: string; readonly entry: Entry; readonly isKept: boolean }
  | { readonly what: 'make'; readonly side: Side; readonly path: string; readonly entry: Entry | undefined }
  /** Onto `side`. `source`: where the other side has it; another path than `path` only when it moved aside, and then by its name from before. */
  | { readonly what: 'copy'; readonly side: Side; readonly path: string; readonly source: string; readonly entry: Entry; readonly isKept: boolean }
  | { readonly what: 'set'; readonly side: Side; readonly path: string; readonly entry: Entry };

export interface Steps {
  readonly steps: readonly Step[];
  readonly intents: readonly Intent[];
}

/** `asideOf`: what a version is called that moves aside. `attributesOf`: which side's attributes are to go over to the other one, if any, where the content is the same. */
export function stepsOf({ moves, verdicts }: Plan, asideOf: (path: string, side: Side) => string, attributesOf: (versions: Versions, path: string) => Side | undefined): Steps {
  const found: Intent[] = [];
  const [asides, removals, makes, copies, sets]: Step[][] = [[], [], [], [], []];
  for (const [path, { verdict, versions }] of verdicts) {
    if (verdict.what === 'settled') {
      const from = attributesOf(versions, path);
      if (from !== undefined) sets!.push({ what: 'set', side: otherOf(from), path, entry: versions[from]! });
      // Found to be the same, which it was not before: worth as much as if it had been brought over.
      if (!isSame(versions.base, versions.here)) found.push({ what: 'put', side: 'there', path, ...(versions.here === undefined ? {} : { entry: versions.here }) });
    } else if (verdict.what === 'take') take(path, versions, verdict.from, verdict.isKept === true, { removals: removals!, makes: makes!, copies: copies! });
    else if (verdict.what === 'directory') {
      for (const side of ['here', 'there'] as const) if (versions[side]?.type !== 'directory') makes!.push({ what: 'make', side, path, entry: versions[otherOf(side)] ?? versions.base });
    } else if (verdict.what === 'keep-both') {
      const [loser, winner] = [verdict.moves, otherOf(verdict.moves)];
      const to = asideOf(path, loser);
      asides!.push({ what: 'aside', side: loser, path, to });
      const [kept, moved] = [versions[winner], versions[loser]!];
      if (kept?.type === 'file' || kept?.type === 'symlink') copies!.push({ what: 'copy', side: loser, path, source: path, entry: kept, isKept: false });
      else for (const side of ['here', 'there'] as const) if (versions[side]?.type !== 'directory') makes!.push({ what: 'make', side, path, entry: kept });
      copies!.push({ what: 'copy', side: winner, path: to, source: path, entry: { ...moved, path: to }, isKept: false });
    }
  }
  removals!.sort(deepestFirst);
  makes!.sort((one, other) => deepestFirst(other, one));
  const steps: Step[] = [...moves.map((move): Step => ({ what: 'move', ...move })), ...asides!, ...removals!, ...makes!, ...copies!, ...sets!];
  return { steps, intents: [...found, ...steps.flatMap(intentOf)] };
}

function take(path: string, versions: Versions, from: Side, isKept: boolean, { removals, makes, copies }: { removals: Step[]; makes: Step[]; copies: Step[] }): void {
  const side = otherOf(from);
  const [wanted, old] = [versions[from], versions[side]];
  // A file is replaced in one step, unless a directory is part of it.
  const isReplaced = old !== undefined && wanted !== undefined && old.type !== 'directory' && wanted.type !== 'directory';
  if (old !== undefined && !isReplaced) removals.push({ what: 'remove', side, path, entry: old, isKept });
  if (wanted === undefined) return;
  if (wanted.type === 'directory') makes.push({ what: 'make', side, path, entry: wanted });
  else copies.push({ what: 'copy', side, path, source: path, entry: wanted, isKept: isKept && isReplaced });
}

function intentOf(step: Step): Intent[] {
  switch (step.what) {
    case 'move': return [{ what: 'move', side: step.side, from: step.from, to: step.to }];
    // Under its new name it is nobody's yet but this side's.
    case 'aside': return [{ what: 'put', side: step.side, path: step.path }];
    case 'remove': return [{ what: 'put', side: step.side, path: step.path }];
    case 'make': return step.entry === undefined ? [] : [{ what: 'put', side: step.side, path: step.path, entry: step.entry }];
    case 'copy': return [{ what: 'put', side: step.side, path: step.path, entry: { ...step.entry, path: step.path } }];
    case 'set': return [];
  }
}

/** Of a side, how many files and links go; versions that are replaced, or have another name, do not count. */
export function removedFrom(side: Side, steps: readonly Step[]): number {
  return steps.filter((step) => step.what === 'remove' && step.side === side && step.entry.type !== 'directory').length;
}

function deepestFirst(one: Step, other: Step): number {
  const [first, second] = [pathOf(one), pathOf(other)];
  return first < second ? 1 : first > second ? -1 : 0;
}

function pathOf(step: Step): string {
  return step.what === 'move' ? step.from : step.path;
}

/** Types that a place can hold. */
export function canBeStored(entry: Entry, { symlinks }: Pick<Abilities, 'symlinks'>): boolean {
  return entry.type === 'file' || entry.type === 'directory' || (entry.type === 'symlink' && symlinks);
}
