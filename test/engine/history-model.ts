/**
 * Random operations on a tree in memory, and what every snapshot of it must look like for ever after. In: a seed. Out: a volume under
 * test, and a comparison of any of its snapshots with what was.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { directoryType, regularType, symlinkType } from '../../engine/attributes.js';
import { crc32c } from '../../engine/crc32c.js';
import { codeOf } from '../../engine/errors.js';
import type { FloorGroup } from '../../engine/floor-plan.js';
import { isShownAt } from '../../engine/floors.js';
import type { FileFloor } from '../../engine/floors.js';
import { IndexStore } from '../../engine/index-store.js';
import { Living } from '../../engine/living.js';
import { nameOperation } from '../../engine/log-bodies.js';
import { segmentFileName } from '../../engine/log-format.js';
import { packSegment } from '../../engine/segment-packing.js';
import type { FileId, ListedEntry, Txid } from '../../engine/types.js';
import { txid as toTxid } from '../../engine/ids.js';
import { Volume } from '../../engine/volume.js';
import { PieceKind } from '../../native/types.js';
import { MemoryNative } from '../support/memory-native.js';
import type { MemoryInode } from '../support/memory-tree.js';
import { makePlace, removePlace } from '../support/places.js';
import { Random, chooseSeed } from '../support/seed.js';

/** A file or directory as it was at a snapshot. */
interface Past {
  readonly file: FileId;
  readonly attributes: Buffer;
  readonly content: Buffer;
  readonly xattrs: string;
}

type Snapshot = Map<string, Past>;

const names = ['a', 'b', 'c', 'dd', 'a\u00e4', 'b.tmp'];
const xattrNames = ['user.one', 'user.onetwo'];
const filesMax = 14;

