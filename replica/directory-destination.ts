/**
 * A backup destination that is a directory: a disk, a mounted drive, a share. Implements the port of destination.ts. In: its path, and what is known of its file system.
 *
 * Calls wait for the disk (as system calls do): who uses this has a thread or a process for it.
 *
 * Invariants:
 * 1. When the directory is another than it was when it was opened (the drive was pulled, and its mountpoint is an empty directory), nothing is written: the destination is gone.
 * 2. A file is never written in place but in the staging area; what has its final name got it by a rename.
 * 3. Where it was opened as `watchful` no symlink on the way to a path is followed, whoever puts one there meanwhile.
 */
import { spawnSync } from 'node:child_process';
import { createHash, hash } from 'node:crypto';
import {
  chmodSync, closeSync, constants, createReadStream, fchmodSync, fchownSync, fstatSync, ftruncateSync, lchownSync, linkSync, lstatSync, openSync, readdirSync, readSync, renameSync, rmdirSync,
  statSync, statfsSync, symlinkSync,
} from 'node:fs';
import type { Readable } from 'node:stream';
import { Anchors } from '../engine/anchors.js';
import type { FileCalls } from '../engine/native.js';
import { loadFileCalls } from '../engine/native.js';
import { writeAll } from '../engine/write-all.js';
import { probeDirectory } from './directory-abilities.js';
import { translate } from './directory-faults.js';
import { keptMode, makeDirectory, unlinkIfThere, writeChunk } from './directory-files.js';
import { DestinationError } from './destination.js';
import type { Abilities, Destination, SendHooks, SentFile, StoredAttributes, StoredItem } from './destination.js';
import { bytesOf, fromBytes } from './paths.js';

const chunkBytes = 1 << 20;
const smallBytes = 1 << 17;
/** So often it is looked whether the directory is still the same. */
const lookMs = 100;

export class DirectoryDestination implements Destination {
  readonly shown: string;
  readonly abilities: Abilities;
  readonly isRemote = false;
  readonly #root: string;
  readonly #rootBytes: Buffer;
  readonly #files: FileCalls;
  readonly #identity: string;
  readonly #buffer = Buffer.allocUnsafe(chunkBytes);
  #lookedAtMs = -lookMs;
  readonly #compared = Buffer.allocUnsafe(chunkBytes);
  readonly #anchors: Anchors | undefined;

  private constructor(root: string, abilities: Abilities, files: FileCalls, identity: string, way: 'plain' | 'watchful') {
    this.shown = root;
    this.abilities = abilities;
    this.#root = root;
    this.#rootBytes = Buffer.from(`${root}/`);
    this.#files = files;
    this.#identity = identity;
    this.#anchors = way === 'watchful' ? new Anchors(Buffer.from(root)) : undefined;
  }

  /** `abilities`: as they were found out before; else they are tried, which writes. watchful: for trees that others change meanwhile. Throws DestinationError. */
  static async open(root: string, abilities?: Abilities, way: 'plain' | 'watchful' = 'plain'): Promise<DirectoryDestination> {
    const files = await loadFileCalls();
    try {
      const identity = identityOf(root);
      return new DirectoryDestination(root, abilities ?? probeDirectory(root, files), files, identity, way);
    } catch (error) {
      throw translate(error, root);
    }
  }

