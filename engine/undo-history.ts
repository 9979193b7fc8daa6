/**
 * Gathers the history that the planner of an undo needs: of every name and file that mine touched, all changes since, whoever made them. In: the index, the live tree.
 * Out: UndoHistory (undo-types.ts).
 *
 * Invariants:
 * 1. Changes that have not ended count as others'.
 */
import { decodeAttributes, directoryType, formatMask, regularType } from './attributes.js';
import { unpackDirectory } from './directory-entries.js';
import { codeOf } from './errors.js';
import { dataPrefix, decodePlaceEntry, fileKey, filePrefix, fileTxidKey, isThereAfter, nameInKey, placed, table, txidAtEnd, txidMax } from './index-keys.js';
import { readNumberBE } from './ids.js';
import { sizeClassBytes } from './log-format.js';
import { nameChangeUpTo, nameChanges } from './name-history.js';
import type { NativeVolume } from './native.js';
import { pacer } from './pacer.js';
import type { Floors } from './floors.js';
import type { Attributes, FileId } from './types.js';
import type { ScanParts, Touched, TouchedName } from './undo-scan.js';
import type { BytesStep, FileHistory, NameHistory, NameStep, Place, Step, UndoHistory, ValueStep } from './undo-types.js';

export interface GatherParts extends ScanParts {
  readonly native: Pick<NativeVolume, 'stat' | 'isObject' | 'readDirectory'>;
  readonly floors: Floors;
}

/** `after`: the beginning. The index must have read as far as the scan did. */
export async function gatherHistory(parts: GatherParts, touched: Touched, after: number): Promise<UndoHistory> {
  const gathering = new Gathering(parts, touched, after);
  const pause = pacer();
  for (const name of touched.names.values()) {
    await pause();
    gathering.addName(name);
  }
  for (const file of touched.files.keys()) {
    await pause();
    gathering.addFile(file);
  }
  return gathering;
}

/** A file's attributes before and after a transaction that touched it. */
interface Version extends Step {
  readonly before: Attributes;
  readonly after: Attributes;
}

class Gathering implements UndoHistory {
  readonly rootId: FileId;
  readonly names: NameHistory[] = [];
  readonly files = new Map<FileId, FileHistory>();
  readonly places = new Map<FileId, readonly Place[]>();
  readonly contents = new Map<FileId, readonly { readonly name: string; readonly txid: number }[]>();
  readonly uncertain;
  readonly #parts: GatherParts;
  readonly #touched: Touched;
  readonly #after: number;

  constructor(parts: GatherParts, touched: Touched, after: number) {
    this.rootId = parts.rootId;
    this.uncertain = touched.uncertain;
    this.#parts = parts;
    this.#touched = touched;
    this.#after = after;
    for (const { file } of touched.uncertain) this.#placeWithParents(file);
  }

