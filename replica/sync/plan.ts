/**
 * The plan of a sync. Pure. In: the paths that are not as they were on one side or both, files that have another name on one side. Out: what is to be done for each path, conflicts that are left to somebody, renames.
 *
 * A file that was renamed on one side is first renamed on the other one, if nothing stands in the way; then each path is decided by itself (decide.ts); then directories are seen to: one that would go, or give way to a file, stays
 * if anything below it does.
 *
 * Invariants:
 * 1. What is done to a path needs nothing of what is done to another one, but that directories above are there and the order of steps.ts.
 * 2. Nothing is done at, above or below what is left to somebody that would change it.
 */
import type { Entry } from '../entry.js';
import { isBelow, parentOf } from '../paths.js';
import { decide, otherOf } from './decide.js';
import type { Choice, ConflictKind, Decision, Policy, Side, Versions } from './decide.js';

/** A file that one side has under another name, with the bytes it had. */
export interface Rename {
  readonly side: Side;
  readonly from: string;
  readonly to: string;
}

export interface Question {
  /** Of every path that is another one on some side than it was. */
  readonly versions: ReadonlyMap<string, Versions>;
  readonly renames: readonly Rename[];
  readonly policy: Policy;
  readonly choices: ReadonlyMap<string, Choice>;
  /** Of all others: what is there on both sides. */
  unchanged(path: string): Entry | undefined;
}

export type Verdict =
  | Exclude<Decision, { what: 'ask' }>
  /** A directory, on both sides. */
  | { readonly what: 'directory' }
  /** Not touched, for the sake of what lies above or below. */
  | { readonly what: 'leave' };

export interface Conflict {
  readonly path: string;
  readonly kind: ConflictKind;
  readonly versions: Versions;
}

export interface Plan {
  /** To be done on `side`, first. */
  readonly moves: readonly Rename[];
  readonly verdicts: ReadonlyMap<string, { readonly verdict: Verdict; readonly versions: Versions }>;
  readonly conflicts: readonly Conflict[];
}

export function plan(question: Question): Plan {
  const versions = new Map(question.versions);
  const moves = followRenames(question, versions);
  const verdicts = new Map<string, { verdict: Verdict; versions: Versions }>();
  const conflicts: Conflict[] = [];
  for (const [path, of] of versions) {
    const decision = decide(of, question.policy, question.choices.get(path));
    if (decision.what === 'ask') conflicts.push({ path, kind: decision.kind, versions: of });
    else verdicts.set(path, { verdict: decision, versions: of });
  }
  leaveAround(conflicts.map(({ path }) => path), verdicts);
  keepDirectories(verdicts);
  return { moves, verdicts, conflicts };
}

/** Renames on the other side what can be, and moves the versions along. */
function followRenames({ renames, unchanged, versions: before }: Question, versions: Map<string, Versions>): Rename[] {
  const moves: Rename[] = [];
  const at = (path: string): Versions => versions.get(path) ?? (before.has(path) ? {} : { base: unchanged(path), here: unchanged(path), there: unchanged(path) });
  for (const { side, from, to } of renames) {
    const other = otherOf(side);
    const [old, next] = [at(from), at(to)];
    const moved = old[other];
    const isPlain = moved?.type === 'file' && old.base?.type === 'file' && old[side] === undefined && next[side]?.type === 'file' && next[other] === undefined && next.base === undefined;
    if (!isPlain || !aboveAreDirectories(to, (path) => at(path)[other])) continue;
    moves.push({ side: other, from, to });
    versions.delete(from);
    versions.set(to, { ...next, base: { ...old.base, path: to }, [other]: { ...moved, path: to } });
  }
  return moves;
}

/** Or nothing at all. */
function aboveAreDirectories(path: string, at: (path: string) => Entry | undefined): boolean {
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
    const entry = at(above);
    if (entry !== undefined && entry.type !== 'directory') return false;
  }
  return true;
}

function leaveAround(left: readonly string[], verdicts: Plan['verdicts'] & Map<string, { verdict: Verdict; versions: Versions }>): void {
  if (left.length === 0) return;
  for (const [path, one] of verdicts) {
    const isNear = left.some((open) => isBelow(path, open) || (isBelow(open, path) && !endsAsDirectory(one)));
    if (isNear) verdicts.set(path, { ...one, verdict: { what: 'leave' } });
  }
}

function keepDirectories(verdicts: Map<string, { verdict: Verdict; versions: Versions }>): void {
  const needed = new Set<string>();
  for (const [path, one] of verdicts) {
    if (one.verdict.what !== 'leave' && !stays(one)) continue;
    for (let above = parentOf(path); above !== '' && !needed.has(above); above = parentOf(above)) needed.add(above);
  }
  for (const path of needed) {
    const one = verdicts.get(path);
    if (one === undefined || one.verdict.what === 'leave' || endsAsDirectory(one)) continue;
    const { versions, verdict } = one;
    // A file that would take its place moves out of the way.
    const file = verdict.what === 'take' ? versions[verdict.from] : undefined;
    verdicts.set(path, { versions, verdict: file === undefined || verdict.what !== 'take' ? { what: 'directory' } : { what: 'keep-both', moves: verdict.from } });
  }
}

/** Something is there afterwards. */
function stays({ verdict, versions }: { verdict: Verdict; versions: Versions }): boolean {
  return verdict.what === 'take' ? versions[verdict.from] !== undefined : verdict.what !== 'settled' || versions.here !== undefined;
}

function endsAsDirectory({ verdict, versions }: { verdict: Verdict; versions: Versions }): boolean {
  if (verdict.what === 'take') return versions[verdict.from]?.type === 'directory';
  if (verdict.what === 'keep-both') return versions[otherOf(verdict.moves)]?.type === 'directory';
  return verdict.what === 'directory' || versions.here?.type === 'directory';
}
