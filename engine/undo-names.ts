/**
 * Which names an undo changes: each goes back to the file it led to before mine, unless something stands against it. Pure. In: the history. Out: the names
 * that change, and conflicts.
 *
 * Invariants:
 * 1. A name that others have changed since stays as it is.
 * 2. A file that was not made by mine never loses its last name: the two names of a rename go back together or not at all.
 * 3. What mine made goes only if others changed nothing in it, and a directory only if nothing remains in it.
 * 4. A name comes back only into a directory that is there, or comes back itself.
 */
import { directoryType } from './attributes.js';
import type { FileId } from './types.js';
import { runOf } from './undo-runs.js';
import type { Conflict, ConflictKind, FileHistory, NameHistory, NameStep, Step, UndoHistory } from './undo-types.js';

/** A name that is to change. */
export interface Slot {
  readonly history: NameHistory;
  readonly mine: NameStep;
  readonly from: FileId;
  readonly to: FileId;
}

/** What a conflict is told with; its path is found by who knows where things are. */
export type NameConflict = Omit<Conflict, 'path'> & { readonly slot: NameHistory | undefined };

export interface NameOutcome {
  readonly slots: readonly Slot[];
  readonly conflicts: readonly NameConflict[];
}

/** `stuck`: names of which it is known that they cannot go back. */
export function planNames(history: UndoHistory, stuck: ReadonlySet<NameHistory>): NameOutcome {
  return new Names(history, stuck).settle();
}

class Names {
  readonly #history: UndoHistory;
  readonly #stuck: ReadonlySet<NameHistory>;
  readonly #conflicts: NameConflict[] = [];
  /** What stood against the names that stay, by file: the evidence for what depends on them. */
  readonly #blockedBy = new Map<FileId, number>();
  #slots: Slot[] = [];
  /** Names here at which a file came or left in a transaction. */
  readonly #ends = new Map<string, number>();
  /** How many names each file has to gain (less than none: to lose), for all of mine to be taken back. */
  readonly #due = new Map<FileId, number>();
  /** How many it loses and gains as things stand. */
  readonly #lost = new Map<FileId, number>();
  readonly #gained = new Map<FileId, number>();
  /** Names that go for good, by directory. */
  readonly #leaving = new Map<FileId, Set<string>>();

  constructor(history: UndoHistory, stuck: ReadonlySet<NameHistory>) {
    this.#history = history;
    this.#stuck = stuck;
  }

