/**
 * Plans an undo: takes back exactly what is mine and leaves others' alone. A pure function over the history of the things that mine touched (undo-types.ts). Out: steps
 * in the order in which they can be done, and conflicts, each with its evidence. The steps are what can be done without the conflicts.
 *
 * Invariants:
 * 1. Nothing is guessed: where others changed the same bytes, name or attribute after mine, it is a conflict and stays as it is.
 * 2. Where there is no conflict, the outcome is what others' changes alone would have made.
 * 3. What mine made and cannot be taken away keeps its contents.
 */
import { planContents } from './undo-contents.js';
import { planNames } from './undo-names.js';
import type { NameConflict } from './undo-names.js';
import { NameOrder } from './undo-order.js';
import type { Conflict, FileHistory, NameHistory, UndoHistory, UndoPlan, UndoStep } from './undo-types.js';

export function planUndo(history: UndoHistory): UndoPlan {
  const { order, conflicts: nameConflicts } = orderedNames(history);
  const before = new NameOrder(history, []);
  const conflicts = nameConflicts.map((conflict) => withPath(conflict, before));
  for (const { txid, file, why } of history.uncertain) {
    conflicts.push({ kind: 'uncertain', path: before.pathOf(file) ?? '/?', file, mine: why === 'shared' ? txid : 0, other: txid });
  }
  const steps = [...order.steps];
  const late: UndoStep[] = [];
  for (const [file, known] of history.files) {
    const path = order.pathOf(file);
    // It goes, or had gone before.
    if (path === undefined || known.birth?.isMine === true) continue;
    if (known.isCut && isMine(known)) {
      conflicts.push({ kind: 'lost', path, file, mine: 0, other: 0 });
      continue;
    }
    const contents = planContents(file, known, path);
    conflicts.push(...contents.conflicts);
    for (const step of contents.steps) (step.kind === 'mtime' ? late : steps).push(step);
  }
  late.sort(deepestFirst);
  return { steps: [...steps, ...late], conflicts: conflicts.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)) };
}

/** Mine changed its bytes or attributes. */
function isMine({ bytes, sizes, modes, uids, gids, xattrs }: FileHistory): boolean {
  return [bytes, sizes, modes, uids, gids, ...xattrs.values()].some((steps) => steps.some((step) => step.isMine));
}

/** Names that find no place in any order stay, and so does what depends on them. */
function orderedNames(history: UndoHistory): { order: NameOrder; conflicts: readonly NameConflict[] } {
  const stuck = new Set<NameHistory>();
  for (;;) {
    const { slots, conflicts } = planNames(history, stuck);
    const order = new NameOrder(history, slots);
    if (order.stuck.length === 0) return { order, conflicts };
    for (const { history: name } of order.stuck) stuck.add(name);
  }
}

/** The path by which people know the name: where its directory is, or the file. */
function withPath({ slot, ...conflict }: NameConflict, now: NameOrder): Conflict {
  if (slot === undefined) return { ...conflict, path: now.pathOf(conflict.file) ?? '/?' };
  const above = now.pathOf(slot.directory);
  const path = above === undefined ? `/?/${slot.name}` : above === '/' ? `/${slot.name}` : `${above}/${slot.name}`;
  return { ...conflict, path };
}

/** What is done in a directory changes its time. */
function deepestFirst(a: UndoStep, b: UndoStep): number {
  return b.path.split('/').length - a.path.split('/').length;
}

