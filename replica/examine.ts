/**
 * What a run has to look at, and what it finds there. In: the manifest of the last run, the differences that history tells since then, the snapshot. Out: for each path that may be different, its entry before and now.
 *
 * History says where to look; what is there the snapshot itself says. So a difference that is told twice, or too many, costs a look and does no harm.
 *
 * Invariants:
 * 1. Every path at which the snapshot and the manifest differ is among those looked at.
 * 2. `isWritten` is false only if history knows that the bytes are those of `before`.
 */
import { hasSameAttributes, parseEntry } from './entry.js';
import type { Entry } from './entry.js';
import type { LineFile } from './line-file.js';
import { nameOf, parentOf } from './paths.js';
import type { SnapshotTree } from './snapshot-tree.js';

/** A difference between the last run's snapshot and this one's, as the engine tells it; paths as in paths.ts. */
export interface Change {
  readonly kind: 'added' | 'removed' | 'changed' | 'renamed' | 'attributes';
  readonly path: string;
  readonly from?: string;
  /** Of 'renamed': its bytes were changed, too. */
  readonly isWritten?: boolean;
}

export interface Examined {
  readonly path: string;
  readonly before?: Entry;
  readonly after?: Entry;
  readonly isWritten: boolean;
  /** The same file, unchanged, had this path before. */
  readonly movedFrom?: Entry;
}

export interface Question {
  readonly tree: SnapshotTree;
  /** Of the last run; undefined for a first one. */
  readonly base: LineFile<unknown> | undefined;
  /** undefined: nobody knows, all is compared (by size, time and attributes). */
  readonly changes: readonly Change[] | undefined;
  /** Paths that are to be sent again whatever history says. */
  readonly again: ReadonlySet<string>;
}

/** Only what differs, in the order of paths. */
export function examine(question: Question): Examined[] {
  const found = question.base === undefined || question.changes === undefined ? compareAll(question) : new Look(question, question.base, question.changes).examine();
  return found.filter(isDifferent).sort((one, other) => (one.path < other.path ? -1 : 1));
}

function isDifferent({ before, after, isWritten, movedFrom }: Examined): boolean {
  if (before === undefined || after === undefined) return before !== after;
  return isWritten || movedFrom !== undefined || !hasSameAttributes(before, after) || before.target !== after.target;
}

function compareAll({ tree, base, again }: Question): Examined[] {
  const before = new Map<string, Entry>();
  for (const index of base?.below('') ?? []) {
    const entry = parseEntry(base!.line(index));
    before.set(entry.path, entry);
  }
  const found: Examined[] = [];
  for (const after of tree.walk('')) {
    const { path } = after;
    const known = before.get(path);
    before.delete(path);
    const isWritten = after.type === 'file' && (known?.type !== 'file' || known.size !== after.size || known.mtimeNs !== after.mtimeNs || again.has(path));
    found.push({ path, ...(known === undefined ? {} : { before: known }), after, isWritten: isWritten || (again.has(path) && after.type !== 'directory') });
  }
  for (const [path, entry] of before) found.push({ path, before: entry, isWritten: false });
  return found;
}

class Look {
  readonly #question: Question;
  readonly #base: LineFile<unknown>;
  readonly #changes: readonly Change[];
  readonly #before = new Map<string, Entry>();
  readonly #after = new Map<string, Entry>();
  readonly #written: Set<string>;
  /** Where directories and files were that have another name now, by the new one. */
  readonly #movedFrom = new Map<string, string>();

  constructor(question: Question, base: LineFile<unknown>, changes: readonly Change[]) {
    this.#question = question;
    this.#base = base;
    this.#changes = changes;
    this.#written = new Set(question.again);
  }

  examine(): Examined[] {
    for (const change of this.#changes) this.#note(change);
    for (const path of this.#question.again) this.#look(path, false);
    this.#lookAtOtherNames();
    // What history takes for gone is looked for all the same.
    for (const path of this.#before.keys()) if (!this.#after.has(path)) this.#find(path);
    return [...new Set([...this.#before.keys(), ...this.#after.keys()])].map((path) => this.#judge(path));
  }

  #note({ kind, path, from, isWritten }: Change): void {
    if (kind === 'changed' || kind === 'added' || isWritten === true) this.#written.add(path);
    if (kind === 'renamed') {
      this.#movedFrom.set(path, from!);
      this.#remember(from!, true);
    }
    const isWhole = kind !== 'attributes';
    this.#remember(path, isWhole);
    if (kind !== 'removed') this.#look(path, isWhole);
    // Its times, and those of the directory that lost it.
    for (const each of from === undefined ? [path] : [path, from]) if (parentOf(each) !== '') this.#look(parentOf(each), false);
  }

  /** The entries of the last run at a path, or also below it. */
  #remember(path: string, isWhole: boolean): void {
    const line = isWhole ? undefined : this.#base.lineOf(path);
    if (line !== undefined) this.#before.set(path, parseEntry(line));
    if (!isWhole) return;
    for (const index of this.#base.below(path)) {
      const entry = parseEntry(this.#base.line(index));
      this.#before.set(entry.path, entry);
    }
  }

  #look(path: string, isWhole: boolean): void {
    const entry = this.#after.get(path) ?? this.#find(path);
    if (!this.#before.has(path)) this.#remember(path, false);
    if (!isWhole || entry?.type !== 'directory') return;
    // Of a directory that kept its name and place history tells every change below it.
    if (this.#before.get(path)?.type === 'directory' && !this.#movedFrom.has(path) && !this.#written.has(path)) return;
    for (const below of this.#question.tree.walk(path)) {
      this.#after.set(below.path, below);
      if (!this.#before.has(below.path)) this.#remember(below.path, false);
    }
  }

  #find(path: string): Entry | undefined {
    const entry = this.#question.tree.entry(path);
    if (entry !== undefined) this.#after.set(path, entry);
    return entry;
  }

  /** Of a file with several names history tells one. */
  #lookAtOtherNames(): void {
    for (const [path, { link }] of [...this.#before]) {
      if (link === undefined) continue;
      for (const index of this.#base.holding(`"link":"${link}"`)) {
        const other = parseEntry(this.#base.line(index));
        if (other.link !== link || other.path === path) continue;
        this.#before.set(other.path, other);
        if (this.#written.has(path)) this.#written.add(other.path);
        if (!this.#after.has(other.path)) this.#find(other.path);
      }
    }
  }

  #judge(path: string): Examined {
    const before = this.#before.get(path);
    const after = this.#after.get(path);
    const known = { path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
    if (after?.type !== 'file') return { ...known, isWritten: false };
    const from = this.#origin(path);
    const origin = from === undefined ? undefined : this.#before.get(from);
    const isSame = !this.#written.has(path) && origin?.type === 'file' && origin.size === after.size && origin.sha256 !== undefined;
    if (isSame && origin !== before) return { ...known, isWritten: false, movedFrom: origin };
    return { ...known, isWritten: this.#written.has(path) || before?.type !== 'file' || before.size !== after.size || (from !== undefined && !isSame) };
  }

  /** Where a path was before it, or a directory above it, got another name. */
  #origin(path: string): string | undefined {
    let rest = '';
    for (let at = path; at !== ''; at = parentOf(at)) {
      const from = this.#movedFrom.get(at);
      if (from !== undefined) return `${from}${rest}`;
      rest = `/${nameOf(at)}${rest}`;
    }
    return undefined;
  }
}
