/**
 * Restores from a destination alone. In: a view of it, a moment, a path, a directory to restore into. Out: files with the attributes that they had, and what could not be restored.
 *
 * Invariants:
 * 1. At its name a file is whole, with the bytes that the manifest has the hash of; until then it has a temporary one.
 * 2. What is at the target already is left as it is: equal files count as restored (so an interrupted restore goes on), others as failures.
 * 3. Nothing is written outside the target, whatever the manifest says: paths were checked, and no symlink of the target is followed.
 */
import { closeSync, constants, createWriteStream, linkSync, lstatSync, lchownSync, chmodSync, mkdirSync, openSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { randomBytes } from 'node:crypto';
import { messageOf } from '../engine/errors.js';
import { loadFileCalls } from '../engine/native.js';
import type { FileCalls } from '../engine/native.js';
import { faultOf } from './destination.js';
import type { Entry } from './entry.js';
import { bytesOf, joined, nameOf, parentOf, shown } from './paths.js';
import type { Found } from './view.js';

/** Where the bytes come from: a view of a destination, or somebody who has one. */
export interface ByteSource {
  copy(found: Found, target: Writable, onBytes: (count: number) => void): Promise<void>;
}

export interface RestoreHooks {
  readonly onBytes: (count: number) => void;
  readonly onFile: () => void;
  /** Throws to stop between two files. */
  readonly checkpoint: () => void;
}

export interface RestoreResult {
  restored: number;
  unchanged: number;
  /** Owners that could not be given. */
  foreignOwners: number;
  readonly failures: { readonly path: string; readonly reason: string }[];
}

/** How things restored are called: below the target as they are below `path`; a single file by its name. */
export async function restoreBackup(view: ByteSource, found: readonly Found[], path: string, target: string, hooks: RestoreHooks): Promise<RestoreResult> {
  return new Restore(view, path, target, hooks, await loadFileCalls()).all(found);
}

class Restore {
  readonly #view: ByteSource;
  readonly #path: string;
  readonly #target: string;
  readonly #hooks: RestoreHooks;
  readonly #files: FileCalls;
  readonly #result: RestoreResult = { restored: 0, unchanged: 0, foreignOwners: 0, failures: [] };
  readonly #links = new Map<string, Buffer>();
  readonly #directories: { readonly at: Buffer; readonly entry: Entry }[] = [];

  constructor(view: ByteSource, path: string, target: string, hooks: RestoreHooks, files: FileCalls) {
    this.#view = view;
    this.#path = path;
    this.#target = target;
    this.#hooks = hooks;
    this.#files = files;
  }

  async all(found: readonly Found[]): Promise<RestoreResult> {
    // Directories first, with those above them; the order of paths has them so.
    for (const one of found) {
      this.#hooks.checkpoint();
      try {
        await this.#restore(one);
      } catch (error) {
        if (faultOf(error) === 'gone' || faultOf(error) === 'denied') throw error;
        this.#result.failures.push({ path: one.entry.path, reason: messageOf(error) });
      }
      this.#hooks.onFile();
    }
    for (const { at, entry } of this.#directories.reverse()) this.#setAttributes(at, entry);
    return this.#result;
  }

  async #restore(found: Found): Promise<void> {
    const { entry } = found;
    const at = this.#at(entry.path);
    const there = lstatSync(at, { bigint: true, throwIfNoEntry: false });
    if (entry.type === 'directory') {
      if (there === undefined) mkdirSync(at, 0o700);
      else if (!there.isDirectory()) throw new Error(`${shown(entry.path)} is there as something else`);
      this.#directories.push({ at, entry });
      if (there === undefined) this.#result.restored++;
      return;
    }
    if (there !== undefined) {
      if (entry.type !== 'file' || !there.isFile() || Number(there.size) !== entry.size || there.mtimeNs !== entry.mtimeNs) throw new Error(`${shown(entry.path)} is there already, and is another one`);
      this.#result.unchanged++;
      if (entry.link !== undefined) this.#links.set(entry.link, at);
      return;
    }
    const first = entry.link === undefined ? undefined : this.#links.get(entry.link);
    if (first !== undefined) linkSync(first, at);
    else await this.#make(found, at);
    if (entry.link !== undefined) this.#links.set(entry.link, at);
    this.#result.restored++;
  }

  async #make(found: Found, at: Buffer): Promise<void> {
    const { entry } = found;
    if (entry.type === 'symlink') symlinkSync(bytesOf(entry.target ?? ''), at);
    else if (entry.type !== 'file' && entry.type !== 'directory') this.#files.makeNode(at, nodeTypes[entry.type] | 0o600, BigInt(entry.rdev ?? 0));
    else return this.#makeFile(found, at);
    this.#setAttributes(at, entry);
  }

  async #makeFile(found: Found, at: Buffer): Promise<void> {
    const temporary = Buffer.concat([this.#directoryOf(found.entry.path), Buffer.from(`/.tidemark-restore-${randomBytes(6).toString('hex')}`)]);
    const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      const stream = createWriteStream('', { fd, autoClose: false });
      await this.#view.copy(found, stream, this.#hooks.onBytes);
      stream.end();
      await finished(stream);
      closeSync(fd);
      this.#setAttributes(temporary, found.entry);
      renameSync(temporary, at);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
  }

  /** Owner before mode, for changing the owner clears setuid bits; who may not give owners gives no such bits either. */
  #setAttributes(at: Buffer, { mode, uid, gid, mtimeNs, type }: Entry): void {
    let bits = mode;
    const now = lstatSync(at);
    if (now.uid !== uid || now.gid !== gid) {
      if (process.getuid?.() === 0) lchownSync(at, uid, gid);
      else {
        this.#result.foreignOwners++;
        bits &= 0o1777;
      }
    }
    if (type !== 'symlink') chmodSync(at, bits);
    this.#files.setTimes(at, mtimeNs, mtimeNs);
  }

  #at(path: string): Buffer {
    const rest = path === this.#path ? nameOf(path) : path.slice(this.#path === '' ? 0 : this.#path.length + 1);
    const isTop = path === this.#path;
    return Buffer.concat([Buffer.from(this.#target), Buffer.from('/'), bytesOf(isTop ? rest : joined(nameOf(this.#path), rest))]);
  }

  #directoryOf(path: string): Buffer {
    const at = this.#at(path).toString('latin1');
    return Buffer.from(parentOf(at), 'latin1');
  }
}

const nodeTypes: Readonly<Record<Exclude<Entry['type'], 'file' | 'directory' | 'symlink'>, number>> = { fifo: constants.S_IFIFO, socket: constants.S_IFSOCK, 'character-device': constants.S_IFCHR, 'block-device': constants.S_IFBLK };
