/**
 * The state at a snapshot: names, attributes, extended attributes. In: the index's undo entries and the live tree through the addon.
 * Out: what was true when transaction n ended.
 *
 * Invariants:
 * 1. The state at snapshot n is the earliest undo entry with a txid above n, else the live state.
 * 2. A live value is read *before* the index is waited for, and counts only if the index then still has no undo entry: a
 *    change logs its pre-image before it acts.
 * 3. The store itself is in no directory.
 * 4. Nothing is shown of a file below its floor: that is looked at last, for what goes is hidden before it goes.
 */
import { attributesBytes, directoryType, regularType, sizeInAttributes } from './attributes.js';
import { ChangesSince } from './changed-since.js';
import type { ChangedSince } from './changed-since.js';
import { unpackDirectory } from './directory-entries.js';
import type { DirectoryEntry } from './directory-entries.js';
import { VolumeError, codeOf } from './errors.js';
import { Floors } from './floors.js';
import { fileKey, filePrefix, fileTxidKey, nameInKey, namedKey, table, txidAtEnd } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { lsn } from './ids.js';
import { nameUndo, nameUndos } from './name-history.js';
import type { NameUndo } from './name-history.js';
import type { NativeVolume } from './native.js';
import { splitPath } from './path-bytes.js';
import { isDataChanged, planChanged } from './pieces.js';
import type { Paths } from './paths.js';
import { storeName } from './store-files.js';
import type { FileId, ListedEntry, Lsn, ResolvedEntry } from './types.js';

type NamedThen = ResolvedEntry & { readonly attributes?: Buffer };
type Xattr = { name: Buffer; value: Buffer };

/** Files up to this are planned when they are listed, bytes. */
const smallFileBytes = 65_536n;

const storeNameBytes = Buffer.from(storeName);

export class Resolver {
  readonly #native: NativeVolume;
  readonly #index: IndexStore;
  readonly #paths: Paths;
  readonly #changes: ChangesSince;
  readonly #floors: Floors;
  readonly #caughtUp: () => Promise<number>;

  constructor(native: NativeVolume, index: IndexStore, paths: Paths, caughtUp: () => Promise<number>) {
    this.#native = native;
    this.#index = index;
    this.#paths = paths;
    this.#changes = new ChangesSince(index);
    this.#floors = new Floors(index);
    this.#caughtUp = caughtUp;
  }

