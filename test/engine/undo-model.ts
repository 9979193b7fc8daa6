/**
 * Two actors who change a small tree by chance, for tests of undoing one of them: the changes go through the engine's tree in memory, and those of the other alone are made again in a
 * plain copy beside it, on the same files (whatever they are called there).
 */
import { directoryType, regularType } from '../../engine/attributes.js';
import { crc32c } from '../../engine/crc32c.js';
import { nameOperation } from '../../engine/log-bodies.js';
import type { FileId } from '../../engine/types.js';
import type { MemoryNative } from '../support/memory-native.js';
import type { MemoryInode } from '../support/memory-tree.js';
import type { Random } from '../support/seed.js';

export const mine = { uid: 1, gid: 1, pid: 101, command: 'mine' };
const others = { uid: 2, gid: 2, pid: 102, command: 'others' };
const block = 4096;

/** A plain tree beside: what is only the other's. */
export interface Plain {
  type: number;
  mode: number;
  content: Buffer;
  readonly xattrs: Map<string, string>;
  readonly names: Map<string, Plain>;
}

/** A change, and the same in the plain tree (where it may not be possible: then the planner must have found a conflict). */
interface Change {
  /** For whom a failure is told. */
  readonly text: string;
  readonly act: () => void;
  readonly copy: () => void;
}

export class Round {
  readonly top: MemoryInode;
  readonly plain: Plain;
  readonly #native: MemoryNative;
  readonly #random: Random;
  readonly #twins = new Map<FileId, Plain>();
  /** What was done. */
  readonly told: string[] = [];

  constructor(native: MemoryNative, random: Random, name: string) {
    this.#native = native;
    this.#random = random;
    native.actor = { uid: 0, gid: 0, pid: 100, command: 'setup' };
    this.top = native.create(native.tree.root, name, directoryType | 0o755, nameOperation.mkdir);
    native.barrier('name');
    this.plain = plain(directoryType | 0o755);
    this.#twins.set(this.top.file, this.plain);
    for (let count = 4 + random.below(6); count > 0; count--) this.#change(true);
  }

  /** One change of mine or of the other; false when chance chose one that cannot be made. */
  step(): boolean {
    const isMine = this.#random.oneIn(2);
    this.#native.actor = isMine ? mine : others;
    return this.#change(!isMine);
  }