/** Runs the body with a model of its own and an opened volume; what goes wrong is told with the seed that repeats it. */
export async function withHistoryModel(t: Test, body: (model: HistoryModel, random: Random, volume: Volume) => Promise<void>): Promise<void> {
  const seed = chooseSeed();
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const random = new Random(seed);
  const model = new HistoryModel(place, random);
  const volume = await model.open();
  try {
    await body(model, random, volume);
  } catch (error) {
    t.fail(`seed ${seed} (TIDEMARK_SEED=${seed}): ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    await model.volume.close();
  }
}

export class HistoryModel {
  readonly native: MemoryNative;
  readonly #random: Random;
  readonly snapshots = new Map<number, Snapshot>();
  readonly directory: string;
  readonly #floors = new Map<FileId, FileFloor>();
  readonly #hidden: { readonly moment: number; readonly file: FileId }[] = [];
  volume!: Volume;

  constructor(directory: string, random: Random) {
    this.directory = directory;
    this.#random = random;
    mkdirSync(join(directory, '.tidemark', 'log'), { recursive: true });
    // Later than the real directory's own times: those are no changes past the mount.
    const startNs = BigInt(Date.now() + 86_400_000) * 1_000_000n;
    this.native = new MemoryNative(join(directory, '.tidemark', 'log'), random, startNs);
  }

  async open(): Promise<Volume> {
    this.volume = await Volume.open(this.directory, { addon: this.native.addon(), nowNs: () => this.native.timeNs + 1n });
    return this.volume;
  }

  /** One operation; then, mostly, a barrier. */
  step(): void {
    this.#operate();
    if (this.#random.oneIn(3)) return;
    const before = this.native.txid;
    this.native.barrier(this.#random.pick(['sync', 'close', 'name', 'timer']));
    if (this.native.txid > before) this.snapshots.set(before, this.#now());
  }

  /** Gives some files a floor, or a higher one, by chance. */
  async raiseFloors(): Promise<void> {
    const txids = [...this.snapshots.keys()];
    const groups: FloorGroup[] = [];
    for (const inode of this.native.tree.inodes.values()) {
      if (this.native.tree.isDirectory(inode) || !this.#random.oneIn(3)) continue;
      const known = this.#floors.get(inode.file);
      const txid = Math.max(this.#random.pick(txids), known?.txid ?? 0);
      const held = txids.filter((moment) => moment < txid && (known === undefined || isShownAt(known, moment)) && this.#random.oneIn(12));
      groups.push({ txid, held, files: [inode.file] });
    }
    this.#forgetBelow(groups);
    await this.volume.reclaim.raiseFloors(groups);
  }

  /** Gives up what the volume's policy says. `held`: moments in use. */
  async prune(held: ReadonlySet<number>): Promise<void> {
    const { floors, plan } = await this.volume.reclaim.prune(() => held, Number(this.native.timeNs / 1_000_000n) + 60_000);
    if (plan.gone > 0) throw new Error('the ladder was to keep all');
    for (const moment of held) if (floors.groups.some((floor) => moment < floor.txid && !floor.held.includes(moment) && this.#showsOne(moment, floor.files))) throw new Error(`${moment} is held, and loses a file`);
    this.#forgetBelow(floors.groups);
  }

  #showsOne(moment: number, files: readonly FileId[]): boolean {
    return [...this.snapshots.get(moment)?.values() ?? []].some(({ file }) => files.includes(file));
  }

  /** What older snapshots showed of the files is forgotten, but in those that are held. */
  #forgetBelow(groups: readonly FloorGroup[]): void {
    for (const { files, ...floor } of groups) {
      for (const forgotten of files) {
        this.#floors.set(forgotten, floor);
        for (const [moment, snapshot] of this.snapshots) {
          if (isShownAt(floor, moment)) continue;
          for (const [path, { file }] of snapshot) {
            if (file !== forgotten) continue;
            snapshot.delete(path);
            this.#hidden.push({ moment, file });
          }
        }
      }
    }
  }

  /** Leaves nothing in the log but what is needed, and makes the index anew from that. */
  async pack(): Promise<void> {
    const index = new IndexStore(join(this.directory, '.tidemark/index'));
    const living = new Living(index);
    const log = join(this.directory, '.tidemark/log');
    this.native.isPacked = true;
    for (let segment = 1; segment < this.native.log.segmentCount; segment++) {
      const ownBytes = statSync(join(log, segmentFileName(segment))).blocks * 512;
      packSegment({ directory: log, segment, packableBelow: this.native.log.end, crc: crc32c, ownBytes, leastShare: 0 }, (record) => living.needs(record));
    }
    await index.close();
    await this.volume.rebuildIndex();
  }

  /** Throws when a snapshot tells anything of a file that it showed until its floor was raised. */
  async checkHidden(): Promise<void> {
    for (const { moment, file } of this.#hidden) {
      if (!this.snapshots.has(moment)) continue;
      const told = await this.volume.attributes(toTxid(moment), file).then(() => 'attributes', (error: unknown) => codeOf(error));
      if (told !== 'ENOENT') throw new Error(`of file ${file} snapshot ${moment} tells ${told}`);
    }
  }

  /** Throws when a snapshot differs from what was. */
  async check(txid: number): Promise<void> {
    const expected = this.snapshots.get(txid);
    if (expected === undefined) throw new Error(`nothing is remembered of snapshot ${txid}`);
    const found = new Map<string, Past>();
    await this.#collect(toTxid(txid), this.volume.rootId, '', found);
    const differing = [...new Set([...expected.keys(), ...found.keys()])].filter((path) => !same(expected.get(path), found.get(path)));
    if (differing.length > 0) {
      const path = differing[0]!;
      throw new Error(`snapshot ${txid} differs in ${differing.join(', ')}: was ${tell(expected.get(path))}, reads ${tell(found.get(path))}`);
    }
    await this.#checkPaths(txid, expected);
  }

  #now(): Snapshot {
    const snapshot: Snapshot = new Map();
    const visit = (directory: MemoryInode, path: string): void => {
      for (const [name, file] of directory.names) {
        const inode = this.native.tree.get(file);
        const xattrs = [...inode.xattrs].map(([key, value]) => `${key}=${value.toString('hex')}`).sort().join();
        snapshot.set(`${path}/${name}`, { file, attributes: this.native.tree.packed(inode), content: inode.content, xattrs });
        if (this.native.tree.isDirectory(inode)) visit(inode, `${path}/${name}`);
      }
    };
    visit(this.native.tree.root, '');
    return snapshot;
  }

  async #collect(txid: Txid, directory: FileId, path: string, found: Map<string, Past>): Promise<void> {
    for (const { name, file, type, attributes, plan } of await this.volume.list(txid, directory)) {
      const at = `${path}/${name.toString()}`;
      const size = Number(this.volume.decode(attributes).size);
      const content = type === regularType ? await this.volume.read(txid, file, 0n, size) : type === symlinkType ? await this.volume.readLink(file) : Buffer.alloc(0);
      if (plan !== undefined && !content.equals(await this.#readListed(plan, size))) throw new Error(`${at} at ${txid} is listed with a plan for other bytes`);
      const xattrs = (await this.volume.xattrs(txid, file)).map((xattr) => `${xattr.name.toString()}=${xattr.value.toString('hex')}`).sort().join();
      found.set(at, { file, attributes, content, xattrs });
      const looked = await this.volume.lookup(txid, directory, name);
      if (looked?.file !== file || looked.type !== type) throw new Error(`${at} at ${txid} is listed and not found`);
      if (!(await this.volume.attributes(txid, file)).equals(attributes)) throw new Error(`${at} at ${txid} is listed with other attributes`);
      if (type === directoryType) await this.#collect(txid, file, at, found);
    }
  }

  /** As the addon reads it: without pieces, all bytes are still the file's own. */
  #readListed({ file, plannedAt, pieces }: NonNullable<ListedEntry['plan']>, size: number): Promise<Buffer> {
    const own = size === 0 ? [] : [0n, BigInt(size), BigInt(PieceKind.File), 0n];
    return this.native.readPlan({ file, plannedAt, size: BigInt(size), pieces: pieces ?? BigUint64Array.from(own) }, 0n, size);
  }

  async #checkPaths(txid: number, expected: Snapshot): Promise<void> {
    for (const [path, { file }] of expected) {
      const told = this.volume.pathOf(toTxid(txid), file)?.toString();
      if (told === undefined || expected.get(told)?.file !== file) throw new Error(`the path of ${path} at ${txid} is told as ${told}`);
      const resolved = await this.volume.resolvePath(toTxid(txid), Buffer.from(path));
      if (resolved?.file !== file) throw new Error(`${path} at ${txid} leads elsewhere`);
    }
    for (const name of names) {
      if (!expected.has(`/${name}`) && await this.volume.lookup(toTxid(txid), this.volume.rootId, Buffer.from(name)) !== undefined) throw new Error(`/${name} at ${txid} is found and was not there`);
    }
  }

  #operate(): void {
    const { native } = this;
    const directories = native.tree.directories();
    const directory = this.#random.pick(directories);
    const name = this.#random.pick(names);
    const there = directory.names.get(name);
    if (there === undefined) return this.#make(directory, name, directories);
    const inode = native.tree.get(there);
    switch (this.#random.below(10)) {
      case 0:
        if (inode.names.size === 0) native.unlink(directory, name);
        return;
      case 1: case 2: return this.#rename(directory, name, inode, directories);
      case 3: return native.change(inode, this.#random.pick([0o600, 0o644, 0o4755]), this.#random.below(3));
      case 4: return native.setXattr(inode, this.#random.pick(xattrNames), this.#random.oneIn(3) ? undefined : Buffer.from([this.#random.below(256)]));
      case 5: {
        if (native.tree.type(inode) === regularType) native.truncate(inode, this.#size());
        return;
      }
      default: if (native.tree.type(inode) === regularType) this.#write(inode);
    }
  }

  #make(directory: MemoryInode, name: string, directories: MemoryInode[]): void {
    const { native } = this;
    const live = [...native.tree.inodes.values()].filter((inode) => inode.nlink > 0);
    if (live.length > filesMax) return;
    const kind = this.#random.below(8);
    if (kind === 0 && directories.length < 5) native.create(directory, name, directoryType | 0o755, nameOperation.mkdir);
    else if (kind === 1) native.create(directory, name, symlinkType | 0o777, nameOperation.symlink).content = Buffer.from(`to ${this.#random.below(100)}`);
    else if (kind === 2) {
      const file = this.#random.pick(live);
      if (native.tree.type(file) === regularType) native.link(directory, name, file);
    } else {
      const inode = native.create(directory, name, regularType | 0o644);
      if (this.#random.oneIn(2)) this.#write(inode);
    }
  }

  #rename(source: MemoryInode, from: string, inode: MemoryInode, directories: MemoryInode[]): void {
    const { native } = this;
    const target = this.#random.pick(directories);
    const to = this.#random.pick(names);
    const thereId = target.names.get(to);
    const there = thereId === undefined ? undefined : native.tree.get(thereId);
    const movesDirectory = [inode, there].some((one) => one !== undefined && native.tree.isDirectory(one));
    if (movesDirectory && (there !== undefined || native.tree.isBelow(target, inode))) return;
    if (there !== undefined && this.#random.oneIn(3)) native.exchange(source, from, target, to);
    else native.rename(source, from, target, to);
  }

  #write(inode: MemoryInode): void {
    const offset = this.#random.oneIn(3) ? 0 : this.#size();
    const length = this.#random.pick([1, 100, 4096, 5000, 20_000]);
    this.native.write(inode, offset, Buffer.alloc(length, this.#random.oneIn(6) ? 0 : 1 + this.#random.below(255)));
  }

  /** Small mostly, block by block often, and now and then over the larger size classes. */
  #size(): number {
    const size = this.#random.pick([this.#random.below(200), this.#random.below(10) * 4096, this.#random.below(40_000), this.#random.below(200_000)]);
    return this.#random.oneIn(60) ? size + 1_048_576 : size;
  }
}

function same(a: Past | undefined, b: Past | undefined): boolean {
  return a !== undefined && b !== undefined && a.file === b.file && a.attributes.equals(b.attributes) && a.xattrs === b.xattrs && a.content.equals(b.content);
}

function tell(past: Past | undefined): string {
  if (past === undefined) return 'nothing';
  return `file ${past.file}, ${past.content.length} bytes, attributes ${past.attributes.toString('hex')}, xattrs ${past.xattrs}`;
}
