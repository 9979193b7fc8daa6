/**
 * Which node has which number. In: what a lookup or listing has found. Out: nodes for the numbers the kernel sends.
 *
 * Invariants:
 * 1. The same (`.snapshots`, snapshot, path) has the same number until the kernel forgets it; numbers are never used twice.
 * 2. A node is in the table while the kernel knows it or a child of it is in the table, and not longer.
 * 3. Numbers lie in 1 … 2^48.
 */
import assert from 'node:assert';
import type { FileId, Txid } from '../native/types.js';
import { ErrnoError } from './errno.js';
import { FileNode, ListNode } from './snapshot-node.js';
import type { SnapshotNode } from './snapshot-node.js';

const largestNumber = 2 ** 48;

export class NodeTable {
  readonly #byNumber = new Map<number, SnapshotNode>();
  readonly #lists = new Map<FileId, ListNode>();
  #lastNumber = 0;

  /** Nodes held, for tests of memory. */
  get size(): number {
    return this.#byNumber.size;
  }

  /** The node the kernel means. Throws ESTALE for a forgotten one: the kernel then looks its path up again. */
  get(number: number): SnapshotNode {
    const node = this.#byNumber.get(number);
    if (node === undefined) throw new ErrnoError('ESTALE', `node ${number} was forgotten`);
    return node;
  }

  find(number: number): SnapshotNode | undefined {
    return this.#byNumber.get(number);
  }

  /** The `.snapshots` of a live directory, about to be told to the kernel. */
  list(directory: FileId): ListNode {
    let node = this.#lists.get(directory);
    if (node === undefined) {
      node = new ListNode(this.#nextNumber(), directory);
      this.#lists.set(directory, node);
      this.#byNumber.set(node.number, node);
    }
    node.isKnown = true;
    return node;
  }

  /** The directory of a `.snapshots` as of a snapshot, about to be told to the kernel. */
  snapshot(parent: ListNode, snapshot: Txid): FileNode {
    return this.#child(parent, String(snapshot), snapshot, parent.directory, 0);
  }

  /** An entry of a directory as of its snapshot, about to be told to the kernel. `size`: in bytes, as of the snapshot. */
  entry(parent: FileNode, name: Buffer, file: FileId, size: number): FileNode {
    return this.#child(parent, name.toString('latin1'), parent.snapshot, file, size);
  }

  /** The kernel has dropped these numbers. Numbers it never had, or dropped before, are passed over. */
  forget(numbers: readonly number[]): void {
    for (const number of numbers) {
      const node = this.#byNumber.get(number);
      if (node === undefined) continue;
      node.isKnown = false;
      this.#release(node);
    }
  }

  #child(parent: SnapshotNode, key: string, snapshot: Txid, file: FileId, size: number): FileNode {
    parent.children ??= new Map();
    let node = parent.children.get(key);
    // History does not change, so a name keeps its file; should an index rebuilt meanwhile know better, the old number must not show the new file.
    if (node === undefined || node.file !== file) {
      node = new FileNode(this.#nextNumber(), parent, key, snapshot, file, size);
      parent.children.set(key, node);
      this.#byNumber.set(node.number, node);
    }
    node.isKnown = true;
    return node;
  }

  /** Removes a node that nobody needs, and then whichever of its ancestors were kept for its sake alone. */
  #release(start: SnapshotNode): void {
    let node: SnapshotNode | undefined = start;
    while (node !== undefined && !node.isKnown && (node.children === undefined || node.children.size === 0)) {
      this.#byNumber.delete(node.number);
      if (node instanceof ListNode) {
        this.#lists.delete(node.directory);
        node = undefined;
      } else {
        const parent: SnapshotNode = node.parent;
        if (parent.children?.get(node.key) === node) parent.children.delete(node.key);
        node = parent;
      }
    }
  }

  #nextNumber(): number {
    assert(this.#lastNumber < largestNumber, 'node numbers are used up');
    return ++this.#lastNumber;
  }
}
