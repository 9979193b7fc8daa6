/**
 * Puts changes of names in an order in which each can be made: a rename needs its target free and its directory there, a directory goes when it is empty. Pure. In: the
 * names that change. Out: steps with paths as they are when their turn has come, and where everything is afterwards.
 *
 * Invariants:
 * 1. A name that only changes its file does so in one step (rename over it): it is never absent in between.
 * 2. Where names go round in a circle, one of them is put aside for a moment, in the volume's root.
 */
import { directoryType } from './attributes.js';
import type { FileId } from './types.js';
import type { Slot } from './undo-names.js';
import type { Place, UndoHistory, UndoStep } from './undo-types.js';

interface Move {
  readonly kind: 'move';
  readonly slot: Slot;
  readonly file: FileId;
  from: Place;
  readonly to: Place;
}

type Operation =
  | Move
  | { readonly kind: 'remove'; readonly slot: Slot; readonly file: FileId; readonly from: Place }
  | { readonly kind: 'arrive'; readonly slot: Slot; readonly file: FileId; readonly to: Place; readonly snapshot: number };

const nobody = 0n as FileId;

export class NameOrder {
  readonly steps: UndoStep[] = [];
  /** Names that find no place in any order: directories that would lie in each other, because others have moved one of them. */
  readonly stuck: readonly Slot[];
  readonly #history: UndoHistory;
  /** What stands at the names that change. */
  readonly #occupants = new Map<string, FileId>();
  readonly #places = new Map<FileId, Place[]>();
  /** By directory: names in it that still have to leave. */
  readonly #leaving = new Map<FileId, number>();
  /** Removals by name: one step may put something else there at once. */
  readonly #removals = new Map<string, Operation>();
  #pending: Operation[];
  #asideCount = 0;

  constructor(history: UndoHistory, slots: readonly Slot[]) {
    this.#history = history;
    for (const [file, places] of history.places) this.#places.set(file, [...places]);
    for (const { history: { directory, name }, from } of slots) this.#occupants.set(keyOf({ parent: directory, name }), from);
    this.#pending = this.#operations(slots);
    for (const operation of this.#pending) {
      if (operation.kind !== 'arrive') this.#count(operation.from.parent, 1);
      if (operation.kind === 'remove') this.#removals.set(keyOf(operation.from), operation);
    }
    this.#arrange();
    this.stuck = this.#pending.map(({ slot }) => slot);
  }

