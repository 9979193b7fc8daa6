/**
 * The initial sync: makes the standby's tree that of one moment of the primary, by comparing directory by directory. In: answers of the primary, the tree as it stands (empty, an
 * earlier sync that was interrupted, a copy made by other means). Out: the same tree.
 *
 * Invariants:
 * 1. What is the same already is not sent: by size and time what this sync has brought before, by hash what somebody else has (`--seed`).
 * 2. Names that are one file there are one file here.
 * 3. A directory gets its times after all that is in it.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { directoryType, formatMask, regularType, symlinkType } from '../../../engine/attributes.js';
import type { Asking } from './asking.js';
import type { ListedFile } from '../messages.js';
import { at } from './tree.js';
import type { Tree } from './tree.js';
import { chunkBytes } from '../pack.js';

export interface InitialOptions {
  readonly asking: Asking;
  readonly tree: Tree;
  readonly rootFile: string;
  readonly isSeeded: boolean;
  readonly onProgress: (files: number, bytes: number) => void;
}

/** Files of one directory that are worked on at once. */
const filesAtOnce = 16;
const nothing = Buffer.alloc(chunkBytes);

export class InitialSync {
  readonly #options: InitialOptions;
  /** Where the first name of each file with several is. */
  readonly #linked = new Map<string, Promise<string>>();
  #files = 0;
  #bytes = 0;
  /** One file at a time is written: the tree has one that is open. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: InitialOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    await this.#directory(this.#options.rootFile, '');
  }

  async #directory(file: string, path: string): Promise<void> {
    const listed = await this.#options.asking.list(file);
    const entries = listed.filter(({ name }) => name !== '.');
    const names = new Set(entries.map(({ name }) => name));
    for (const name of fs.readdirSync(at(`${path}/`), 'latin1')) if (!names.has(name)) this.#options.tree.clear(`${path}/${name}`);
    const others = entries.filter(({ mode }) => (mode & formatMask) !== directoryType);
    for (let start = 0; start < others.length; start += filesAtOnce) {
      await Promise.all(others.slice(start, start + filesAtOnce).map((entry) => this.#file(entry, `${path}/${entry.name}`)));
    }
    for (const entry of entries) if ((entry.mode & formatMask) === directoryType) await this.#below(entry, `${path}/${entry.name}`);
    const own = listed.find(({ name }) => name === '.');
    if (own !== undefined) this.#attributes(own, '/');
  }

  async #below(entry: ListedFile, path: string): Promise<void> {
    if (this.#standing(entry, path) === undefined) fs.mkdirSync(at(path), 0o700);
    await this.#directory(entry.file, path);
    this.#attributes(entry, path);
    this.#count(0);
  }

  /** What stands there, if it is of the right kind; what is of another goes. */
  #standing({ mode }: ListedFile, path: string): BigIntStats | undefined {
    const stat = fs.lstatSync(at(path), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || (Number(stat.mode) & formatMask) === (mode & formatMask)) return stat;
    this.#options.tree.clear(path);
    return undefined;
  }

  async #file(entry: ListedFile, path: string): Promise<void> {
    if (entry.nlink < 2) return this.#make(entry, path);
    const first = this.#linked.get(entry.file);
    if (first === undefined) {
      const made = this.#make(entry, path).then(() => path);
      this.#linked.set(entry.file, made);
      await made;
      return;
    }
    const source = await first;
    const [one, other] = [source, path].map((name) => fs.lstatSync(at(name), { bigint: true, throwIfNoEntry: false }));
    if (one!.ino === other?.ino) return;
    this.#options.tree.clear(path);
    fs.linkSync(at(source), at(path));
  }

  async #make(entry: ListedFile, path: string): Promise<void> {
    const kind = entry.mode & formatMask;
    const stat = this.#standing(entry, path);
    if (kind === regularType) await this.#bytesOf(entry, path, stat);
    else if (kind === symlinkType) this.#symlink(entry, path, stat);
    else if (stat === undefined || stat.rdev !== BigInt(entry.rdev)) {
      if (stat !== undefined) this.#options.tree.clear(path);
      this.#options.tree.do({ do: 'mknod', path, mode: entry.mode, rdev: String(entry.rdev) }, false);
    }
    this.#attributes(entry, path);
    this.#count(0);
  }

  #symlink(entry: ListedFile, path: string, stat: BigIntStats | undefined): void {
    const target = entry.target ?? '';
    if (stat !== undefined && fs.readlinkSync(at(path), 'latin1') === target) return;
    if (stat !== undefined) this.#options.tree.clear(path);
    this.#options.tree.do({ do: 'symlink', path, target }, false);
  }

  async #bytesOf(entry: ListedFile, path: string, stat: BigIntStats | undefined): Promise<void> {
    if (stat !== undefined && await this.#isSame(entry, path, stat)) return;
    if (stat === undefined) this.#options.tree.do({ do: 'create', path, mode: entry.mode & 0o777 }, false);
    if (entry.size <= chunkBytes) {
      const bytes = entry.size === 0 ? Buffer.alloc(0) : await this.#options.asking.read(entry.file, 0, entry.size);
      return this.#alone(async () => { this.#write(path, entry.size, [bytes]); });
    }
    return this.#alone(() => this.#copy(entry, path));
  }

  #write(path: string, size: number, chunks: readonly Buffer[]): void {
    const { tree } = this.#options;
    tree.do({ do: 'open', path }, false);
    let offset = 0;
    for (const chunk of chunks) {
      tree.write(offset, chunk);
      offset += chunk.length;
    }
    tree.do({ do: 'close', size }, false);
    this.#count(offset);
  }

  /** A large file: some chunks are asked for ahead. */
  async #copy({ file, size }: ListedFile, path: string): Promise<void> {
    const { asking, tree } = this.#options;
    const ahead: Promise<Buffer>[] = [];
    let asked = 0;
    tree.do({ do: 'open', path }, false);
    for (let offset = 0; offset < size;) {
      for (; asked < size && ahead.length < 8; asked += chunkBytes) ahead.push(quiet(asking.read(file, asked, Math.min(chunkBytes, size - asked))));
      const bytes = await ahead.shift()!;
      if (bytes.equals(nothing.subarray(0, bytes.length))) tree.zero(offset, bytes.length);
      else tree.write(offset, bytes);
      offset += bytes.length;
      this.#bytes += bytes.length;
      this.#options.onProgress(this.#files, this.#bytes);
    }
    tree.do({ do: 'close', size }, false);
  }

  async #isSame({ file, size, mtimeNs }: ListedFile, path: string, stat: BigIntStats): Promise<boolean> {
    if (stat.size !== BigInt(size)) return false;
    if (!this.#options.isSeeded) return stat.mtimeNs === BigInt(mtimeNs);
    return size === 0 || await this.#options.asking.hash(file) === hashOf(path);
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const before = this.#writing;
    let release!: () => void;
    this.#writing = new Promise((resolve) => { release = resolve; });
    await before;
    try {
      await work();
    } finally {
      release();
    }
  }

  #attributes({ mode, uid, gid, atimeNs, mtimeNs, xattrs }: ListedFile, path: string): void {
    this.#options.tree.setXattrs(path, xattrs);
    this.#options.tree.setAttributes({ do: 'attributes', path, mode, uid, gid, atimeNs, mtimeNs });
  }

  #count(bytes: number): void {
    if (bytes === 0) this.#files++;
    this.#bytes += bytes;
    this.#options.onProgress(this.#files, this.#bytes);
  }
}

/** That it fails is met when it is awaited, if it ever is. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function hashOf(path: string): string {
  const hash = createHash('sha256');
  const fd = fs.openSync(at(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (let count = fs.readSync(fd, chunk); count > 0; count = fs.readSync(fd, chunk)) hash.update(chunk.subarray(0, count));
    return hash.digest('hex');
  } finally {
    fs.closeSync(fd);
  }
}
