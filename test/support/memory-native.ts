/**
 * The addon's NativeVolume over a tree in memory, with capture as the design says, for tests of the engine alone: every change first
 * writes its undo records. The log lies in real segment files, since the indexer's thread reads those.
 *
 * Invariants:
 * 1. No name, byte or attribute changes before its pre-image of this transaction is in the log.
 * 2. An END is sometimes written only after records of the next transaction, and blocks are sometimes saved twice in one transaction
 *    and in any size class: readers must cope with all of it.
 */
import { endReasons, encodeEnd, encodeName, encodePin, encodePlace, encodeXattr, nameOperation } from '../../engine/log-bodies.js';
import { recordType, sizeClassBytes } from '../../engine/log-format.js';
import type { NativeAddon, NativeVolume } from '../../engine/native.js';
import { crc32c } from '../../engine/crc32c.js';
import { lsn, txid as toTxid } from '../../engine/ids.js';
import type { FileId, LogState, Lsn, RecoveryReport, Txid } from '../../engine/types.js';
import { LogWriter } from './log-writer.js';
import type { MemoryInode } from './memory-tree.js';
import type { Random } from './seed.js';
import { MemoryReader } from './memory-reader.js';

const blockBytes = 4096;
const ofVolume = { file: 0n as FileId, offset: 0n, size: 0n, flags: 0, aux: 0 };

export class MemoryNative extends MemoryReader implements NativeVolume {
  recovery: RecoveryReport = { clean: true, tornBytes: 0, recoveredCount: 0, damagedAt: [], replayed: [], lastTimeNs: 0n };
  /** The transaction that is open. */
  txid = 1;
  /** The last that has its END. */
  ended = 0;
  timeNs: bigint;
  #endedTimeNs = 0n;
  readonly #random: Random;
  /** Undo records of the open transaction, so that the first one counts and no more are written. */
  #captured = new Set<string>();
  /** Whose changes these are; END tells those of the barrier. */
  actor: { uid: number; gid: number; pid: number; command: string; flags?: number } | undefined;
  readonly #placed = new Set<FileId>();
  #pendingEnds: { txid: number; timeNs: bigint; reason: number; actor: MemoryNative['actor'] }[] = [];
  /** Parents and names by file, for PLACE records. */
  readonly #places = new Map<FileId, { parent: FileId; name: string }>();
  readonly #logDirectory: string;

  constructor(logDirectory: string, random: Random, startNs: bigint) {
    super(new LogWriter(logDirectory, 256 * 1024));
    this.#logDirectory = logDirectory;
    this.#random = random;
    this.timeNs = startNs;
  }

