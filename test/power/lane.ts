/**
 * One lane of the workload: changes to the files of one directory, one after the other, through the mount, each written down with what it
 * promised. In: a directory below a mount, randomness. Out: a LaneWitness.
 *
 * Invariants:
 * 1. What is written down as promised had been promised: the system call had returned 0.
 * 2. No two writes write the same bytes.
 * 3. Every operation closes what it opens, or syncs what is held open. So the daemon has all bytes of those before it, on the disk or not.
 */
import { chmod, link, mkdir, open, rename, rmdir, stat, truncate, unlink, utimes } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { runWell } from '../support/processes.js';
import type { Random } from '../support/seed.js';
import { HeldFiles } from './held.js';
import { directoryOf, isOnDisk, logSyncBegins, nodeOf } from './witness.js';
import type { Surroundings } from './surroundings.js';
import type { Attributes, LaneWitness, Node, Operation, Sync } from './witness.js';

export type Syncing = 'none' | 'data' | 'full';

/** What was done to a file in one operation. */
interface Change {
  readonly node: Node;
  readonly versions: readonly { readonly bytes?: Buffer; readonly mode?: number; readonly waited?: boolean }[];
  readonly sync: Omit<Sync, 'op'> | undefined;
}

export class LaneWork {
  readonly #around: Surroundings;
  readonly #lane: LaneWitness;
  readonly #root: string;
  readonly #random: Random;
  readonly #held = new HeldFiles();

  /** `root`: the lane's directory in the mount. */
  constructor(around: Surroundings, lane: LaneWitness, root: string, random: Random) {
    this.#around = around;
    this.#lane = lane;
    this.#root = root;
    this.#random = random;
  }

  /** Paths that lead to something now, from the lane's directory. */
  paths(kind: Node['kind']): string[] {
    return [...this.#lane.names.keys()].filter((path) => this.#at(path)?.kind === kind);
  }

  isFree(path: string): boolean {
    return this.#at(path) === undefined;
  }

  sizeOf(path: string): number {
    return this.#bytesOf(this.#file(path)).length;
  }

  async create(path: string, length: number, syncing: Syncing): Promise<void> {
    await this.#perform(`create ${path}, ${length} bytes, sync ${syncing}`, path, this.#syncsLog(path, syncing), async (op) => {
      const bytes = this.#random.bytes(length);
      const node: Node = { id: this.#lane.nodes.length, kind: 'file', versions: [], syncs: [] };
      this.#lane.nodes.push(node);
      const sync = await this.#withFile(path, 'wx', syncing, (file) => file.write(bytes, 0, length, 0));
      this.#name(path, node.id, op);
      this.#changed(op, { node, versions: [{ bytes: Buffer.alloc(0), mode: 0o644 }, { bytes }], sync });
    });
  }