  addName({ directory, name, first }: TouchedName): void {
    const steps: NameStep[] = [];
    for (const { before, after, txid } of nameChanges(this.#parts.index, directory, name)) {
      if (txid < first) continue;
      steps.push({ txid, isMine: this.#touched.mine.has(txid), before, after });
      for (const file of [before, after]) if (file !== 0n) this.addFile(file);
    }
    this.names.push({ directory, name: name.toString('latin1'), steps });
    this.addFile(directory);
  }

  addFile(file: FileId): void {
    if (this.files.has(file)) return;
    const now = this.#attributesNow(file);
    if (now === undefined) return;
    const type = now.mode & formatMask;
    const isGone = this.#parts.native.isObject(file);
    const { namings, renamings, leftAt } = this.#namingsOf(file);
    const birth = file === this.rootId || this.#parts.paths.placeAt(this.#after, file) !== undefined ? undefined : namings[0];
    const isChanged = this.#touched.files.has(file) || birth?.isMine === true;
    const history = isChanged ? this.#changesOf(file, now) : unchanged;
    this.files.set(file, { type, linkCount: isGone ? 0 : type === directoryType ? 1 : now.nlink, goneAt: isGone ? leftAt : 0, size: Number(now.size), birth, namings, renamings, isCut: this.#isCut(file), ...history });
    if (isGone) return;
    this.#placeWithParents(file);
    if (type === directoryType && birth?.isMine === true) this.contents.set(file, this.#namesIn(file));
  }

  #changesOf(file: FileId, now: Attributes): Omit<FileHistory, 'type' | 'linkCount' | 'goneAt' | 'size' | 'birth' | 'namings' | 'renamings' | 'isCut'> {
    const versions = this.#versionsOf(file, now);
    const values = (value: (attributes: Attributes) => bigint): ValueStep[] =>
      versions.filter(({ before, after }) => value(before) !== value(after)).map(({ txid, isMine, before }) => ({ txid, isMine, before: value(before) }));
    const isRegular = (now.mode & formatMask) === regularType;
    return {
      bytes: isRegular ? this.#bytesOf(file, versions) : [],
      sizes: isRegular ? values(({ size }) => size) : [],
      modes: values(({ mode }) => BigInt(mode & 0o7777)),
      uids: values(({ uid }) => BigInt(uid)),
      gids: values(({ gid }) => BigInt(gid)),
      mtimes: values(({ mtimeNs }) => mtimeNs),
      xattrs: this.#xattrsOf(file),
    };
  }

  #versionsOf(file: FileId, now: Attributes): Version[] {
    const found: { txid: number; before: Attributes }[] = [];
    for (const { key, value } of this.#parts.index.scan(fileTxidKey(table.attributes, file, this.#after + 1), filePrefix)) {
      found.push({ txid: txidAtEnd(key), before: decodeAttributes(value) });
    }
    return found.map(({ txid, before }, index) => ({ ...this.#step(txid), before, after: found[index + 1]?.before ?? now }));
  }

  /** Saved ranges, and what a file grew by. */
  #bytesOf(file: FileId, versions: readonly Version[]): BytesStep[] {
    const sizes = new Map(versions.map(({ txid, before }) => [txid, Number(before.size)]));
    const steps: BytesStep[] = [];
    for (const { key, value } of this.#parts.index.scan(fileKey(table.data, file), filePrefix)) {
      const txid = txidAtEnd(key);
      if (txid <= this.#after) continue;
      const start = readNumberBE(key, dataPrefix) * sizeClassBytes[key[filePrefix]!]!;
      const end = start + value.readUInt32BE(8);
      const size = sizes.get(txid) ?? end;
      steps.push({ ...this.#step(txid), start, end: Math.min(end, size), size });
    }
    for (const { txid, isMine, before, after } of versions) {
      const [size, end] = [Number(before.size), Number(after.size)];
      if (end > size) steps.push({ txid, isMine, start: size, end, size });
    }
    return steps.filter(({ start, end }) => start < end);
  }

  #xattrsOf(file: FileId): Map<string, Step[]> {
    const found = new Map<string, Step[]>();
    for (const { key } of this.#parts.index.scan(fileKey(table.xattr, file), filePrefix)) {
      const txid = txidAtEnd(key);
      if (txid <= this.#after) continue;
      const name = nameInKey(key).toString('latin1');
      found.set(name, [...found.get(name) ?? [], this.#step(txid)]);
    }
    return found;
  }

  #namingsOf(file: FileId): { namings: Step[]; renamings: Set<number>; leftAt: number } {
    const [came, left] = [new Set<number>(), new Set<number>()];
    for (const { key, value } of this.#parts.index.scan(fileTxidKey(table.place, file, this.#after + 1), filePrefix)) {
      const { txid, bits } = decodePlaceEntry(key, value);
      if (bits & placed.after) came.add(txid);
      else if (bits & placed.before) left.add(txid);
    }
    return { namings: [...came].map((txid) => this.#step(txid)), renamings: new Set([...came].filter((txid) => left.has(txid))), leftAt: Math.max(0, ...left) };
  }

  /** By a rule for single files. */
  #isCut(file: FileId): boolean {
    return (this.#parts.floors.get(file)?.txid ?? 0) > this.#after;
  }

  #step(txid: number): Step {
    return { txid, isMine: this.#touched.mine.has(txid) };
  }

  #attributesNow(file: FileId): Attributes | undefined {
    try {
      return decodeAttributes(this.#parts.native.stat(file, this.#parts.paths.hint(file)));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ESTALE') throw error;
      // It left the tree while nothing was mounted.
      return undefined;
    }
  }

  #namesIn(directory: FileId): { name: string; txid: number }[] {
    const { native, paths, index } = this.#parts;
    return unpackDirectory(native.readDirectory(directory, paths.hint(directory)))
      .map(({ name }) => ({ name: name.toString('latin1'), txid: nameChangeUpTo(index, directory, name, txidMax - 1)?.txid ?? 0 }));
  }

  #placeWithParents(file: FileId): void {
    const open = [file];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === this.rootId || this.places.has(at)) continue;
      const places = placesNow(this.#parts, at);
      this.places.set(at, places);
      open.push(...places.map(({ parent }) => parent));
    }
  }
}

const unchanged = { bytes: [], sizes: [], modes: [], uids: [], gids: [], mtimes: [], xattrs: new Map<string, Step[]>() };

/** All names of a file that are known. */
function placesNow({ index, paths }: ScanParts, file: FileId): Place[] {
  const places = new Map<string, Place>();
  for (const { key, value } of index.scan(fileKey(table.place, file), filePrefix)) {
    const { parent, name, bits } = decodePlaceEntry(key, value);
    const place = { parent, name: name.toString('latin1') };
    if (isThereAfter(bits)) places.set(`${parent}/${place.name}`, place);
    else places.delete(`${parent}/${place.name}`);
  }
  if (places.size > 0) return [...places.values()];
  const known = paths.placeAt(txidMax - 1, file);
  return known === undefined ? [] : [{ parent: known.parent, name: known.name.toString('latin1') }];
}
