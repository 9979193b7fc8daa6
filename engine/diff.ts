/**
 * What differs between two snapshots below a path, from the rows of the transactions between them: nothing is scanned that did not
 * change. In: a directory or file, two snapshots. Out: differences in the order of paths.
 *
 * Invariants:
 * 1. A name that was changed and changed back is no difference.
 * 2. A file under another name is one 'renamed'; a name with another file of the same type behind it is one 'changed'.
 */
import { decodeAttributes, directoryType, formatMask } from './attributes.js';
import { VolumeError, codeOf } from './errors.js';
import { Floors } from './floors.js';
import { numberKey, table, touched } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import { addChangeRow } from './name-history.js';
import type { ChangeRows } from './name-history.js';
import { pacer } from './pacer.js';
import { joinBytes } from './path-bytes.js';
import type { Paths } from './paths.js';
import type { Resolver } from './resolve.js';
import { Scope } from './scope.js';
import type { Transactions } from './transactions.js';
import type { Attributes, Difference, FileId, ResolvedEntry } from './types.js';

/** A name that leads to something else at the other snapshot. */
interface Slot {
  readonly path: Buffer;
  readonly entry: ResolvedEntry;
  /** A name outside matters only as the other end of a rename. */
  readonly inScope: boolean;
}

interface Sides {
  /** Names of the first snapshot that are gone or taken over at the second, by file; and the other way round. */
  readonly removed: Map<FileId, Slot[]>;
  readonly added: Map<FileId, Slot[]>;
}

/** What counts at each snapshot. */
interface Scopes {
  readonly before: Scope;
  readonly after: Scope;
}

export class Diff {
  readonly #index: IndexStore;
  readonly #paths: Paths;
  readonly #resolver: Resolver;
  readonly #transactions: Transactions;
  readonly #rootId: FileId;

  constructor(parts: { index: IndexStore; paths: Paths; resolver: Resolver; transactions: Transactions; rootId: FileId }) {
    this.#index = parts.index;
    this.#paths = parts.paths;
    this.#resolver = parts.resolver;
    this.#transactions = parts.transactions;
    this.#rootId = parts.rootId;
  }