  /** A path of a file as it is after the steps so far; undefined when it has none. */
  pathOf(file: FileId): string | undefined {
    if (file === this.#history.rootId) return '/';
    const place = this.#places.get(file)?.[0];
    return place === undefined ? undefined : this.#pathAt(place);
  }

  /** Each file's lost names paired with its gained ones: a pair is a rename. */
  #operations(slots: readonly Slot[]): Operation[] {
    const gains = new Map<FileId, Slot[]>();
    for (const slot of slots) if (slot.to !== 0n) gains.set(slot.to, [...gains.get(slot.to) ?? [], slot]);
    const operations: Operation[] = [];
    for (const slot of slots) {
      if (slot.from === 0n) continue;
      const to = gains.get(slot.from)?.shift();
      if (to === undefined) operations.push({ kind: 'remove', slot, file: slot.from, from: placeOf(slot) });
      else operations.push({ kind: 'move', slot, file: slot.from, from: placeOf(slot), to: placeOf(to) });
    }
    for (const [file, rest] of gains) {
      // As it was when its last name went: others may have changed it after the first had gone.
      const snapshot = (this.#history.files.get(file)?.goneAt ?? 0) - 1;
      for (const slot of rest) operations.push({ kind: 'arrive', slot, file, to: placeOf(slot), snapshot });
    }
    return operations;
  }

  #arrange(): void {
    while (this.#pending.length > 0) {
      const count = this.#pending.length;
      // What arrives and moves goes first: what it takes the place of need not be removed then.
      for (const kind of ['move', 'arrive', 'remove'] as const) this.#pending = this.#pending.filter((operation) => operation.kind !== kind || !this.#tried(operation));
      if (this.#pending.length === count && !this.#putAside()) return;
    }
  }

  #tried(operation: Operation): boolean {
    if (operation.kind === 'remove') return this.#tryRemove(operation);
    if (this.#pathOfParent(operation.to) === undefined || !this.#isFree(operation)) return false;
    if (operation.kind === 'move' && this.#isWithin(operation.to.parent, operation.file)) return false;
    if (operation.kind === 'move') this.#move(operation);
    else this.#arrive(operation);
    return true;
  }

  #tryRemove(operation: Extract<Operation, { kind: 'remove' }>): boolean {
    const { file, from } = operation;
    if (!this.#removals.has(keyOf(from))) return true;
    const type = this.#typeOf(file);
    if (type === directoryType && (this.#leaving.get(file) ?? 0) > 0) return false;
    this.steps.push({ kind: 'remove', path: this.#pathAt(from)!, file, type });
    this.#leave(file, from);
    return true;
  }

  #move({ file, from, to }: Move): void {
    const path = this.#pathAt(from)!;
    const replaces = this.#takeOver(to);
    this.#leave(file, from);
    this.steps.push({ kind: 'rename', path, file, to: this.#pathAt(to)!, replaces });
    this.#stand(file, to);
  }

  #arrive({ file, to, snapshot }: Extract<Operation, { kind: 'arrive' }>): void {
    const path = this.pathOf(file);
    const replaces = this.#takeOver(to);
    if (path === undefined) this.steps.push({ kind: 'recreate', path: this.#pathAt(to)!, file, type: this.#typeOf(file), snapshot, replaces });
    else this.steps.push({ kind: 'link', path, file, to: this.#pathAt(to)!, replaces });
    this.#stand(file, to);
  }

  /** Nothing stands there, or something that is to be removed and can be replaced in one step. */
  #isFree({ file, to }: Exclude<Operation, { kind: 'remove' }>): boolean {
    const occupant = this.#occupants.get(keyOf(to)) ?? nobody;
    if (occupant === nobody) return true;
    return this.#removals.has(keyOf(to)) && this.#typeOf(occupant) !== directoryType && this.#typeOf(file) !== directoryType;
  }

  /** Takes away what is to be removed there, which the next step replaces. */
  #takeOver(to: Place): FileId {
    const occupant = this.#occupants.get(keyOf(to)) ?? nobody;
    if (occupant !== nobody) this.#leave(occupant, to);
    return occupant;
  }

  /** false when there is nothing to be put aside. */
  #putAside(): boolean {
    const stuck = this.#pending.find((operation) => operation.kind === 'move' && !operation.from.name.startsWith(asidePrefix));
    if (stuck?.kind !== 'move') return false;
    const aside = { parent: this.#history.rootId, name: `${asidePrefix}${this.#asideCount++}` };
    this.steps.push({ kind: 'rename', path: this.#pathAt(stuck.from)!, file: stuck.file, to: this.#pathAt(aside)!, replaces: nobody });
    this.#leave(stuck.file, stuck.from);
    this.#stand(stuck.file, aside);
    this.#count(aside.parent, 1);
    stuck.from = aside;
    return true;
  }

  #leave(file: FileId, from: Place): void {
    const key = keyOf(from);
    this.#occupants.set(key, nobody);
    this.#removals.delete(key);
    this.#count(from.parent, -1);
    this.#places.set(file, (this.#places.get(file) ?? []).filter((place) => keyOf(place) !== key));
  }

  #stand(file: FileId, to: Place): void {
    this.#occupants.set(keyOf(to), file);
    this.#places.set(file, [...this.#places.get(file) ?? [], to]);
  }

  #count(directory: FileId, by: 1 | -1): void {
    this.#leaving.set(directory, (this.#leaving.get(directory) ?? 0) + by);
  }

  #isWithin(directory: FileId, top: FileId): boolean {
    for (let at: FileId | undefined = directory; at !== undefined && at !== this.#history.rootId; at = this.#places.get(at)?.[0]?.parent) {
      if (at === top) return true;
    }
    return false;
  }

  #typeOf(file: FileId): number {
    return this.#history.files.get(file)?.type ?? 0;
  }

  #pathOfParent(place: Place): string | undefined {
    return this.pathOf(place.parent);
  }

  #pathAt(place: Place): string | undefined {
    const above = this.pathOf(place.parent);
    return above === undefined ? undefined : above === '/' ? `/${place.name}` : `${above}/${place.name}`;
  }
}

const asidePrefix = '.tidemark-undo-';

function placeOf({ history: { directory, name } }: Slot): Place {
  return { parent: directory, name };
}

function keyOf({ parent, name }: Place): string {
  return `${parent}/${name}`;
}
