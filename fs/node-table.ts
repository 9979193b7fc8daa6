/**
 * Which node has which number. In: what a lookup or listing has found. Out: nodes for the numbers the kernel sends.
 *
 * Invariants:
 * 1. The same (`.snapshots`, snapshot, path) has the same number until the kernel forgets it, or `renumber` is called; numbers are never used twice.
 * 2. A node is in the table while the kernel knows it or a child of it is in the table, and not longer.
 * 3. Numbers lie in 1 … 2^48.
 */
import assert from 'node:assert';
import type { FileId, RestoredNode, Txid } from '../native/types.js';
import { ErrnoError } from './errno.js';
import { DeletedNode, FileNode, ListNode } from './snapshot-node.js';
import type { InnerNode, SnapshotNode } from './snapshot-node.js';

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

  /** The nodes known now stay; whoever comes to a `.snapshots` from now on is told others, and the kernel then drops what it remembers below the old ones. */
  renumber(): void {
    this.#lists.clear();
  }

  /** The directory of a `.snapshots` as of a snapshot, about to be told to the kernel. */
  snapshot(parent: ListNode, snapshot: Txid): FileNode {
    return this.#fileChild(parent, String(snapshot), { snapshot, file: parent.directory }, 0);
  }

  /** An entry of a directory as of its snapshot, about to be told to the kernel. `size`: in bytes, as of the snapshot. */
  entry(parent: FileNode, name: Buffer, file: FileId, size: number): FileNode {
    return this.#fileChild(parent, name.toString('latin1'), { snapshot: parent.snapshot, file }, size);
  }

  /** A directory of `@deleted`, about to be told to the kernel. `snapshot`: of one that was deleted itself. */
  deletedDirectory(parent: ListNode | DeletedNode, key: string, file: FileId, snapshot: Txid | undefined): DeletedNode {
    return this.#child(parent, key, (node): node is DeletedNode => node instanceof DeletedNode && node.file === file, () => new DeletedNode(this.#nextNumber(), parent, key, file, snapshot));
  }

  /** A deleted file, about to be told to the kernel. `size`: in bytes, as of the snapshot. */
  deletedFile(parent: DeletedNode, name: Buffer, shown: { readonly snapshot: Txid; readonly file: FileId }, size: number): FileNode {
    // The same name may have been deleted several times.
    return this.#fileChild(parent, `${shown.snapshot}/${name.toString('latin1')}`, shown, size);
  }

  /** What the kernel was told by the daemon before this one. A node of which too little is known is not made: its requests get ESTALE. */
  restore({ node: number, parent: parentNumber, snapshot, file, size }: RestoredNode, name: Buffer): void {
    this.#lastNumber = Math.max(this.#lastNumber, number);
    if (file === 0n) return;
    if (snapshot === undefined) {
      const list = new ListNode(number, file);
      list.isKnown = true;
      // As after `renumber`: what that daemon was about to have the kernel drop is dropped.
      this.#byNumber.set(number, list);
      return;
    }
    const parent = this.#byNumber.get(parentNumber);
    if (parent === undefined) return;
    const key = parent instanceof ListNode ? String(snapshot) : name.toString('latin1');
    const node = new FileNode(number, parent, key, snapshot, file, size);
    node.isKnown = true;
    parent.children ??= new Map();
    parent.children.set(key, node);
    this.#byNumber.set(number, node);
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

  #fileChild(parent: SnapshotNode, key: string, { snapshot, file }: { readonly snapshot: Txid; readonly file: FileId }, size: number): FileNode {
    // History does not change, so a name keeps its file; should an index rebuilt meanwhile know better, the old number must not show the new file.
    return this.#child(parent, key, (node): node is FileNode => node instanceof FileNode && node.file === file, () => new FileNode(this.#nextNumber(), parent, key, snapshot, file, size));
  }

  #child<Node extends InnerNode>(parent: SnapshotNode, key: string, isSame: (node: InnerNode) => node is Node, make: () => Node): Node {
    parent.children ??= new Map();
    const known = parent.children.get(key);
    const node = known !== undefined && isSame(known) ? known : make();
    if (node !== known) {
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
        if (this.#lists.get(node.directory) === node) this.#lists.delete(node.directory);
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