  /** `before`, `after`: the file or directory that the path leads to at each snapshot. The index must have read far enough. */
  async between({ before, after }: { readonly before: FileId; readonly after: FileId }, from: number, to: number): Promise<Difference[]> {
    const scopes = { before: new Scope(this.#paths, this.#rootId, [before]), after: new Scope(this.#paths, this.#rootId, [after]) };
    const rows = await this.#rows(Math.min(from, to), Math.max(from, to));
    const sides = await this.#compareNames(rows, scopes, from, to);
    const differences = [...await this.#nameDifferences(rows, sides, from, to), ...await this.#contentDifferences(rows, sides, scopes.after, from, to), ...await this.#floorDifferences(sides, scopes, from, to)];
    return differences.sort((a, b) => a.path.compare(b.path));
  }

  /** What was touched in (first, last]. */
  async #rows(first: number, last: number): Promise<ChangeRows> {
    const rows: ChangeRows = { files: new Map(), names: [] };
    const pause = pacer();
    for (const entry of this.#index.scan(numberKey(table.change, first + 1), 1)) {
      const txid = readNumberBE(entry.key, 1);
      if (txid > last) break;
      const { file, bits } = addChangeRow(rows, entry);
      // What a change past the mount did is not known: it counts as one of the contents.
      if (bits & touched.attributes && this.#transactions.get(txid)?.external === true) rows.files.get(file)!.bits |= touched.data;
      await pause();
    }
    return rows;
  }

  async #compareNames(rows: ChangeRows, scopes: Scopes, from: number, to: number): Promise<Sides> {
    const sides: Sides = { removed: new Map(), added: new Map() };
    const seen = new Set<string>();
    const pause = pacer();
    for (const { directory, name } of rows.names) {
      const slot = `${directory}/${name.toString('latin1')}`;
      if (seen.has(slot)) continue;
      seen.add(slot);
      await pause();
      const before = await this.#resolver.lookup(from, directory, name);
      const after = await this.#resolver.lookup(to, directory, name);
      if (before?.file === after?.file) continue;
      if (before !== undefined) this.#note(sides.removed, scopes.before, from, directory, before);
      if (after !== undefined) this.#note(sides.added, scopes.after, to, directory, after);
    }
    return sides;
  }

  #note(side: Map<FileId, Slot[]>, scope: Scope, snapshot: number, directory: FileId, entry: ResolvedEntry): void {
    const inScope = scope.holdsAt(directory, snapshot) || scope.holdsAt(entry.file, snapshot);
    const above = this.#paths.pathOf(snapshot, directory);
    if (above === undefined) return;
    const path = joinBytes(above, entry.name);
    const slots = side.get(entry.file) ?? [];
    slots.push({ path, entry, inScope });
    side.set(entry.file, slots);
  }

  async #nameDifferences(rows: ChangeRows, { removed, added }: Sides, from: number, to: number): Promise<Difference[]> {
    const differences: Difference[] = [];
    for (const [file, slots] of added) {
      const gone = removed.get(file);
      while (slots.length > 0 && gone !== undefined && gone.length > 0) {
        const target = slots.shift()!;
        const source = gone.shift()!;
        if (!target.inScope && !source.inScope) continue;
        const isWritten = ((rows.files.get(file)?.bits ?? 0) & touched.data) !== 0;
        differences.push({ kind: 'renamed', path: target.path, from: source.path, type: target.entry.type, ...(isWritten ? { isWritten } : {}), ...await this.#sizes(file, file, target.entry.type, from, to) });
      }
    }
    const replaced = new Map(inside(removed).map((slot) => [slot.path.toString('latin1'), slot]));
    for (const { path, entry } of inside(added)) {
      const before = replaced.get(path.toString('latin1'));
      if (before?.entry.type === entry.type) {
        replaced.delete(path.toString('latin1'));
        differences.push({ kind: 'changed', path, type: entry.type, ...await this.#sizes(before.entry.file, entry.file, entry.type, from, to) });
      } else {
        differences.push({ kind: 'added', path, type: entry.type, ...await this.#sizes(undefined, entry.file, entry.type, from, to) });
      }
    }
    for (const { path, entry } of replaced.values()) {
      differences.push({ kind: 'removed', path, type: entry.type, ...await this.#sizes(entry.file, undefined, entry.type, from, to) });
    }
    return differences;
  }

  /** Files that kept their name and changed in themselves. */
  async #contentDifferences(rows: ChangeRows, sides: Sides, scope: Scope, from: number, to: number): Promise<Difference[]> {
    const differences: Difference[] = [];
    const pause = pacer();
    for (const [file, { bits }] of rows.files) {
      await pause();
      if (sides.added.has(file) || sides.removed.has(file) || !scope.holdsAt(file, to)) continue;
      const path = this.#paths.pathOf(to, file);
      if (path === undefined || this.#paths.pathOf(from, file) === undefined) continue;
      const before = await this.#attributes(file, from);
      const after = await this.#attributes(file, to);
      const kind = before === undefined || after === undefined ? undefined : contentKind(before, after, bits);
      if (kind === undefined) continue;
      const type = after!.mode & formatMask;
      differences.push({ kind, path, type, ...(type === directoryType ? {} : { sizeBefore: before!.size, sizeAfter: after!.size }) });
    }
    return differences;
  }

  /** Files of which one of the snapshots shows nothing any more. */
  async #floorDifferences({ removed, added }: Sides, { before, after }: Scopes, from: number, to: number): Promise<Difference[]> {
    const floors = new Floors(this.#index);
    const differences: Difference[] = [];
    const pause = pacer();
    for (const [kind, hiddenAt, shownAt, known, scope] of [['added', from, to, added, after], ['removed', to, from, removed, before]] as const) {
      for (const file of floors.hiddenAt(hiddenAt)) {
        await pause();
        const path = known.has(file) || floors.hides(file, shownAt) || !scope.holdsAt(file, shownAt) ? undefined : this.#paths.pathOf(shownAt, file);
        const attributes = path === undefined ? undefined : await this.#attributes(file, shownAt);
        if (path === undefined || attributes === undefined) continue;
        differences.push({ kind, path, type: attributes.mode & formatMask, ...(kind === 'added' ? { sizeAfter: attributes.size } : { sizeBefore: attributes.size }) });
      }
    }
    return differences;
  }

  async #sizes(before: FileId | undefined, after: FileId | undefined, type: number, from: number, to: number): Promise<{ sizeBefore?: bigint; sizeAfter?: bigint }> {
    if (type === directoryType) return {};
    const sizeBefore = before === undefined ? undefined : (await this.#attributes(before, from))?.size;
    const sizeAfter = after === undefined ? undefined : (await this.#attributes(after, to))?.size;
    return { ...(sizeBefore === undefined ? {} : { sizeBefore }), ...(sizeAfter === undefined ? {} : { sizeAfter }) };
  }

  async #attributes(file: FileId, snapshot: number): Promise<Attributes | undefined> {
    try {
      return decodeAttributes(await this.#resolver.attributes(snapshot, file));
    } catch (error) {
      if (error instanceof VolumeError && codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function inside(side: Map<FileId, Slot[]>): Slot[] {
  return [...side.values()].flat().filter(({ inScope }) => inScope);
}

function contentKind(before: Attributes, after: Attributes, bits: number): 'changed' | 'attributes' | undefined {
  const isDirectory = (after.mode & formatMask) === directoryType;
  if (!isDirectory && (bits & touched.data || before.size !== after.size || before.blocks !== after.blocks)) return 'changed';
  if (bits & touched.xattr || before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid) return 'attributes';
  return !isDirectory && before.mtimeNs !== after.mtimeNs ? 'attributes' : undefined;
}
