/**
 * The standby's tree, as its receiver changes it: ordinary calls on the mount, so that all goes through the standby's own capture. In: operations, bytes. Out: the tree.
 *
 * The process stands in the mount's root: paths (latin1, a character a byte) begin with a slash and are taken from there.
 *
 * Invariants:
 * 1. Nothing outside the mount is reached: no path is followed through a symlink at its end.
 * 2. An operation that may have been done before a crash can be done again.
 */
import * as fs from 'node:fs';
import { formatMask, symlinkType } from '../../../engine/attributes.js';
import { codeOf } from '../../../engine/index.js';
import type { FileCalls } from '../../../engine/native.js';
import { writeAll } from '../../../engine/write-all.js';
import { FrameError } from '../frame.js';
import type { Operation } from '../operations.js';

const { O_RDWR, O_NOFOLLOW, O_CREAT, O_WRONLY } = fs.constants;

/** A tree to which transactions are applied. */
export interface Changeable {
  /** `again`: it may have been done already. */
  do(operation: Operation, again: boolean): void;
  /** Bytes of the file that is open. */
  write(offset: number, bytes: Buffer): void;
  /** Zeros: where the file does not reach yet, by making it longer. */
  zero(offset: number, length: number): void;
  close(): void;
}

export class Tree implements Changeable {
  readonly #files: FileCalls;
  #open: { readonly fd: number; readonly path: string; size: number } | undefined;

  constructor(files: FileCalls) {
    this.#files = files;
  }

  do(operation: Operation, again: boolean): void {
    try {
      this.#do(operation);
    } catch (error) {
      if (!again || !isDone(operation, codeOf(error))) throw error;
    }
  }

  write(offset: number, bytes: Buffer): void {
    const open = this.#opened();
    writeAll(open.fd, bytes, offset);
    open.size = Math.max(open.size, offset + bytes.length);
  }

  zero(offset: number, length: number): void {
    const open = this.#opened();
    const known = Math.min(Math.max(open.size - offset, 0), length);
    const zeros = Buffer.alloc(Math.min(known, 256 * 1024));
    for (let at = 0; at < known;) at += fs.writeSync(open.fd, zeros, 0, Math.min(zeros.length, known - at), offset + at);
    if (known === length) return;
    fs.ftruncateSync(open.fd, offset + length);
    open.size = offset + length;
  }

  close(): void {
    if (this.#open !== undefined) fs.closeSync(this.#open.fd);
    this.#open = undefined;
  }

  /** Removes whatever stands there, and what is below it. */
  clear(path: string): void {
    fs.rmSync(at(path), { recursive: true, force: true });
  }

  /** Makes extended attributes what they are to be. */
  setXattrs(path: string, wanted: readonly (readonly [name: string, value: string])[]): void {
    const bytes = at(path);
    const before = new Map(this.#files.getXattrs(bytes).map(({ name, value }) => [name.toString('latin1'), value]));
    for (const [name, text] of wanted) {
      const value = Buffer.from(text, 'base64');
      if (before.get(name)?.equals(value) !== true) this.#files.setXattr(bytes, Buffer.from(name, 'latin1'), value);
      before.delete(name);
    }
    for (const name of before.keys()) this.#files.removeXattr(bytes, Buffer.from(name, 'latin1'));
  }

  setAttributes({ path, mode, uid, gid, atimeNs, mtimeNs }: Extract<Operation, { do: 'attributes' }>): void {
    const bytes = at(path);
    const stat = fs.lstatSync(bytes, { bigint: true });
    const isGiven = stat.uid !== BigInt(uid) || stat.gid !== BigInt(gid);
    if (isGiven) fs.lchownSync(bytes, uid, gid);
    const isLink = (mode & formatMask) === symlinkType;
    // Changing the owner takes bits away.
    if (!isLink && (isGiven || (Number(stat.mode) & 0o7777) !== (mode & 0o7777))) fs.chmodSync(bytes, mode & 0o7777);
    const atime = atimeNs === undefined ? stat.atimeNs : BigInt(atimeNs);
    if (stat.mtimeNs !== BigInt(mtimeNs) || stat.atimeNs !== atime) this.#files.setTimes(bytes, atime, BigInt(mtimeNs));
  }

  #do(operation: Operation): void {
    switch (operation.do) {
      case 'remove': return fs.unlinkSync(at(operation.path));
      case 'rmdir': return fs.rmdirSync(at(operation.path));
      case 'mkdir': return fs.mkdirSync(at(operation.path), operation.mode);
      case 'create': return fs.closeSync(fs.openSync(at(operation.path), O_WRONLY | O_CREAT | O_NOFOLLOW, operation.mode));
      case 'rename': return fs.renameSync(at(operation.path), at(operation.to));
      case 'link': return fs.linkSync(at(operation.path), at(operation.to));
      case 'symlink': return fs.symlinkSync(Buffer.from(operation.target, 'latin1'), at(operation.path));
      case 'mknod': return this.#files.makeNode(at(operation.path), operation.mode, BigInt(operation.rdev));
      case 'open': return this.#openFile(operation.path);
      case 'close': return this.#closeFile(operation.size);
      case 'xattrs': return this.setXattrs(operation.path, operation.xattrs);
      case 'attributes': return this.setAttributes(operation);
      default: throw new FrameError('an operation that this version does not know; both nodes need the same version of tidemark');
    }
  }

  #openFile(path: string): void {
    this.close();
    const fd = fs.openSync(at(path), O_RDWR | O_NOFOLLOW);
    this.#open = { fd, path, size: fs.fstatSync(fd).size };
  }

  #closeFile(size: number): void {
    const open = this.#opened();
    if (open.size !== size) fs.ftruncateSync(open.fd, size);
    this.close();
  }

  #opened(): { readonly fd: number; readonly path: string; size: number } {
    if (this.#open === undefined) throw new FrameError('bytes came for no file');
    return this.#open;
  }
}

/** From the mount's root. */
export function at(path: string): Buffer {
  if (!path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) throw new FrameError('a path that leads out of the tree');
  return Buffer.from(`.${path}`, 'latin1');
}

function isDone({ do: what }: Operation, code: string): boolean {
  if (what === 'remove' || what === 'rmdir' || what === 'rename') return code === 'ENOENT';
  return (what === 'mkdir' || what === 'link' || what === 'symlink' || what === 'mknod') && code === 'EEXIST';
}