  async lookup(snapshot: number, directory: FileId, name: Buffer): Promise<ResolvedEntry | undefined> {
    if (this.#isStore(directory, name)) return undefined;
    await this.#caughtUp();
    let undo = nameUndo(this.#index, directory, name, snapshot);
    if (undo === undefined) {
      const live = ifThere(() => this.#native.lookup(directory, this.#paths.hint(directory), name));
      await this.#caughtUp();
      undo = nameUndo(this.#index, directory, name, snapshot);
      if (undo === undefined) {
        if (live === undefined || this.#floors.hides(live.file, snapshot)) return undefined;
        this.#paths.learn(live.file, directory, name);
        return { name, file: live.file, type: live.type };
      }
    }
    return undo.before === 0n || this.#floors.hides(undo.before, snapshot) ? undefined : { name, file: undo.before, type: undo.typeBefore };
  }

  /** The file behind a path, symlinks not followed; undefined when absent. */
  async resolvePath(snapshot: number, path: Buffer): Promise<ResolvedEntry | undefined> {
    let entry: ResolvedEntry = { name: Buffer.alloc(0), file: this.#native.rootId, type: directoryType };
    for (const name of splitPath(path)) {
      const next = await this.lookup(snapshot, entry.file, name);
      if (next === undefined) return undefined;
      entry = next;
    }
    return entry;
  }

  async list(snapshot: number, directory: FileId): Promise<ListedEntry[]> {
    const hint = this.#paths.hint(directory);
    const packed = ifThere(() => this.#native.readDirectory(directory, hint));
    const live = packed === undefined ? [] : unpackDirectory(packed);
    const changedBefore = this.#changes.upTo(snapshot, await this.#caughtUp(), live.length);
    const entries = namesThen(this.#withoutStore(directory, live), nameUndos(this.#index, directory, snapshot, changedBefore));
    for (const { file, name } of live) this.#paths.learn(file, directory, name);
    const gone = new Map<FileId, Buffer | undefined>();
    for (const { name, file, attributes } of entries) {
      if (attributes === undefined && this.#attributesUndo(file, snapshot, changedBefore) === undefined) {
        gone.set(file, ifThere(() => this.#native.stat(file, hint === null ? null : childPath(hint, name))));
      }
    }
    const plannedAt = await this.#caughtUp();
    // Asked for again: what happened while the live values were read counts.
    const changed = this.#changes.upTo(snapshot, plannedAt, entries.length);
    const listed = entries.map(({ name, file, type, attributes: live }) => {
      const undo = this.#attributesUndo(file, snapshot, changed);
      const attributes = undo ?? live ?? gone.get(file) ?? lostAttributes(type);
      return { name, file, type, attributes, plan: type === regularType ? this.#planListed(snapshot, file, undo, lsn(plannedAt), changed) : undefined };
    });
    return this.#floors.areNone() ? listed : listed.filter(({ file }) => !this.#floors.hides(file, snapshot));
  }

  /** Throws VolumeError ENOENT for a file that is gone for good. */
  async attributes(snapshot: number, file: FileId): Promise<Buffer> {
    await this.#caughtUp();
    const undo = this.#attributesUndo(file, snapshot);
    this.refuseBelowFloor(file, snapshot);
    if (undo !== undefined) return undo;
    const live = ifThere(() => this.#native.stat(file, this.#paths.hint(file)));
    await this.#caughtUp();
    const found = this.#attributesUndo(file, snapshot) ?? live;
    this.refuseBelowFloor(file, snapshot);
    if (found === undefined) throw new VolumeError('ENOENT', 'the file is gone: it was removed while the volume was not mounted');
    return found;
  }

  async xattrs(snapshot: number, file: FileId): Promise<Xattr[]> {
    const live = ifThere(() => this.#native.xattrs(file, this.#paths.hint(file))) ?? [];
    await this.#caughtUp();
    const found = new Map(live.map((xattr) => [xattr.name.toString('latin1'), xattr]));
    for (const { name, value } of this.#xattrUndos(file, snapshot)) {
      if (value === undefined) found.delete(name.toString('latin1'));
      else found.set(name.toString('latin1'), { name, value });
    }
    this.refuseBelowFloor(file, snapshot);
    return [...found.values()];
  }

  /** A symlink's target never changes: it is made with it. */
  readLink(file: FileId): Buffer {
    return this.#native.readLink(file, this.#paths.hint(file));
  }

  /** To be called after what is shown was read: throws VolumeError ENOENT when the snapshot shows nothing of the file any more. */
  refuseBelowFloor(file: FileId, snapshot: number): void {
    if (this.#floors.hides(file, snapshot)) throw new VolumeError('ENOENT', 'of this file only what is younger is kept, by the policy of the volume');
  }

  /** The attributes that a file had before a transaction changed it; undefined when the index has none. */
  attributesBefore(file: FileId, txid: number): Buffer | undefined {
    return this.#index.get(fileTxidKey(table.attributes, file, txid));
  }

  /** `undo`: the file's attributes, when they were saved after the snapshot; whoever changes bytes has saved them before. */
  #planListed(snapshot: number, file: FileId, undo: Buffer | undefined, plannedAt: Lsn, changed: ChangedSince | undefined): ListedEntry['plan'] {
    const hasOtherBytes = undo !== undefined && (changed?.isDataChanged(file) ?? isDataChanged(this.#index, file, snapshot));
    if (!hasOtherBytes) return { file, plannedAt };
    const size = sizeInAttributes(undo);
    return size > smallFileBytes ? undefined : { file, plannedAt, pieces: planChanged(this.#index, file, snapshot, Number(size)) };
  }

  #withoutStore(directory: FileId, entries: readonly DirectoryEntry[]): readonly DirectoryEntry[] {
    return directory === this.#native.rootId ? entries.filter(({ name }) => !name.equals(storeNameBytes)) : entries;
  }

  /** `changed`: what is known of the time since the snapshot, if it is. */
  #attributesUndo(file: FileId, snapshot: number, changed?: ChangedSince): Buffer | undefined {
    if (changed === undefined) return this.#index.atOrAfter(fileTxidKey(table.attributes, file, snapshot + 1), filePrefix)?.value;
    const txid = changed.attributesTxid(file);
    if (txid === undefined) return undefined;
    // It may have merged into a later one meanwhile.
    return this.#index.get(fileTxidKey(table.attributes, file, txid)) ?? this.#attributesUndo(file, txid);
  }

  /** The earliest entry above the snapshot of each attribute. */
  * #xattrUndos(file: FileId, snapshot: number): Generator<{ name: Buffer; value: Buffer | undefined }> {
    let known: Buffer | undefined;
    let from = fileKey(table.xattr, file);
    for (;;) {
      const entry = this.#index.atOrAfter(from, filePrefix);
      if (entry === undefined) return;
      const name = nameInKey(entry.key);
      const counts = txidAtEnd(entry.key) > snapshot && known?.equals(name) !== true;
      if (counts) {
        known = Buffer.from(name);
        yield { name: known, value: entry.value[0] === 0 ? undefined : entry.value.subarray(1) };
      }
      from = namedKey(table.xattr, file, name, counts || known?.equals(name) === true ? Number.MAX_SAFE_INTEGER : snapshot + 1);
    }
  }

  #isStore(directory: FileId, name: Buffer): boolean {
    return directory === this.#native.rootId && name.equals(storeNameBytes);
  }
}

/** The names of a directory as they were, with the attributes of now for what stands there now. */
function namesThen(live: readonly DirectoryEntry[], undos: readonly NameUndo[]): readonly NamedThen[] {
  if (undos.length === 0) return live;
  const entries = new Map<string, NamedThen>();
  for (const entry of live) entries.set(entry.name.toString('latin1'), entry);
  for (const { name, before, typeBefore } of undos) {
    const text = name.toString('latin1');
    if (before === 0n) entries.delete(text);
    else entries.set(text, { name, file: before, type: typeBefore });
  }
  return [...entries.values()];
}

/** What a call into the live tree gives; undefined when the file is neither there nor in objects/. */
function ifThere<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESTALE' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function childPath(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name]);
}

/** Stands for a file that left the tree while nothing was mounted: its name is known, nothing else. */
function lostAttributes(type: number): Buffer {
  const packed = Buffer.alloc(attributesBytes);
  packed.writeUInt32LE(type, 0);
  return packed;
}
