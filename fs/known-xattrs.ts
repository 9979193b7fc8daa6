/**
 * Extended attributes of files of then, kept for a while: Samba asks a dozen times for one file (DOS attributes, access lists, streams), once for
 * each name, and each time all of them would be looked for. In: nodes. Out: their attributes.
 *
 * Invariants:
 * 1. What was found is told again, since a file of then does not change; what could not be found out is tried again.
 * 2. Of at most `mostNodes` nodes something is kept; who was asked for longest ago goes first.
 */
import type { FileNode } from './snapshot-node.js';

/** An attribute with its whole name, as "user.colour". */
export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** A walk asks for a directory again after each of its files; there are some walks at a time, none with many directories open. */
const mostNodes = 64;

export class KnownXattrs {
  readonly #find: (node: FileNode) => Promise<readonly Xattr[]>;
  readonly #known = new Map<FileNode, Promise<readonly Xattr[]>>();

  constructor(find: (node: FileNode) => Promise<readonly Xattr[]>) {
    this.#find = find;
  }

  /** All attributes of a file as of its snapshot. Rejects as the history does. */
  of(node: FileNode): Promise<readonly Xattr[]> {
    const found = this.#known.get(node) ?? this.#findNow(node);
    this.#known.delete(node);
    this.#known.set(node, found);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size > mostNodes) this.#known.delete(oldest);
    return found;
  }

  #findNow(node: FileNode): Promise<readonly Xattr[]> {
    const finding = this.#find(node);
    finding.catch(() => this.#known.delete(node));
    return finding;
  }
}