  /** Something to hand to Volume.open. */
  addon(): NativeAddon {
    const openVolume = (): NativeVolume => {
      this.recovery = { ...this.recovery, lastTimeNs: this.#endedTimeNs };
      return this;
    };
    return { openVolume, crc32c, changedSince: async () => [], setThreadIdle: () => undefined, releaseMapped: () => undefined } as unknown as NativeAddon;
  }

  // Changes

  create(directory: MemoryInode, name: string, mode: number, operation: number = nameOperation.create): MemoryInode {
    this.#saveAttributes(directory);
    const inode = this.tree.make(mode, this.#tick());
    this.#name(directory, name, undefined, inode, operation);
    this.#link(directory, name, inode);
    if (this.tree.isDirectory(inode)) {
      inode.nlink = 2;
      directory.nlink++;
    }
    // What is made in this transaction has no state before it.
    this.#captured.add(`A${inode.file}`);
    return inode;
  }

  link(directory: MemoryInode, name: string, inode: MemoryInode): void {
    this.#saveAttributes(directory);
    this.#saveAttributes(inode);
    this.#name(directory, name, undefined, inode, nameOperation.link);
    this.#link(directory, name, inode);
    inode.ctimeNs = this.#tick();
  }

  unlink(directory: MemoryInode, name: string): void {
    const inode = this.tree.get(directory.names.get(name)!);
    this.#saveAttributes(directory);
    this.#saveAttributes(inode);
    this.#name(directory, name, inode, undefined, this.tree.isDirectory(inode) ? nameOperation.rmdir : nameOperation.unlink);
    this.#unlink(directory, name, inode);
    if (this.tree.isDirectory(inode)) [inode.nlink, directory.nlink] = [0, directory.nlink - 1];
  }

  rename(source: MemoryInode, from: string, target: MemoryInode, to: string): void {
    const inode = this.tree.get(source.names.get(from)!);
    const replacedId = target.names.get(to);
    const replaced = replacedId === undefined ? undefined : this.tree.get(replacedId);
    if (replaced === inode) return;
    for (const touched of [source, target, inode, replaced]) if (touched !== undefined) this.#saveAttributes(touched);
    this.#name(source, from, inode, undefined, nameOperation.renameAway);
    this.#name(target, to, replaced, inode, nameOperation.renameTo);
    if (replaced !== undefined) this.#unlink(target, to, replaced);
    if (replaced !== undefined && this.tree.isDirectory(replaced)) [replaced.nlink, target.nlink] = [0, target.nlink - 1];
    this.#unlink(source, from, inode);
    this.#link(target, to, inode);
    if (this.tree.isDirectory(inode) && source !== target) [source.nlink, target.nlink] = [source.nlink - 1, target.nlink + 1];
    inode.ctimeNs = this.#tick();
  }

  exchange(first: MemoryInode, a: string, second: MemoryInode, b: string): void {
    const one = this.tree.get(first.names.get(a)!);
    const two = this.tree.get(second.names.get(b)!);
    if (one === two) return;
    for (const touched of [first, second, one, two]) this.#saveAttributes(touched);
    this.#name(first, a, one, two, nameOperation.exchange);
    this.#name(second, b, two, one, nameOperation.exchange);
    this.#unlink(first, a, one);
    this.#unlink(second, b, two);
    this.#link(first, a, two);
    this.#link(second, b, one);
  }

  write(inode: MemoryInode, offset: number, bytes: Buffer): void {
    this.#saveAttributes(inode);
    this.#saveData(inode, offset, offset + bytes.length);
    const content = Buffer.alloc(Math.max(inode.content.length, offset + bytes.length));
    inode.content.copy(content);
    bytes.copy(content, offset);
    inode.content = content;
    inode.mtimeNs = inode.ctimeNs = this.#tick();
  }

  truncate(inode: MemoryInode, size: number): void {
    this.#saveAttributes(inode);
    this.#saveData(inode, size, inode.content.length);
    const content = Buffer.alloc(size);
    inode.content.copy(content);
    inode.content = content;
    inode.mtimeNs = inode.ctimeNs = this.#tick();
  }

  change(inode: MemoryInode, mode: number, uid: number): void {
    this.#saveAttributes(inode);
    inode.mode = (inode.mode & ~0o7777) | mode;
    inode.uid = uid;
    inode.ctimeNs = this.#tick();
  }

  setXattr(inode: MemoryInode, name: string, value: Buffer | undefined): void {
    this.#saveAttributes(inode);
    if (this.#first(`X${inode.file}/${name}`)) {
      const bytes = Buffer.from(name);
      this.#append(recordType.xattr, inode.file, bytes.length, encodeXattr(bytes, inode.xattrs.get(name)));
    }
    if (value === undefined) inode.xattrs.delete(name);
    else inode.xattrs.set(name, value);
    inode.ctimeNs = this.#tick();
  }

  /** Ends the open transaction if it has changes; its END may come a little later. */
  barrier(reason: (typeof endReasons)[number] = 'sync'): void {
    if (this.#captured.size === 0) return;
    this.#pendingEnds.push({ txid: this.txid++, timeNs: this.#tick(), reason: endReasons.indexOf(reason), actor: this.actor });
    this.#captured = new Set();
    if (!this.#random.oneIn(4)) this.writeEnds();
  }

  writeEnds(): void {
    for (const { txid, timeNs, reason, actor } of this.#pendingEnds) {
      const end = { uid: 1000, gid: 100, pid: txid, flags: 0, command: 'model', ...actor };
      const body = encodeEnd({ timeNs, reason, ...end });
      this.log.append({ type: recordType.end, flags: 0, aux: Buffer.byteLength(end.command), file: 0n as FileId, txid: BigInt(txid), offset: 0n, size: 0n }, body);
      this.ended = txid;
      this.#endedTimeNs = timeNs;
    }
    this.#pendingEnds = [];
  }

  // NativeVolume

  logState(): LogState {
    return { end: lsn(this.log.end), recordCount: this.log.recordCount, durable: lsn(this.log.end), ended: toTxid(this.ended), endedTimeNs: this.#endedTimeNs };
  }

  async settle(): Promise<LogState> {
    this.barrier('query');
    this.writeEnds();
    return this.logState();
  }

  async syncLog(): Promise<void> {}
  packableBelow = (): Lsn => lsn(0);
  async replaceSegment(): Promise<void> {}
  holdTransaction(): void {}
  releaseTransaction(): void {}

  async appendPin(name: Buffer, txid: Txid, removed: boolean): Promise<void> {
    this.log.append({ ...ofVolume, type: recordType.pin, txid, flags: removed ? 1 : 0, aux: name.length }, encodePin(this.#tick(), name));
  }

  async appendKept(horizon: Txid, parts: readonly Buffer[]): Promise<void> {
    parts.forEach((body, aux) => this.log.append({ ...ofVolume, type: recordType.kept, txid: horizon, flags: aux + 1 < parts.length ? 1 : 0, aux }, body));
  }

  async appendFloors(txids: readonly Txid[], bodies: readonly Buffer[]): Promise<void> {
    bodies.forEach((body, index) => this.log.append({ ...ofVolume, type: recordType.floor, txid: txids[index]! }, body));
  }

  async appendExternal(): Promise<Txid> {
    throw new Error('nothing changes this tree past its own methods');
  }

  mount(): never {
    throw new Error(`nothing mounts ${this.#logDirectory}`);
  }

  async close(): Promise<void> {
    this.log.close();
  }

  // Capture

  #saveAttributes(inode: MemoryInode): void {
    if (!this.#first(`A${inode.file}`)) return;
    this.#place(inode.file);
    this.#append(recordType.attributes, inode.file, 0, this.tree.packed(inode));
  }

  #name(directory: MemoryInode, name: string, before: MemoryInode | undefined, after: MemoryInode | undefined, operation: number): void {
    this.#captured.add(`N${directory.file}/${name}`);
    const bytes = Buffer.from(name);
    const body = encodeName({
      before: before?.file ?? (0n as FileId), after: after?.file ?? (0n as FileId),
      typeBefore: before === undefined ? 0 : this.tree.type(before), typeAfter: after === undefined ? 0 : this.tree.type(after), operation, name: bytes,
    });
    this.#append(recordType.name, directory.file, bytes.length, body);
  }

  /** Saves the blocks of [start, end) in a size class chosen by chance; some of them once more. */
  #saveData(inode: MemoryInode, start: number, end: number): void {
    const size = inode.content.length;
    for (let at = start; at < Math.min(end, size);) {
      const sizeClass = this.#random.pick([0, 0, 0, 1, 1, 2]);
      const classBytes = sizeClassBytes[sizeClass]!;
      const offset = at - at % classBytes;
      const blocks: string[] = [];
      for (let block = offset; block < Math.min(offset + classBytes, size); block += blockBytes) blocks.push(`D${inode.file}/${block}`);
      const isSaved = blocks.every((block) => this.#captured.has(block));
      if (!isSaved || this.#random.oneIn(8)) this.#saveBlock(inode, sizeClass, offset, Math.min(classBytes, size - offset));
      for (const block of blocks) this.#captured.add(block);
      at = offset + classBytes;
    }
  }

  #saveBlock(inode: MemoryInode, sizeClass: number, offset: number, length: number): void {
    const bytes = inode.content.subarray(offset, offset + length);
    this.bytesSavedAt.set(inode.file, this.log.end);
    if (bytes.every((byte) => byte === 0)) this.#append(recordType.hole, inode.file, sizeClass, Buffer.alloc(0), offset, length);
    else this.#append(recordType.extent, inode.file, sizeClass, bytes, offset, length);
  }

  #first(key: string): boolean {
    if (this.#captured.has(key)) return false;
    this.#captured.add(key);
    return true;
  }

  #place(file: FileId): void {
    const place = this.#places.get(file);
    if (this.#placed.has(file) || place === undefined) return;
    this.#placed.add(file);
    this.#place(place.parent);
    const name = Buffer.from(place.name);
    this.#append(recordType.place, file, name.length, encodePlace({ parent: place.parent, type: this.tree.type(this.tree.get(file)), name }));
  }

  #append(type: number, file: FileId, aux: number, body: Buffer, offset = 0, size = 0): void {
    this.log.append({ type, flags: 0, aux, file, txid: BigInt(this.txid), offset: BigInt(offset), size: BigInt(size) }, body);
    if (this.#pendingEnds.length > 0 && this.#random.oneIn(2)) this.writeEnds();
  }

  #link(directory: MemoryInode, name: string, inode: MemoryInode): void {
    directory.names.set(name, inode.file);
    inode.nlink++;
    this.#places.set(inode.file, { parent: directory.file, name });
    directory.mtimeNs = directory.ctimeNs = this.#tick();
  }

  #unlink(directory: MemoryInode, name: string, inode: MemoryInode): void {
    directory.names.delete(name);
    inode.nlink--;
    inode.ctimeNs = this.#tick();
    directory.mtimeNs = directory.ctimeNs = this.#tick();
  }

  #tick(): bigint {
    this.timeNs += BigInt(1_000_000 + this.#random.below(400_000_000));
    return this.timeNs;
  }
}
