/**
 * The nodes the kernel knows below `.snapshots`: a `.snapshots` directory itself (ListNode), a file or directory as
 * of a snapshot (FileNode), and a directory of `@deleted` (DeletedNode). Made and kept by node-table.ts; read by everything else here. There can be millions, so a
 * node holds references and numbers only: no closures, no buffers, no attributes but the size.
 *
 * Invariants:
 * 1. What a node stands for never changes; only `children`, `isKnown` and `guard` do.
 * 2. A node's parent is in the table while the node is.
 */
import type { FileId, Txid } from '../native/types.js';

export type SnapshotNode = ListNode | FileNode | DeletedNode;

/** What has a parent. */
export type InnerNode = FileNode | DeletedNode;

/** `.snapshots` of one live directory. */
export class ListNode {
  /** The number the kernel knows the node by, from 1. */
  readonly number: number;
  readonly directory: FileId;
  /** Snapshot nodes by txid in decimal; "deleted" for what was deleted. */
  children: Map<string, InnerNode> | undefined = undefined;
  /** true from the answer that told the kernel the number until the kernel forgot it. */
  isKnown = false;

  constructor(number: number, directory: FileId) {
    this.number = number;
    this.directory = directory;
  }
}

/** A file, directory, symlink or special file as it stood at a snapshot, by one of its paths. */
export class FileNode {
  /** The number the kernel knows the node by, from 1. */
  readonly number: number;
  readonly parent: SnapshotNode;
  /** Key among the parent's children: the name's bytes as latin1; below a ListNode the txid in decimal; below a DeletedNode txid and name. */
  readonly key: string;
  readonly snapshot: Txid;
  readonly file: FileId;
  /** Bytes at the snapshot. */
  readonly size: number;
  children: Map<string, InnerNode> | undefined = undefined;
  /** true from the answer that told the kernel the number until the kernel forgot it. */
  isKnown = false;
  /** Memory of guard.ts: 0 nothing, else twice the generation, plus 1 when guarded. */
  guard = 0;

  constructor(number: number, parent: SnapshotNode, key: string, snapshot: Txid, file: FileId, size: number) {
    this.number = number;
    this.parent = parent;
    this.key = key;
    this.snapshot = snapshot;
    this.file = file;
    this.size = size;
  }
}

/** A directory, present or deleted, with what was deleted in it. */
export class DeletedNode {
  /** The number the kernel knows the node by, from 1. */
  readonly number: number;
  readonly parent: ListNode | DeletedNode;
  readonly key: string;
  /** The directory. */
  readonly file: FileId;
  /** The last moment that shows the directory; undefined when it is there still. */
  readonly snapshot: Txid | undefined;
  children: Map<string, InnerNode> | undefined = undefined;
  /** true from the answer that told the kernel the number until the kernel forgot it. */
  isKnown = false;

  constructor(number: number, parent: ListNode | DeletedNode, key: string, file: FileId, snapshot: Txid | undefined) {
    this.number = number;
    this.parent = parent;
    this.key = key;
    this.file = file;
    this.snapshot = snapshot;
  }
}

/** Stand in for a snapshot in the inode numbers of `.snapshots` itself and of `@deleted`; no transaction ever has these numbers. */
const listMark = 0xffff_ffff_ffff_ffffn;
const deletedMark = 0xffff_ffff_ffff_fffen;

// Scratch shared by all calls: a call runs to its end without a turn of the event loop in between.
const wide = new BigUint64Array(4);
const narrow = new Uint32Array(wide.buffer);

/** The inode number to show for a node: stable, the same for all hard links within a snapshot, top bit set (live numbers of common file systems have it clear). */
export function inodeOf(node: SnapshotNode): bigint {
  if (node instanceof ListNode) return inodeNumber(listMark, node.directory);
  return inodeNumber(node instanceof DeletedNode ? deletedMark : node.snapshot, node.file);
}

/** A 63-bit hash of snapshot and file, top bit set. Two lanes of murmur3's mixing: plain numbers, as bigint arithmetic would cost more than the rest of a lookup. */
export function inodeNumber(snapshot: bigint, file: FileId): bigint {
  wide[0] = snapshot;
  wide[1] = file;
  wide[2] = file >> 64n;
  let low = 0x9747b28c;
  let high = 0x3c6ef372;
  for (let index = 0; index < 6; index++) {
    const word = narrow[index] ?? 0;
    low = mix(low, word);
    high = mix(high, word ^ 0xa5a5a5a5);
  }
  narrow[6] = finish(low ^ (high >>> 7));
  narrow[7] = (finish(high) | 0x8000_0000) >>> 0;
  return wide[3] ?? 0n;
}

function mix(hash: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e2d51);
  const turned = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
