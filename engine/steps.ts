/**
 * What leads from one snapshot to a later one, or back: names that go, names that come, and of each file touched what it is at the end. In: the index's rows of the
 * transactions between the two, states at both by the resolver, the log for the ranges that were written. Out: a Step, whose bytes the caller reads at its end.
 *
 * Invariants:
 * 1. A tree as of `from` to which the step is applied is the tree as of `to`: names, types, attributes, xattrs, and bytes of the ranges told (the rest is the same at both).
 * 2. Nothing is scanned that did not change.
 * 3. Where the log does not tell which ranges were written (packed since, or changed past the mount), the whole file counts as written.
 */
import { decodeAttributes, formatMask, regularType, symlinkType } from './attributes.js';
import { VolumeError, codeOf } from './errors.js';
import { numberKey, table, touched } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import { addChangeRow } from './name-history.js';
import type { ChangeRows } from './name-history.js';
import { pacer } from './pacer.js';
import type { Paths } from './paths.js';
import type { Resolver } from './resolve.js';
import type { Transactions } from './transactions.js';
import type { Attributes, FileId } from './types.js';
import { WrittenRanges } from './written-ranges.js';
import type { Range } from './written-ranges.js';

/** A name that leads to something else at the other end. */
export interface StepName {
  /** From the root, with a leading slash: at `from` of names that go, at `to` of names that come. */
  readonly path: Buffer;
  readonly file: FileId;
  /** mode & S_IFMT */
  readonly type: number;
  /** Of a further name of a file that has had another one all along: that one's path at `to`. */
  readonly kept?: Buffer;
}

/** A file, directory or other thing that something happened to and that is in the tree at `to`. */
export interface StepFile {
  readonly file: FileId;
  /** One of its paths at `to`. */
  readonly path: Buffer;
  readonly attributes: Attributes;
  /** It had no name at `from`. */
  readonly isNew: boolean;
  /** At `from`; none for a new file. */
  readonly before?: Attributes;
  /** Bytes to be read at `to`: in order, within its size. Only of regular files. */
  readonly ranges: readonly Range[];
  /** All extended attributes at `to`, where they may differ. */
  readonly xattrs?: readonly { readonly name: Buffer; readonly value: Buffer }[];
  /** Of a new symlink. */
  readonly target?: Buffer;
}

export interface Step {
  readonly from: number;
  readonly to: number;
  /** Deepest first. */
  readonly removed: readonly StepName[];
  /** Those nearest to the root first. */
  readonly added: readonly StepName[];
  /** In the order of `added`, then as the index has them. */
  readonly files: readonly StepFile[];
}

export interface StepsParts {
  readonly index: IndexStore;
  readonly paths: Paths;
  readonly resolver: Resolver;
  readonly rootId: FileId;
  readonly ranges: WrittenRanges;
  readonly transactions: Transactions;
}

const slash = Buffer.from('/');

export class Steps {
  readonly #parts: StepsParts;

  constructor(parts: StepsParts) {
    this.#parts = parts;
  }

  /** Both must be moments that are kept, and the index must have read that far. */
  async between(from: number, to: number): Promise<Step> {
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    const unknown = new Set<FileId>();
    const rows = await this.#rows(first, last, unknown);
    const { removed, added } = await this.#names(rows, from, to);
    const ranges = this.#parts.ranges.between(rows, first, last);
    const files: StepFile[] = [];
    const pause = pacer();
    for (const [file, { bits, path }] of this.#filesAt(rows, added, to, removed.length > 0 && added.length > 0)) {
      await pause();
      const made = await this.#file(file, path, bits, unknown.has(file) ? 'all' : ranges.get(file), from, to);
      if (made !== undefined) files.push(made);
    }
    return { from, to, removed: removed.sort((a, b) => depthOf(b) - depthOf(a)), added: added.sort((a, b) => depthOf(a) - depthOf(b)), files };
  }

  /** What was touched in (first, last]. `unknown`: files that were changed past the mount, nobody knows how. */
  async #rows(first: number, last: number, unknown: Set<FileId>): Promise<ChangeRows> {
    const rows: ChangeRows = { files: new Map(), names: [] };
    const pause = pacer();
    for (const entry of this.#parts.index.scan(numberKey(table.change, first + 1), 1)) {
      const txid = readNumberBE(entry.key, 1);
      if (txid > last) break;
      const { file, bits } = addChangeRow(rows, { key: Buffer.from(entry.key), value: entry.value });
      if ((bits & touched.attributes) !== 0 && this.#parts.transactions.get(txid)?.external === true) unknown.add(file);
      await pause();
    }
    return rows;
  }

