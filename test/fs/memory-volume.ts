/**
 * A small volume in memory: a live tree that tests change, and complete copies of it as snapshots. It implements what fs/ needs of the engine
 * and of the addon, by the plainest means there are, so that it can serve as the model of what must be shown.
 */
import { constants } from 'node:fs';
import { constants as os } from 'node:os';
import { MomentError } from '../../engine/errors.js';
import type { Caller, FileId, Lsn, LogState, Plan, Txid } from '../../native/types.js';
import type { DeletedContents, ListedEntry, ResolvedEntry, Transaction } from '../../engine/types.js';
import type { SnapshotHistory, SnapshotNative } from '../../fs/request-parts.js';

export interface MemoryFile {
  mode: number;
  uid: number;
  gid: number;
  xattrs: Map<string, Buffer>;
  /** Names as latin1. */
  entries: Map<string, FileId>;
  data: string;
}

type Tree = Map<FileId, MemoryFile>;

export const rootId = 2n as FileId;
const { S_IFDIR, S_IFMT, S_IFREG, S_IFLNK } = constants;

function fault(code: string): Error {
  return Object.assign(new Error(code), { code });
}

export class MemoryVolume implements SnapshotHistory, SnapshotNative {
  readonly rootId = rootId;
  readonly excludes: readonly string[] = [];
  tree: Tree = new Map([[rootId, newFile(S_IFDIR | 0o755, 0, '')]]);
  objects = new Set<FileId>();
  snapshots = new Map<Txid, { tree: Tree; timeNs: bigint }>();
  pinned: { name: string; txid: Txid; timeNs: bigint; madeAtNs: bigint }[] = [];
  settledCount = 0;
  /** What each directory lost, newest first, and what is below it. */
  lost = new Map<FileId, DeletedContents>();
  readonly bin = { deletedIn: (directory: FileId): Promise<DeletedContents> => Promise.resolve(this.lost.get(directory) ?? { deleted: [], below: [] }) };
  /** Called by each asynchronous query, to make faults. */
  onQuery: (name: string) => void = () => undefined;
  #lastFile = 2n;
  #lastTxid = 0n;
  /** Names have changed since the last transaction ended. */
  #isOpen = false;

  // The live tree, as tests change it.

  add(directory: FileId, name: string, file: Partial<MemoryFile> & { mode: number }): FileId {
    const id = ++this.#lastFile as FileId;
    this.tree.set(id, { ...newFile(file.mode, 0, ''), ...file });
    this.live(directory).entries.set(name, id);
    this.#isOpen = true;
    return id;
  }

  addDirectory(directory: FileId, name: string, mode = 0o755, uid = 0): FileId {
    return this.add(directory, name, { mode: S_IFDIR | mode, uid });
  }

  addFile(directory: FileId, name: string, data: string, mode = 0o644, uid = 0): FileId {
    return this.add(directory, name, { mode: S_IFREG | mode, uid, data });
  }

  addLink(directory: FileId, name: string, target: string): FileId {
    return this.add(directory, name, { mode: S_IFLNK | 0o777, data: target });
  }

  remove(directory: FileId, name: string): void {
    const file = this.live(directory).entries.get(name);
    if (file === undefined) throw fault('ENOENT');
    this.live(directory).entries.delete(name);
    this.objects.add(file);
    this.#isOpen = true;
  }

  rename(directory: FileId, name: string, target: FileId, targetName: string): void {
    const file = this.live(directory).entries.get(name);
    if (file === undefined) throw fault('ENOENT');
    this.live(directory).entries.delete(name);
    this.live(target).entries.set(targetName, file);
    this.#isOpen = true;
  }

  live(file: FileId): MemoryFile {
    const found = this.tree.get(file);
    if (found === undefined) throw fault('ENOENT');
    return found;
  }

  /** Ends a transaction at a time. */
  commit(timeNs: bigint): Txid {
    const txid = ++this.#lastTxid as Txid;
    const tree: Tree = new Map();
    for (const [id, file] of this.tree) tree.set(id, { ...file, xattrs: new Map(file.xattrs), entries: new Map(file.entries) });
    this.snapshots.set(txid, { tree, timeNs });
    this.#isOpen = false;
    return txid;
  }

