/**
 * May the kernel remember names of a directory of then? It walks remembered names without asking, for every user alike, checking modes and ACLs of
 * then only. That is right while the directory lets the same people in today; a directory that differs is *guarded*: its names are asked for each time,
 * so that permission.ts sees every caller; it asks about all directories above as well, so what lies deeper needs no guard of its own. In: a directory
 * node. Out: the time its children may be remembered, in milliseconds.
 *
 * Invariants:
 * 1. A directory is guarded when its mode, owner or access ACL now differ from then, or when it is not where it was. What cannot be found
 *    out counts as different.
 * 2. A decision made before a change of permissions (`changed`) is not used after it. The addon reports a change after it took effect, and the next walk through
 *    `.snapshots` has the kernel drop what it remembers (NodeTable.renumber), so an answer that was sent in between does not outlive it. What is below a directory that a process
 *    holds open escapes that; it is asked for again when `namesTimeoutMs` is over.
 */
import type { NativeVolume } from '../native/types.js';
import type { History } from '../engine/ports.js';
import { ownershipDiffers } from './attributes.js';
import { FileNode } from './snapshot-node.js';

/** How long the kernel may remember what cannot change: a day. */
export const longTimeoutMs = 86_400_000;
/** How long it may remember a name in a directory that is as it was: long enough for a copy to ask once, short enough for what invariant 2 says. */
export const namesTimeoutMs = 10_000;

const accessList = Buffer.from('system.posix_acl_access');

export interface Guard {
  /** How long the kernel may remember the children of a directory, in milliseconds; 0 = ask each time. A promise only when it has to be found out. */
  childTimeoutMs(directory: FileNode): number | Promise<number>;
  /** Permissions of live files have changed. */
  changed(): void;
}

/** `--snapshot-access=then`: what was then is all that counts. */
export const noGuard: Guard = {
  childTimeoutMs: () => longTimeoutMs,
  changed: () => undefined,
};

/** Compares directories of then with themselves as they are now. */
export class LiveGuard implements Guard {
  readonly #native: Pick<NativeVolume, 'stat' | 'xattrs' | 'lookup' | 'isObject'>;
  readonly #history: Pick<History, 'attributes' | 'xattrs' | 'pathHint'>;
  /** Counts changes of permissions, from 1. */
  #generation = 1;

  constructor(
    native: Pick<NativeVolume, 'stat' | 'xattrs' | 'lookup' | 'isObject'>,
    history: Pick<History, 'attributes' | 'xattrs' | 'pathHint'>,
  ) {
    this.#native = native;
    this.#history = history;
  }

  childTimeoutMs(directory: FileNode): number | Promise<number> {
    if (directory.guard === this.#generation * 2) return namesTimeoutMs;
    if (directory.guard === this.#generation * 2 + 1) return 0;
    return this.#findOut(directory);
  }

  changed(): void {
    this.#generation++;
  }

  async #findOut(directory: FileNode): Promise<number> {
    const generation = this.#generation;
    const isGuarded = await this.#differs(directory);
    if (generation !== this.#generation) return 0;
    directory.guard = generation * 2 + (isGuarded ? 1 : 0);
    return isGuarded ? 0 : namesTimeoutMs;
  }

  async #differs(directory: FileNode): Promise<boolean> {
    try {
      const then = await this.#history.attributes(directory.snapshot, directory.file);
      const hint = this.#history.pathHint(directory.file);
      if (ownershipDiffers(then, this.#native.stat(directory.file, hint))) return true;
      if (this.#isElsewhere(directory)) return true;
      const listThen = accessListOf(await this.#history.xattrs(directory.snapshot, directory.file));
      const listNow = accessListOf(this.#native.xattrs(directory.file, hint));
      return Buffer.compare(listThen, listNow) !== 0;
    } catch {
      return true;
    }
  }

  /** true when the name of then leads to something else now. A directory that was removed has no place today, and keeps its own permissions. */
  #isElsewhere(directory: FileNode): boolean {
    const above = directory.parent;
    if (!(above instanceof FileNode) || this.#native.isObject(directory.file)) return false;
    const name = Buffer.from(directory.key, 'latin1');
    return this.#native.lookup(above.file, this.#history.pathHint(above.file), name)?.file !== directory.file;
  }
}

function accessListOf(attributes: readonly { readonly name: Buffer; readonly value: Buffer }[]): Buffer {
  return attributes.find((attribute) => attribute.name.equals(accessList))?.value ?? Buffer.alloc(0);
}