  async #names(rows: ChangeRows, from: number, to: number): Promise<{ removed: StepName[]; added: StepName[] }> {
    const [removed, added]: [StepName[], StepName[]] = [[], []];
    const seen = new Set<string>();
    for (const { directory, name } of rows.names) {
      const slot = `${directory}/${name.toString('latin1')}`;
      if (seen.has(slot)) continue;
      seen.add(slot);
      const before = await this.#parts.resolver.lookup(from, directory, name);
      const after = await this.#parts.resolver.lookup(to, directory, name);
      if (before?.file === after?.file) continue;
      if (before !== undefined) this.#note(removed, from, directory, name, before);
      if (after !== undefined) this.#note(added, to, directory, name, after);
    }
    return { removed, added: added.map((name) => this.#withKept(name, removed, from, to)) };
  }

  #note(names: StepName[], snapshot: number, directory: FileId, name: Buffer, { file, type }: { file: FileId; type: number }): void {
    const above = this.#parts.paths.pathOf(snapshot, directory);
    // The directory was in the tree at neither end, or not at this one: what was in it neither comes nor goes here.
    if (above === undefined) return;
    names.push({ path: below(above, name), file, type });
  }

  #withKept(added: StepName, removed: readonly StepName[], from: number, to: number): StepName {
    const place = removed.some(({ file }) => file === added.file) ? undefined : this.#parts.paths.placeAt(from, added.file);
    const above = place === undefined ? undefined : this.#parts.paths.pathOf(to, place.parent);
    return place === undefined || above === undefined ? added : { ...added, kept: below(above, place.name) };
  }

  /** Whatever was touched or came, with a path at the end. */
  #filesAt(rows: ChangeRows, added: readonly StepName[], to: number, moves: boolean): Map<FileId, { bits: number; path: Buffer }> {
    const files = new Map<FileId, { bits: number; path: Buffer }>();
    // Who makes these changes may need a directory beside them for a moment, which changes the root's times.
    if (moves) files.set(this.#parts.rootId, { bits: rows.files.get(this.#parts.rootId)?.bits ?? 0, path: slash });
    for (const { file, path } of added) if (!files.has(file)) files.set(file, { bits: rows.files.get(file)?.bits ?? 0, path });
    for (const [file, { bits }] of rows.files) {
      const path = files.has(file) ? undefined : this.#parts.paths.pathOf(to, file);
      if (path !== undefined) files.set(file, { bits, path });
    }
    return files;
  }

  async #file(file: FileId, path: Buffer, bits: number, written: readonly Range[] | 'all' | undefined, from: number, to: number): Promise<StepFile | undefined> {
    const { resolver, paths, rootId } = this.#parts;
    const attributes = await this.#attributes(file, to);
    if (attributes === undefined) return undefined;
    const isNew = file !== rootId && paths.pathOf(from, file) === undefined;
    const type = attributes.mode & formatMask;
    const before = isNew ? undefined : await this.#attributes(file, from);
    const ranges = type === regularType ? rangesOf(isNew ? 'all' : written, before?.size ?? 0n, attributes.size) : [];
    const xattrs = isNew || (bits & touched.xattr) !== 0 ? await resolver.xattrs(to, file) : undefined;
    return {
      file, path, attributes, isNew, ranges, ...(before === undefined ? {} : { before }),
      ...(xattrs === undefined ? {} : { xattrs }), ...(isNew && type === symlinkType ? { target: resolver.readLink(file) } : {}),
    };
  }

  async #attributes(file: FileId, snapshot: number): Promise<Attributes | undefined> {
    try {
      return decodeAttributes(await this.#parts.resolver.attributes(snapshot, file));
    } catch (error) {
      if (error instanceof VolumeError && codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function below(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 1 ? Buffer.concat([slash, name]) : Buffer.concat([directory, slash, name]);
}

/** What has to be read: what was written, as far as the file reaches, and what it grew by. */
function rangesOf(written: readonly Range[] | 'all' | undefined, sizeBefore: bigint, size: bigint): Range[] {
  if (size === 0n) return [];
  if (written === 'all') return [{ start: 0, end: Number(size) }];
  const grown = size > sizeBefore ? [{ start: Number(sizeBefore), end: Number(size) }] : [];
  return joined([...written ?? [], ...grown], Number(size));
}

/** In order, without overlaps, cut at `limit`. */
function joined(ranges: readonly Range[], limit: number): Range[] {
  const all: { start: number; end: number }[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = all.at(-1);
    const cut = Math.min(end, limit);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, cut);
    else if (start < cut) all.push({ start, end: cut });
  }
  return all;
}

function depthOf({ path }: StepName): number {
  let depth = 0;
  for (const byte of path) if (byte === 0x2f) depth++;
  return depth;
}
