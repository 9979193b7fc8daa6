/**
 * A live tree in memory, as the backing file system would hold it: inodes, names, attributes. Pure state; memory-native.ts adds the
 * log. In: changes. Out: what stat, readdir and the like would say.
 *
 * Invariants:
 * 1. An inode is never forgotten and its number never used again.
 * 2. A file's content is never changed in place: every write makes a new buffer, so a reference to one is a snapshot of it.
 */
import { directoryType, encodeAttributes, formatMask } from '../../engine/attributes.js';
import { makeFileId } from '../../engine/ids.js';
import type { Attributes, FileId } from '../../engine/types.js';

export interface MemoryInode {
  readonly file: FileId;
  mode: number;
  uid: number;
  nlink: number;
  content: Buffer;
  mtimeNs: bigint;
  ctimeNs: bigint;
  readonly xattrs: Map<string, Buffer>;
  readonly names: Map<string, FileId>;
}

export class MemoryTree {
  readonly inodes = new Map<FileId, MemoryInode>();
  readonly root: MemoryInode;
  #nextInode = 100n;

  constructor() {
    this.root = this.make(directoryType | 0o755, 0n);
    this.root.nlink = 2;
  }

  make(mode: number, timeNs: bigint): MemoryInode {
    const file = makeFileId(this.#nextInode++, Number(this.#nextInode % 3n) + 1);
    const inode: MemoryInode = {
      file, mode, uid: 0, nlink: 0, content: Buffer.alloc(0), mtimeNs: timeNs, ctimeNs: timeNs, xattrs: new Map(), names: new Map(),
    };
    this.inodes.set(file, inode);
    return inode;
  }

  get(file: FileId): MemoryInode {
    const inode = this.inodes.get(file);
    if (inode === undefined) throw Object.assign(new Error(`no inode ${file}`), { code: 'ENOENT' });
    return inode;
  }

  type(inode: MemoryInode): number {
    return inode.mode & formatMask;
  }

  isDirectory(inode: MemoryInode): boolean {
    return this.type(inode) === directoryType;
  }

  attributes(inode: MemoryInode): Attributes {
    const size = BigInt(inode.content.length);
    return {
      mode: inode.mode, uid: inode.uid, gid: 0, nlink: inode.nlink, rdev: 0n, size, blocks: (size + 511n) / 512n,
      atimeNs: 0n, mtimeNs: inode.mtimeNs, ctimeNs: inode.ctimeNs,
    };
  }

  packed(inode: MemoryInode): Buffer {
    return encodeAttributes(this.attributes(inode));
  }

  /** Every directory that can be reached, the root first. */
  directories(): MemoryInode[] {
    const found: MemoryInode[] = [this.root];
    for (const directory of found) {
      for (const file of directory.names.values()) {
        const inode = this.get(file);
        if (this.isDirectory(inode)) found.push(inode);
      }
    }
    return found;
  }

  /** true when `directory` lies in `above`, or is it. */
  isBelow(directory: MemoryInode, above: MemoryInode): boolean {
    const waiting = [above];
    for (const at of waiting) {
      if (at === directory) return true;
      for (const file of at.names.values()) if (this.isDirectory(this.get(file))) waiting.push(this.get(file));
    }
    return false;
  }
}