  async list(path: string): Promise<StoredItem[]> {
    return this.#try(() => readdirSync(this.#at(path), { withFileTypes: true, encoding: 'buffer' }).map((entry) => {
      const name = fromBytes(entry.name);
      const type = entry.isDirectory() ? 'directory' : entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'symlink' : 'other';
      return { name, type, size: type === 'file' ? lstatSync(this.#at(`${path}/${name}`)).size : 0 };
    }));
  }

  async size(path: string): Promise<number | undefined> {
    return this.#try(() => {
      const stat = lstatSync(this.#at(path), { throwIfNoEntry: false });
      return stat?.isFile() === true ? stat.size : undefined;
    });
  }

  async read(path: string, fromOffset = 0): Promise<Readable> {
    return this.#try(() => {
      const fd = openSync(this.#at(path), constants.O_RDONLY | constants.O_NOFOLLOW);
      return createReadStream('', { fd, start: fromOffset, highWaterMark: chunkBytes });
    });
  }

  async send(path: string, file: SentFile, hooks: SendHooks): Promise<string> {
    const source = openSync(file.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    let sha256: string;
    try {
      const target = this.#try(() => {
        this.#refuseOther();
        return openSync(this.#at(path), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      });
      try {
        if (file.size <= smallBytes) {
          sha256 = this.#copySmall(source, target, file);
          await hooks.onBytes(file.size);
        } else sha256 = await this.#copy(source, target, file, hooks);
        if (file.attributes !== undefined) this.#try(() => { this.#setOwnerAndMode(target, file.attributes!); });
      } finally {
        closeSync(target);
      }
    } finally {
      closeSync(source);
    }
    if (file.attributes !== undefined) this.#setTimes(path, file.attributes.mtimeNs);
    return sha256;
  }

  async rename(from: string, to: string): Promise<void> {
    this.#try(() => {
      this.#refuseOther();
      renameSync(this.#at(from), this.#at(to));
    });
  }

  async remove(path: string): Promise<void> {
    this.#try(() => { unlinkIfThere(this.#at(path)); });
  }

  async makeDirectory(path: string): Promise<void> {
    this.#try(() => {
      this.#refuseOther();
      makeDirectory(this.#at(path));
    });
  }

  async removeDirectory(path: string): Promise<void> {
    this.#try(() => {
      if (lstatSync(this.#at(path), { throwIfNoEntry: false }) !== undefined) rmdirSync(this.#at(path));
    });
  }

  async setAttributes(path: string, { mode, uid, gid, mtimeNs }: StoredAttributes): Promise<void> {
    this.#try(() => {
      const at = this.#at(path);
      const stat = lstatSync(at);
      if (this.abilities.owners && (stat.uid !== uid || stat.gid !== gid)) lchownSync(at, uid, gid);
      if (this.abilities.modes && !stat.isSymbolicLink()) {
        const wanted = keptMode(mode, stat.isDirectory(), this.abilities.owners);
        if ((stat.mode & 0o7777) !== wanted || this.abilities.owners) chmodSync(at, wanted);
      }
    });
    this.#setTimes(path, mtimeNs);
  }

  async link(from: string, to: string): Promise<void> {
    this.#try(() => {
      unlinkIfThere(this.#at(to));
      linkSync(this.#at(from), this.#at(to));
    });
  }

  async symlink(target: string, path: string): Promise<void> {
    this.#try(() => {
      unlinkIfThere(this.#at(path));
      symlinkSync(bytesOf(target), this.#at(path));
    });
  }

  async freeBytes(): Promise<number | undefined> {
    return this.#try(() => {
      const { bavail, bsize } = statfsSync(this.#root);
      return bavail * bsize;
    });
  }

  async sync(): Promise<void> {
    const { status, stderr } = spawnSync('sync', ['-f', this.#root], { encoding: 'utf8' });
    if (status !== 0) throw new DestinationError('gone', `${this.#root} cannot be written to the end: ${stderr.trim().split('\n', 1)[0] ?? ''}; check the drive`);
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  /** In few calls: most files are small. */
  #copySmall(source: number, target: number, { size, isNew }: SentFile): string {
    let length = 0;
    while (length < size) {
      const count = readSync(source, this.#buffer, length, size - length, length);
      if (count === 0) throw new Error(`a file of the snapshot ended at ${length} instead of ${size}`);
      length += count;
    }
    const bytes = this.#buffer.subarray(0, size);
    this.#try(() => {
      if (isNew !== true || size === 0) ftruncateSync(target, 0);
      if (size > 0) writeAll(target, bytes, 0);
    });
    return hash('sha256', bytes, 'hex');
  }

  /** Of a file that this has made. */
  #setOwnerAndMode(target: number, { mode, uid, gid }: StoredAttributes): void {
    if (this.abilities.owners && (uid !== 0 || gid !== 0)) fchownSync(target, uid, gid);
    if (this.abilities.modes) fchmodSync(target, keptMode(mode, false, this.abilities.owners));
  }

  #setTimes(path: string, mtimeNs: bigint): void {
    if (this.abilities.times !== 'none') this.#try(() => { this.#files.setTimes(this.#at(path), mtimeNs, mtimeNs); });
  }

  /** What is there already and equal is not written again. */
  async #copy(source: number, target: number, file: SentFile, hooks: SendHooks): Promise<string> {
    const summing = createHash('sha256');
    const { size: there } = fstatSync(target);
    const { blocks } = fstatSync(source);
    const isSparse = blocks * 512 < file.size;
    let kept = there;
    for (let position = 0; position < file.size;) {
      const count = readSync(source, this.#buffer, 0, chunkBytes, position);
      if (count === 0) throw new Error(`a file of the snapshot ended at ${position} instead of ${file.size}`);
      const chunk = this.#buffer.subarray(0, count);
      summing.update(chunk);
      this.#try(() => {
        if (kept >= position + count && this.#isThere(target, chunk, position)) return;
        if (kept > position) ftruncateSync(target, kept = position);
        writeChunk(target, chunk, position, isSparse);
      });
      position += count;
      const wait = hooks.onBytes(count);
      if (wait !== undefined) await wait;
    }
    this.#try(() => {
      if (isSparse || there > file.size) ftruncateSync(target, file.size);
    });
    return summing.digest('hex');
  }

  #isThere(target: number, chunk: Buffer, position: number): boolean {
    const count = readSync(target, this.#compared, 0, chunk.length, position);
    return count === chunk.length && chunk.equals(this.#compared.subarray(0, count));
  }

  #at(path: string): Buffer {
    return this.#anchors?.at(bytesOf(path)) ?? Buffer.concat([this.#rootBytes, bytesOf(path)]);
  }

  #refuseOther(): void {
    if (performance.now() - this.#lookedAtMs < lookMs) return;
    this.#lookedAtMs = performance.now();
    if (identityOf(this.#root) !== this.#identity) throw new DestinationError('gone', `${this.#root} is not the directory any more that it was: the drive is gone; plug it in again`);
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      // A drive that is gone leaves a directory without what was there.
      this.#lookedAtMs = -lookMs;
      if (!(error instanceof DestinationError)) this.#refuseOtherQuietly();
      throw translate(error, this.#root);
    } finally {
      this.#anchors?.release();
    }
  }

  #refuseOtherQuietly(): void {
    try {
      this.#refuseOther();
    } catch (error) {
      throw translate(error, this.#root);
    }
  }
}

function identityOf(root: string): string {
  const stat = statSync(root, { bigint: true, throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) throw new DestinationError('gone', `${root} is not there: the drive is gone; plug it in again, the next run goes on where this one was`);
  const { dev, ino } = stat;
  return `${dev}:${ino}`;
}