  // SnapshotHistory

  async caughtUp(): Promise<Lsn> {
    this.onQuery('caughtUp');
    return 0n as Lsn;
  }

  async settled(): Promise<Transaction> {
    this.settledCount++;
    if (this.#isOpen) this.commit(BigInt(Date.now()) * 1_000_000n);
    const transaction = this.transaction(this.#lastTxid as Txid);
    if (transaction === undefined) throw fault('EIO');
    return transaction;
  }

  async lookup(snapshot: Txid, directory: FileId, name: Buffer): Promise<ResolvedEntry | undefined>;
  lookup(directory: FileId, path: Buffer | null, name: Buffer): { file: FileId; type: number } | undefined;
  lookup(first: Txid | FileId, second: FileId | Buffer | null, name: Buffer): unknown {
    if (typeof second === 'bigint') {
      this.onQuery('lookup');
      return Promise.resolve(this.#entry(this.#at(first as Txid), second, name));
    }
    return this.#entry(this.tree, first as FileId, name);
  }

  async list(snapshot: Txid, directory: FileId): Promise<ListedEntry[]> {
    this.onQuery('list');
    const tree = this.#at(snapshot);
    return [...(tree.get(directory)?.entries ?? [])].map(([name, file]) => {
      const found = tree.get(file) ?? this.live(file);
      return { name: Buffer.from(name, 'latin1'), file, type: found.mode & S_IFMT, attributes: packed(found), plan: undefined };
    });
  }

  async attributes(snapshot: Txid, file: FileId): Promise<Buffer> {
    this.onQuery('attributes');
    return packed(this.#then(snapshot, file));
  }

  async readLink(file: FileId): Promise<Buffer> {
    this.onQuery('readLink');
    return Buffer.from(this.live(file).data);
  }

  xattrs(snapshot: Txid, file: FileId): Promise<{ name: Buffer; value: Buffer }[]>;
  xattrs(file: FileId, path: Buffer | null): { name: Buffer; value: Buffer }[];
  xattrs(first: Txid | FileId, second: FileId | Buffer | null): unknown {
    const isThen = typeof second === 'bigint';
    const found = isThen ? this.#then(first as Txid, second) : this.live(first as FileId);
    const list = [...found.xattrs].map(([name, value]) => ({ name: Buffer.from(name), value }));
    if (isThen) this.onQuery('xattrs');
    return isThen ? Promise.resolve(list) : list;
  }

  async plan(snapshot: Txid, file: FileId, given?: bigint): Promise<Plan> {
    this.onQuery('plan');
    const size = given ?? BigInt(this.#then(snapshot, file).data.length);
    return { file, size, pieces: BigUint64Array.from([0n, size, 2n, 0n]), plannedAt: 0n as Lsn };
  }

  async resolvePath(snapshot: Txid, path: Buffer): Promise<ResolvedEntry | undefined> {
    let found: ResolvedEntry | undefined = { name: Buffer.alloc(0), file: rootId, type: S_IFDIR };
    for (const name of path.toString('latin1').split('/').filter(Boolean)) {
      found = found && this.#entry(this.#at(snapshot), found.file, Buffer.from(name, 'latin1'));
    }
    return found;
  }

  pathOf(snapshot: Txid, file: FileId): Buffer | undefined {
    const path = pathIn(this.#at(snapshot), file);
    return path === undefined ? undefined : Buffer.from(`/${path}`, 'latin1');
  }

  pathHint(file: FileId): Buffer | null {
    const path = pathIn(this.tree, file);
    return path === undefined ? null : Buffer.from(path, 'latin1');
  }

  transaction(txid: Txid): Transaction | undefined {
    const snapshot = this.snapshots.get(txid);
    if (snapshot === undefined) return undefined;
    return { txid, timeNs: snapshot.timeNs, uid: 0, gid: 0, pid: 1, command: 'test', reason: 'name', external: false, recovered: false, quiescent: false };
  }

  parseMoment(text: string): Txid {
    const pin = this.pinned.find(({ name }) => name === text);
    if (pin !== undefined) return pin.txid;
    if (text === '5m') return this.#lastTxid as Txid;
    const txid = /^txn-(\d+)$/.exec(text)?.[1];
    if (txid !== undefined && this.snapshots.has(BigInt(txid) as Txid)) return BigInt(txid) as Txid;
    const startMs = Date.parse(text.replace(/T(\d\d)-(\d\d)-(\d\d)/, 'T$1:$2:$3'));
    if (Number.isNaN(startMs)) throw new MomentError('unreadable', `cannot read the moment "${text}"`);
    const untilNs = BigInt(startMs + 999) * 1_000_000n;
    const before = [...this.snapshots].filter(([, { timeNs }]) => timeNs <= untilNs).map(([id]) => id);
    const last = before.at(-1);
    if (last === undefined) throw new MomentError('too-old', 'before the oldest moment');
    return last;
  }

  snapshotNames(): { name: string; txid: Txid; timeNs: bigint }[] {
    const moments = [...this.snapshots].map(([txid, { timeNs }]) => ({ name: nameOfTime(timeNs), txid, timeNs }));
    return [...moments, ...this.pinned].reverse();
  }

  oldestNs(): bigint {
    return 1_000_000_000n;
  }

  pins(): typeof this.pinned {
    return this.pinned;
  }

  // SnapshotNative

  logState(): LogState {
    const ended = this.#lastTxid as Txid;
    return { end: 0n as Lsn, recordCount: 0, durable: 0n as Lsn, ended, endedTimeNs: this.snapshots.get(ended)?.timeNs ?? 0n };
  }

  access(file: FileId, _path: Buffer | null, caller: Caller, mask: number): number {
    const found = this.live(file);
    if (!allows(found, caller, mask)) return os.errno.EACCES;
    for (let parent = this.#parentOf(file); parent !== undefined; parent = this.#parentOf(parent)) {
      if (!allows(this.live(parent), caller, 1)) return os.errno.EACCES;
    }
    return 0;
  }

  stat(file: FileId): Buffer {
    return packed(this.live(file));
  }

  isObject(file: FileId): boolean {
    return this.objects.has(file);
  }

  #parentOf(file: FileId): FileId | undefined {
    return [...this.tree].find(([, { entries }]) => [...entries.values()].includes(file))?.[0];
  }

  #at(snapshot: Txid): Tree {
    const found = this.snapshots.get(snapshot);
    if (found === undefined) throw fault('ENOENT');
    return found.tree;
  }

  #then(snapshot: Txid, file: FileId): MemoryFile {
    // As in the engine, what no record tells is as it is now: whether a file existed is known by its names alone.
    return this.#at(snapshot).get(file) ?? this.live(file);
  }

  #entry(tree: Tree, directory: FileId, name: Buffer): ResolvedEntry | undefined {
    const file = tree.get(directory)?.entries.get(name.toString('latin1'));
    if (file === undefined) return undefined;
    return { name, file, type: (tree.get(file)?.mode ?? 0) & S_IFMT };
  }
}

/** "@2026-11-22T07-00-00Z" without the "@". */
export function nameOfTime(timeNs: bigint): string {
  return `${new Date(Number(timeNs / 1_000_000n)).toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
}

function newFile(mode: number, uid: number, data: string): MemoryFile {
  return { mode, uid, gid: uid, xattrs: new Map(), entries: new Map(), data };
}

function packed(file: MemoryFile): Buffer {
  const attributes = Buffer.alloc(80);
  attributes.writeUInt32LE(file.mode, 0);
  attributes.writeUInt32LE(file.uid, 4);
  attributes.writeUInt32LE(file.gid, 8);
  attributes.writeUInt32LE(1, 12);
  attributes.writeBigUInt64LE(BigInt(file.data.length), 24);
  return attributes;
}

function pathIn(tree: Tree, file: FileId): string | undefined {
  if (file === rootId) return '';
  for (const [directory, { entries }] of tree) {
    for (const [name, child] of entries) {
      if (child !== file) continue;
      const above = pathIn(tree, directory);
      if (above !== undefined) return above === '' ? name : `${above}/${name}`;
    }
  }
  return undefined;
}

function allows(file: MemoryFile, caller: Caller, mask: number): boolean {
  const shift = caller.uid === file.uid ? 6 : caller.gid === file.gid ? 3 : 0;
  return (((file.mode >> shift) & 7) & mask) === mask;
}