  /** Names that cannot go back may keep others from it, until nothing changes any more. */
  settle(): NameOutcome {
    for (const { txid, before, after } of this.#history.names.flatMap(({ steps }) => steps)) {
      for (const file of [before, after]) this.#ends.set(`${txid}/${file}`, (this.#ends.get(`${txid}/${file}`) ?? 0) + 1);
    }
    for (const name of this.#history.names) this.#begin(name);
    for (let count = -1; count !== this.#slots.length;) {
      count = this.#slots.length;
      this.#slots = this.#slots.filter((slot) => this.#canGo(slot));
    }
    const told = new Set(this.#conflicts.map(({ file }) => file));
    for (const [file, known] of this.#history.files) if (!told.has(file)) this.#noteSurvivor(file, known);
    return { slots: this.#slots, conflicts: this.#conflicts };
  }

  #begin(history: NameHistory): void {
    const { first, clash } = runOf(history.steps);
    const last = history.steps.at(-1);
    if (first === undefined || last === undefined) return;
    const mine = history.steps.filter(({ isMine }) => isMine);
    for (const { before, after } of mine) {
      this.#due.set(before, countOf(this.#due, before) + 1);
      this.#due.set(after, countOf(this.#due, after) - 1);
    }
    const slot = { history, mine: first, from: last.after, to: first.before };
    const isBack = slot.from === slot.to;
    if (clash === undefined) {
      // Whoever undid it by hand left nothing to do.
      if (isBack) return;
      if (this.#stuck.has(history)) return this.#noteConflict(slot, 'directory', 0);
      this.#count(slot, 1);
      this.#slots.push(slot);
      return;
    }
    for (const { before, after } of mine) for (const file of [before, after]) this.#blockedBy.set(file, clash.other.txid);
    // Others have taken back themselves what mine did.
    if (isBack && !last.isMine && !this.#wentOn(history, first)) return;
    this.#noteConflict(slot, 'name', clash.other.txid);
  }

  #canGo(slot: Slot): boolean {
    const { from, to } = slot;
    const against = this.#isTorn(slot) ?? (from === 0n ? undefined : this.#keeps(from)) ?? (to === 0n ? undefined : this.#cannotCome(slot));
    if (against === undefined) return true;
    this.#stays(slot, against.kind, against.other);
    return false;
  }

  /** Others have not taken a name of mine away, or put one back, but moved it to or from somewhere else. */
  #wentOn({ steps }: NameHistory, first: NameStep): boolean {
    return steps.some(({ isMine, txid, before, after }) => !isMine && txid > first.txid && [before, after].some((file) => {
      const known = this.#history.files.get(file);
      return known !== undefined && known.linkCount > 0 && known.renamings.has(txid) && this.#ends.get(`${txid}/${file}`) === 1;
    }));
  }

  /** Another name of a file whose names change together stays as it is. */
  #isTorn({ from, to }: Slot): { kind: ConflictKind; other: number } | undefined {
    const [loses, gains] = [from !== 0n && this.#surplus(from) < 0, to !== 0n && this.#surplus(to) > 0];
    return loses || gains ? { kind: 'origin', other: this.#blockedBy.get(loses ? from : to) ?? 0 } : undefined;
  }

  /** Names more than are due. */
  #surplus(file: FileId): number {
    return countOf(this.#gained, file) - countOf(this.#lost, file) - countOf(this.#due, file);
  }

  /** Why a file must not lose its name. */
  #keeps(file: FileId): { kind: ConflictKind; other: number } | undefined {
    const known = this.#history.files.get(file);
    if (known === undefined) return undefined;
    const isMine = known.birth?.isMine === true;
    // What others made of it, another name included, must not lose its beginning.
    const others = isMine ? firstOfOthers(known) : undefined;
    if (others !== undefined) return { kind: 'contents', other: others.txid };
    if (known.linkCount - countOf(this.#lost, file) + countOf(this.#gained, file) > 0) return undefined;
    if (!isMine) return { kind: 'origin', other: this.#blockedBy.get(file) ?? known.birth?.txid ?? 0 };
    return known.type === directoryType ? this.#remaining(file) : undefined;
  }

  /** A name that would be left in a directory of mine. */
  #remaining(directory: FileId): { kind: ConflictKind; other: number } | undefined {
    const leaving = this.#leaving.get(directory);
    const remaining = this.#history.contents.get(directory)?.find(({ name }) => leaving?.has(name) !== true);
    return remaining === undefined ? undefined : { kind: 'contents', other: remaining.txid };
  }

  /** Why a file cannot come back to its name: it is lost, or the directory is not there. */
  #cannotCome({ history: { directory }, to }: Slot): { kind: ConflictKind; other: number } | undefined {
    const known = this.#history.files.get(to);
    if (known === undefined || (known.isCut && known.linkCount === 0)) return { kind: 'lost', other: 0 };
    if (directory === this.#history.rootId) return undefined;
    const isThere = (this.#history.files.get(directory)?.linkCount ?? 1) > 0;
    const comes = countOf(this.#gained, directory) > 0;
    const isLeaving = countOf(this.#lost, directory) > 0 && !comes;
    return (isThere && !isLeaving) || comes ? undefined : { kind: 'directory', other: this.#blockedBy.get(directory) ?? 0 };
  }

  /** Mine made it, and it stays: under a name that others gave it, if nothing else was told of it. */
  #noteSurvivor(file: FileId, known: FileHistory): void {
    const { birth } = known;
    const stays = known.linkCount - countOf(this.#lost, file) + countOf(this.#gained, file) > 0;
    if (birth?.isMine !== true || !stays) return;
    this.#conflicts.push({ kind: 'contents', slot: undefined, file, mine: birth.txid, other: firstOfOthers(known)?.txid ?? 0 });
  }

  #count({ history, from, to }: Slot, by: 1 | -1): void {
    if (from !== 0n) this.#lost.set(from, countOf(this.#lost, from) + by);
    if (to !== 0n) return void this.#gained.set(to, countOf(this.#gained, to) + by);
    const leaving = this.#leaving.get(history.directory) ?? new Set();
    if (by > 0) leaving.add(history.name);
    else leaving.delete(history.name);
    this.#leaving.set(history.directory, leaving);
  }

  #stays(slot: Slot, kind: ConflictKind, other: number): void {
    this.#count(slot, -1);
    this.#noteConflict(slot, kind, other);
  }

  #noteConflict({ history, mine, from, to }: Slot, kind: ConflictKind, other: number): void {
    for (const file of [from, to]) if (file !== 0n) this.#blockedBy.set(file, other);
    this.#conflicts.push({ kind, slot: history, file: from === 0n ? to : from, mine: mine.txid, other });
  }
}

function countOf(counts: ReadonlyMap<FileId, number>, file: FileId): number {
  return counts.get(file) ?? 0;
}

/** Others' change of a file's names, bytes or attributes (but for times, which follow from other changes). */
function firstOfOthers(file: FileHistory): Step | undefined {
  const all = [file.namings, file.bytes, file.sizes, file.modes, file.uids, file.gids, ...file.xattrs.values()];
  return all.flat().find(({ isMine }) => !isMine);
}