  #change(isCopied: boolean): boolean {
    const change = this.#choose();
    if (change === undefined) return false;
    change.act();
    this.#native.barrier('name');
    this.told.push(`txn-${this.#native.txid - 1} ${this.#native.actor?.command}: ${change.text}`);
    if (isCopied) change.copy();
    return true;
  }

  #choose(): Change | undefined {
    const random = this.#random;
    const [all, directories] = [this.#inodes(), this.#directories()];
    const files = all.filter((inode) => !this.#native.tree.isDirectory(inode));
    const directory = random.pick(directories);
    const name = random.pick(['x', 'y', 'z']);
    const kind = random.pick(['create', 'create', 'mkdir', 'write', 'write', 'write', 'append', 'truncate', 'mode', 'xattr', 'unlink', 'rename', 'rename', 'link']);
    const file = files.length === 0 ? undefined : random.pick(files);
    switch (kind) {
      case 'create': return this.#create(directory, name, regularType | 0o644);
      case 'mkdir': return this.#create(directory, name, directoryType | 0o755);
      case 'write': return file && this.#write(file, random.below(3) * block, block);
      case 'append': return file && this.#write(file, file.content.length, 100);
      case 'truncate': return file && this.#truncate(file, random.below(3) * block);
      case 'mode': return file && this.#mode(file, random.pick([0o600, 0o640, 0o644]));
      case 'xattr': return file && this.#xattr(file, random.pick(['user.a', 'user.b']), `${random.below(1000)}`);
      case 'unlink': return this.#unlink(directory, name);
      case 'rename': return this.#rename(directory, name, random.pick(directories), random.pick(['x', 'y', 'z']));
      default: return file && this.#link(file, directory, name);
    }
  }

  #create(directory: MemoryInode, name: string, mode: number): Change | undefined {
    if (directory.names.has(name)) return undefined;
    let made: MemoryInode | undefined;
    return {
      text: `make ${directory.file}/${name} ${mode.toString(8)}`,
      act: () => { made = this.#native.create(directory, name, mode, (mode & directoryType) === directoryType ? nameOperation.mkdir : nameOperation.create); },
      copy: () => this.#onTwin(directory, (above) => {
        if (above.names.has(name)) return;
        const twin = plain(mode);
        above.names.set(name, twin);
        this.#twins.set(made!.file, twin);
      }),
    };
  }

  #write(file: MemoryInode, offset: number, length: number): Change {
    const bytes = this.#random.bytes(length);
    return {
      text: `write ${file.file} ${offset}+${length}`,
      act: () => { this.#native.write(file, offset, bytes); },
      copy: () => this.#onTwin(file, (twin) => {
        const content = Buffer.alloc(Math.max(twin.content.length, offset + length));
        twin.content.copy(content);
        bytes.copy(content, offset);
        twin.content = content;
      }),
    };
  }

  #truncate(file: MemoryInode, size: number): Change | undefined {
    if (file.content.length === size) return undefined;
    return {
      text: `truncate ${file.file} ${size}`,
      act: () => { this.#native.truncate(file, size); },
      copy: () => this.#onTwin(file, (twin) => {
        const content = Buffer.alloc(size);
        twin.content.copy(content);
        twin.content = content;
      }),
    };
  }

  #mode(file: MemoryInode, mode: number): Change | undefined {
    if ((file.mode & 0o7777) === mode) return undefined;
    return { text: `mode ${file.file} ${mode.toString(8)}`, act: () => { this.#native.change(file, mode, file.uid); }, copy: () => this.#onTwin(file, (twin) => { twin.mode = (twin.mode & ~0o7777) | mode; }) };
  }

  #xattr(file: MemoryInode, name: string, value: string): Change {
    return { text: `xattr ${file.file} ${name}`, act: () => { this.#native.setXattr(file, name, Buffer.from(value)); }, copy: () => this.#onTwin(file, (twin) => { twin.xattrs.set(name, value); }) };
  }

  #unlink(directory: MemoryInode, name: string): Change | undefined {
    const inode = this.#child(directory, name);
    if (inode === undefined || inode.names.size > 0) return undefined;
    const twin = this.#twins.get(inode.file);
    return {
      text: `unlink ${directory.file}/${name}`,
      act: () => { this.#native.unlink(directory, name); },
      copy: () => this.#onTwin(directory, (above) => { if (twin !== undefined && above.names.get(name) === twin && twin.names.size === 0) above.names.delete(name); }),
    };
  }

  #rename(source: MemoryInode, from: string, target: MemoryInode, to: string): Change | undefined {
    const { tree } = this.#native;
    const [inode, replaced] = [this.#child(source, from), this.#child(target, to)];
    if (inode === undefined || inode === replaced || tree.isBelow(target, inode)) return undefined;
    if (replaced !== undefined && (replaced.names.size > 0 || tree.isDirectory(replaced) !== tree.isDirectory(inode))) return undefined;
    const twin = this.#twins.get(inode.file);
    return {
      text: `rename ${source.file}/${from} to ${target.file}/${to}`,
      act: () => { this.#native.rename(source, from, target, to); },
      copy: () => this.#onTwin(source, (above) => {
        if (twin !== undefined && above.names.get(from) !== twin) return;
        this.#onTwin(target, (below) => {
          // It took the place of something; that it was mine which did is the planner's to know.
          if (twin === undefined) return void below.names.delete(to);
          above.names.delete(from);
          below.names.set(to, twin);
        });
      }),
    };
  }

  #link(file: MemoryInode, directory: MemoryInode, name: string): Change | undefined {
    if (directory.names.has(name)) return undefined;
    const twin = this.#twins.get(file.file);
    return {
      text: `link ${file.file} to ${directory.file}/${name}`,
      act: () => { this.#native.link(directory, name, file); },
      copy: () => this.#onTwin(directory, (above) => { if (twin !== undefined && !above.names.has(name)) above.names.set(name, twin); }),
    };
  }

  #onTwin(inode: MemoryInode, action: (twin: Plain) => void): void {
    // What others make in a directory of mine they may move out of it: that one stands nowhere.
    if (this.#native.tree.isDirectory(inode) && !this.#twins.has(inode.file)) this.#twins.set(inode.file, plain(inode.mode));
    const twin = this.#twins.get(inode.file);
    if (twin !== undefined) action(twin);
  }

  #child(directory: MemoryInode, name: string): MemoryInode | undefined {
    const file = directory.names.get(name);
    return file === undefined ? undefined : this.#native.tree.get(file);
  }

  #inodes(): MemoryInode[] {
    const found = [this.top];
    for (const inode of found) for (const file of inode.names.values()) found.push(this.#native.tree.get(file));
    return found;
  }

  #directories(): MemoryInode[] {
    return this.#inodes().filter((inode) => this.#native.tree.isDirectory(inode));
  }
}

function plain(mode: number): Plain {
  return { type: mode & directoryType ? directoryType : regularType, mode, content: Buffer.alloc(0), xattrs: new Map(), names: new Map() };
}

/** One line a name: all that can be seen of it, hard links by the first of their names. */
export function describe(top: Plain | MemoryInode, get: (child: unknown) => Plain | MemoryInode): string[] {
  const lines: string[] = [];
  const seen = new Map<unknown, string>();
  const walk = (node: Plain | MemoryInode, path: string): void => {
    for (const [name, child] of [...node.names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [inode, at] = [get(child), `${path}/${name}`];
      const first = seen.get(inode) ?? at;
      seen.set(inode, first);
      const xattrs = [...inode.xattrs].map(([key, value]) => `${key}=${value.toString()}`).sort().join(' ');
      lines.push(`${at} ${(inode.mode & 0o177777).toString(8)} ${inode.content.length}:${crc32c(inode.content)} ${xattrs} ${first}`);
      walk(inode, at);
    }
  };
  walk(top, '');
  return lines;
}
