/**
 * Files that a lane keeps open, as databases do. In: handles, by the file they lead to. Out: one of them for each write and each sync.
 *
 * Invariants:
 * 1. Handles go with the file, not with its name: after a rename they lead to where the file is now, after its last unlink to no name at all.
 * 2. No file is held twice at a time.
 */
import type { FileHandle } from 'node:fs/promises';

export class HeldFiles {
  readonly #handles = new Map<number, readonly FileHandle[]>();

  /** The handles of a node; undefined when it is not held. */
  of(node: number | undefined): readonly FileHandle[] | undefined {
    return node === undefined ? undefined : this.#handles.get(node);
  }

  /** Opens a node so often, and closes all that when the act is over. */
  async during(node: number, handleCount: number, open: () => Promise<FileHandle>, act: () => Promise<void>): Promise<void> {
    if (this.#handles.has(node)) throw new RangeError(`file ${node} is held already`);
    const handles: FileHandle[] = [];
    this.#handles.set(node, handles);
    try {
      for (let count = 0; count < handleCount; count += 1) handles.push(await open());
      await act();
    } finally {
      this.#handles.delete(node);
      for (const handle of handles) await handle.close();
    }
  }
}
