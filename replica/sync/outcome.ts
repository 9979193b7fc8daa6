/**
 * What a run leaves behind as known: for each path that it dealt with, how both sides have it now. In: the plan, what was done, how the sides look. Out: lines of the next state.
 *
 * Invariants:
 * 1. The content noted is the one that was decided on. Where a side was changed since, its size or its times are others, or it is marked to be read.
 * 2. A path of which anything was left undone keeps what was known of it.
 */
import type { Abilities } from '../destination.js';
import type { Entry } from '../entry.js';
import type { Actor } from './act.js';
import { otherOf } from './decide.js';
import type { Side, Versions } from './decide.js';
import type { Known, Mark } from './known.js';
import type { Seen, SyncPlace } from './place.js';
import type { Plan, Verdict } from './plan.js';
import { isFreshAt, isSameTime } from './precision.js';
import type { Precision } from './precision.js';
import type { Step } from './steps.js';

export interface Done {
  readonly planned: Plan;
  readonly steps: readonly Step[];
  readonly actor: Actor;
  readonly seen: ReadonlyMap<string, Seen>;
  /** When the other side was walked, by the clock of this machine. */
  readonly seenNs: bigint;
  readonly here: SyncPlace;
  readonly there: SyncPlace;
  readonly precision: Precision;
  /** The snapshot of this run. */
  readonly txid: string;
}

/** undefined: it is on neither side any more. */
export function knownAfter(done: Done): Map<string, Known | undefined> {
  const { planned: { verdicts, moves }, steps, actor } = done;
  const after = new Map<string, Known | undefined>();
  for (const { from, to } of moves) if (!actor.undone.has(from) && !actor.undone.has(to)) after.set(from, undefined);
  for (const [path, { verdict, versions }] of verdicts) if (verdict.what !== 'leave' && !actor.undone.has(path)) after.set(path, knownOf(done, path, finalOf(verdict, versions), versions.here));
  for (const step of steps) {
    if (step.what !== 'aside' || actor.undone.has(step.to)) continue;
    const { versions } = verdicts.get(step.path)!;
    after.set(step.to, knownOf(done, step.to, versions[step.side], undefined));
  }
  return after;
}

function finalOf(verdict: Verdict, versions: Versions): Entry | undefined {
  switch (verdict.what) {
    case 'take': return versions[verdict.from];
    case 'keep-both': return versions[otherOf(verdict.moves)] ?? versions.base;
    default: return versions.here ?? versions.there;
  }
}

/** `final`: what was decided on; `before`: as the snapshot has it here. */
function knownOf({ actor, here, there, seen, seenNs, precision, txid }: Done, path: string, final: Entry | undefined, before: Entry | undefined): Known | undefined {
  const entry = actor.changed.here.has(path) ? here.look(path)?.entry : before;
  const mark = actor.changed.there.has(path) ? there.look(path)?.mark : seen.get(path)?.mark;
  if (final === undefined || entry === undefined || mark === undefined) return undefined;
  const written = actor.changed.here.has(path) ? { writtenAfter: txid } : {};
  if (final.type !== 'file') return { entry: { ...entry, path }, there: marked(mark, precision, false), ...written };
  const sha256 = final.sha256 ?? actor.hashes.get(path);
  const isOther = actor.changed.there.has(path) && !isSameTime(mark.mtimeNs, final.mtimeNs, precision.timeNs);
  const isFresh = isOther || isFreshAt(mark.mtimeNs, actor.changed.there.has(path) ? BigInt(Date.now()) * 1_000_000n : seenNs, precision);
  return { entry: { ...entry, path, size: final.size, ...(sha256 === undefined ? {} : { sha256 }) }, there: marked({ ...mark, size: final.size }, precision, isFresh), ...written };
}

function marked({ size, mtimeNs, mode, ctimeNs, inode }: Mark, { hasChangeTimes }: Precision, isFresh: boolean): Mark {
  return { size, mtimeNs, mode, ...(hasChangeTimes && ctimeNs !== undefined && inode !== undefined ? { ctimeNs, inode } : {}), ...(isFresh ? { isFresh: true } : {}) };
}

/** Where both have the same content: the side whose permissions and time are to be the other one's, too. What the other side cannot keep does not count. */
export function attributesFrom({ here, there }: Versions, known: Known | undefined, mark: Mark | undefined, abilities: Pick<Abilities, 'modes' | 'times'>, { timeNs }: Precision): Side | undefined {
  if (here === undefined || there === undefined || mark === undefined || here.type === 'symlink') return undefined;
  const hasTime = here.type === 'file' && abilities.times !== 'none';
  if (known === undefined) {
    return (abilities.modes && (here.mode & 0o777) !== mark.mode) || (hasTime && !isSameTime(here.mtimeNs, mark.mtimeNs, timeNs)) ? 'here' : undefined;
  }
  const { entry, there: before } = known;
  if ((abilities.modes && here.mode !== entry.mode) || (hasTime && here.mtimeNs !== entry.mtimeNs)) return 'here';
  return (abilities.modes && mark.mode !== before.mode) || (hasTime && !isSameTime(mark.mtimeNs, before.mtimeNs, timeNs)) ? 'there' : undefined;
}