  /** Writes `length` fresh bytes over or behind what is there. */
  async write(path: string, offset: number, length: number, syncing: Syncing): Promise<void> {
    await this.#perform(`write ${path} from ${offset}, ${length} bytes, sync ${syncing}`, path, this.#syncsLog(path, syncing), async (op) => {
      const node = this.#file(path);
      const old = this.#bytesOf(node);
      let written = this.#random.bytes(length);
      // What is the same needs no record, and a sync of it would not sync the log.
      while (written.equals(old.subarray(offset, offset + length))) written = this.#random.bytes(length);
      const bytes = Buffer.alloc(Math.max(old.length, offset + length));
      old.copy(bytes);
      written.copy(bytes, offset);
      const sync = await this.#withFile(path, 'r+', syncing, (file) => file.write(written, 0, length, offset));
      this.#changed(op, { node, versions: [{ bytes }], sync });
    });
  }

  /** Keeps a file open meanwhile by so many handles: writes to it go through any of them, and have to be synced. */
  async holdOpen(path: string, handleCount: number, act: () => Promise<void>): Promise<void> {
    await this.#held.during(this.#file(path).id, handleCount, () => open(this.#path(path), 'r+'), act);
  }

  /** As an editor that opens with O_TRUNC. */
  async rewrite(path: string, length: number, syncing: Syncing): Promise<void> {
    await this.#perform(`rewrite ${path}, ${length} bytes, sync ${syncing}`, path, this.#syncsLog(path, syncing), async (op) => {
      const bytes = this.#random.bytes(length);
      const sync = await this.#withFile(path, 'w', syncing, (file) => file.write(bytes, 0, length, 0));
      this.#changed(op, { node: this.#file(path), versions: [{ bytes: Buffer.alloc(0) }, { bytes }], sync });
    });
  }

  async truncate(path: string, length: number): Promise<void> {
    await this.#perform(`truncate ${path} to ${length}`, path, false, async (op) => {
      const node = this.#file(path);
      const bytes = Buffer.alloc(length);
      this.#bytesOf(node).copy(bytes);
      await truncate(this.#path(path), length);
      this.#changed(op, { node, versions: [{ bytes }], sync: undefined });
    });
  }

  async punch(path: string, offset: number, length: number): Promise<void> {
    await this.#perform(`punch ${path} from ${offset}, ${length} bytes`, path, false, async (op) => {
      const node = this.#file(path);
      const bytes = Buffer.from(this.#bytesOf(node));
      bytes.fill(0, offset, offset + length);
      await runWell(this.#around.punchProgram, [this.#path(path), `${offset}`, `${length}`]);
      this.#changed(op, { node, versions: [{ bytes }], sync: undefined });
    });
  }

  async chmod(path: string, mode: number): Promise<void> {
    await this.#perform(`chmod ${path} ${mode.toString(8)}`, path, false, async (op) => {
      await chmod(this.#path(path), mode);
      const node = this.#file(path);
      this.#changed(op, { node, versions: [{ mode, waited: isOnDisk(node) }], sync: undefined });
    });
  }

  /** As whoever copies a file with its attributes: first the times, then the mode. */
  async touchAndChmod(path: string, mode: number): Promise<void> {
    await this.#perform(`touch and chmod ${path} ${mode.toString(8)}`, path, false, async (op) => {
      const seconds = this.#random.below(2 ** 31);
      await utimes(this.#path(path), seconds, seconds);
      await chmod(this.#path(path), mode);
      const node = this.#file(path);
      // Times do not wait.
      this.#changed(op, { node, versions: [{}, { mode, waited: isOnDisk(node) }], sync: undefined });
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#perform(`rename ${from} to ${to}`, directoryOf(to), false, async (op) => {
      const node = this.#file(from);
      const replaced = this.#at(to);
      await rename(this.#path(from), this.#path(to));
      // Two names of one file: rename(2) does nothing.
      if (replaced?.id === node.id) return;
      const waited = isOnDisk(node) || (replaced !== undefined && isOnDisk(replaced));
      this.#name(from, undefined, op, waited);
      this.#name(to, node.id, op, waited);
    });
  }

  async link(from: string, to: string): Promise<void> {
    await this.#perform(`link ${from} as ${to}`, directoryOf(to), false, async (op) => {
      await link(this.#path(from), this.#path(to));
      this.#name(to, this.#file(from).id, op);
    });
  }

  async unlink(path: string): Promise<void> {
    await this.#perform(`unlink ${path}`, directoryOf(path), false, async (op) => {
      const node = this.#file(path);
      await unlink(this.#path(path));
      const isLast = this.paths('file').filter((other) => this.#at(other)?.id === node.id).length === 1;
      // Who loses his last name takes it along.
      this.#name(path, undefined, op, isLast && isOnDisk(node));
    });
  }

  async mkdir(path: string): Promise<void> {
    await this.#perform(`mkdir ${path}`, directoryOf(path), false, async (op) => {
      await mkdir(this.#path(path));
      this.#lane.nodes.push({ id: this.#lane.nodes.length, kind: 'directory', versions: [], syncs: [] });
      this.#name(path, this.#lane.nodes.length - 1, op);
    });
  }

  async rmdir(path: string): Promise<void> {
    await this.#perform(`rmdir ${path}`, directoryOf(path), false, async (op) => {
      await rmdir(this.#path(path));
      this.#name(path, undefined, op);
    });
  }

  async syncFile(path: string, syncing: Exclude<Syncing, 'none'>): Promise<void> {
    await this.#perform(`sync ${path} ${syncing}`, path, false, async (op) => {
      const sync = await this.#withFile(path, 'r', syncing, async () => undefined);
      if (sync !== undefined) this.#file(path).syncs.push({ op, ...sync });
    });
  }

  /** "" is the lane's own directory. */
  async syncDirectory(path: string): Promise<void> {
    await this.#perform(`sync directory ${path}`, path, false, async (op) => {
      await this.#withFile(path, 'r', 'full', async () => undefined);
      this.#lane.directorySyncs.get(path)?.push({ op, isFull: true });
    });
  }

  /** Remembers what is there, and which transaction the daemon says shows it. */
  async remember(): Promise<void> {
    const attributes = new Map<string, Attributes>();
    for (const path of [...this.paths('file'), ...this.paths('directory')]) {
      const { mode, size, mtimeNs } = await stat(this.#path(path), { bigint: true });
      attributes.set(path, { mode: Number(mode), size: Number(size), mtimeNs });
    }
    const { txid, timeNs } = await this.#around.lastTransaction();
    const { witness } = this.#around;
    witness.moment += 1;
    this.#lane.snapshots.push({ op: this.#lane.operations.length - 1, txid, timeNs: BigInt(timeNs), at: this.#around.position(), moment: witness.moment, attributes });
  }

  /** `path`: what the kernel may write to the disk at once. `syncsLog`: as `#syncsLog` tells. */
  async #perform(what: string, path: string, syncsLog: boolean, act: (op: number) => Promise<void>): Promise<void> {
    const operation: Operation = { what, endedAt: undefined };
    const { witness } = this.#around;
    const began = logSyncBegins(witness);
    this.#lane.operations.push(operation);
    await act(this.#lane.operations.length - 1);
    operation.endedAt = this.#around.position();
    witness.moment += 1;
    if (syncsLog) witness.logSyncs.push({ ...began, at: operation.endedAt });
    if (!this.#random.oneIn(this.#around.writesBackIn)) return;
    await this.#around.writeBack(join(this.#lane.directory, path));
    witness.writeBacks.push(this.#around.position());
  }

  /**
   * Whether an operation that changes a file and then syncs it makes the log durable up to where the operation began. A change puts a record into
   * the log, for which the sync waits, unless the open transaction has one of this file already: that one may be older. After a sync no
   * transaction is open, and a new file is new to every one.
   */
  #syncsLog(path: string, syncing: Syncing): boolean {
    const node = this.#at(path);
    return syncing !== 'none' && (node === undefined || (node.syncs.at(-1)?.op ?? -1) >= (node.versions.at(-1)?.op ?? 0));
  }

  async #withFile(path: string, flags: string, syncing: Syncing, act: (file: FileHandle) => Promise<unknown>): Promise<Omit<Sync, 'op'> | undefined> {
    const held = flags === 'r+' ? this.#held.of(this.#at(path)?.id) : undefined;
    const files = held ?? [await open(this.#path(path), flags, 0o644)];
    try {
      await act(this.#random.pick(files));
      if (syncing === 'none') return undefined;
      const file = this.#random.pick(files);
      if (syncing === 'data') {
        await file.datasync();
        return { isFull: false };
      }
      await file.sync();
      const { mtimeNs } = await file.stat({ bigint: true });
      return { isFull: true, mtimeNs };
    } finally {
      if (held === undefined) for (const file of files) await file.close();
    }
  }

  #changed(op: number, { node, versions, sync }: Change): void {
    for (const { bytes, mode, waited } of versions) {
      node.versions.push({ op, bytes: bytes ?? this.#bytesOf(node), mode: mode ?? node.versions.at(-1)?.mode ?? 0o644, waited: this.#around.witness.isExact || (waited ?? false) });
    }
    if (sync !== undefined) node.syncs.push({ op, ...sync });
  }

  #name(path: string, node: number | undefined, op: number, waited = false): void {
    const states = this.#lane.names.get(path) ?? [];
    this.#lane.names.set(path, states);
    states.push({ op, node, waited: this.#around.witness.isExact || waited });
    if (!this.#lane.directorySyncs.has(directoryOf(path))) throw new RangeError(`${directoryOf(path)} is no directory of the lane`);
  }

  #at(path: string): Node | undefined {
    const id = this.#lane.names.get(path)?.at(-1)?.node;
    return id === undefined ? undefined : nodeOf(this.#lane, id);
  }

  #file(path: string): Node {
    const node = this.#at(path);
    if (node?.kind !== 'file') throw new RangeError(`${path} is no file`);
    return node;
  }

  #bytesOf(node: Node): Buffer {
    return node.versions.at(-1)?.bytes ?? Buffer.alloc(0);
  }

  #path(path: string): string {
    return join(this.#root, path);
  }
}
