/**
 * The permission of now. The kernel itself checks modes and ACLs of then; here is checked that the caller would still get in today: by the
 * file as it is now (with its present parents), and by every directory of the path it had then, as that directory is now. In: a node and
 * a caller. Out: nothing, or EACCES thrown.
 *
 * Invariants:
 * 1. A file that is opened, and the directory it was in, are asked about anew each time; only directories further up are remembered, for at most
 *    a second and never across a change of permissions (`changed`).
 * 2. uid 0 passes, as it does in the kernel.
 */
import type { Caller, FileId, NativeVolume } from '../native/types.js';
import type { History } from '../engine/ports.js';
import { ErrnoError, errnoName } from './errno.js';
import { ListNode } from './snapshot-node.js';
import type { InnerNode } from './snapshot-node.js';

const maskRead = 4;
const maskSearch = 1;
const memoryMs = 1000;

/** Decides about callers; one per mount. */
export interface PermissionOfNow {
  /** Throws EACCES unless the caller may read the file today. */
  requireRead(node: InnerNode, caller: Caller): void;
  /** Throws EACCES unless the caller may look names up in the directory today. */
  requireSearch(node: InnerNode, caller: Caller): void;
  /** Permissions of live files have changed. */
  changed(): void;
}

/** `--snapshot-access=then`: the kernel's check of then is all there is. */
export const noPermissionOfNow: PermissionOfNow = {
  requireRead: () => undefined,
  requireSearch: () => undefined,
  changed: () => undefined,
};

/** Asks the addon what the kernel would say today. */
export class LivePermission implements PermissionOfNow {
  readonly #native: Pick<NativeVolume, 'access'>;
  readonly #history: Pick<History, 'pathHint'>;
  /** Directories that callers may search: by "uid:gid:pid". Only consents are kept. */
  #mayEnter = new Map<string, Set<FileId>>();
  #rememberedSinceMs = 0;

  constructor(native: Pick<NativeVolume, 'access'>, history: Pick<History, 'pathHint'>) {
    this.#native = native;
    this.#history = history;
  }

  requireRead(node: InnerNode, caller: Caller): void {
    this.#requirePath(node, caller, maskRead);
  }

  requireSearch(node: InnerNode, caller: Caller): void {
    this.#requirePath(node, caller, maskSearch);
  }

  changed(): void {
    this.#mayEnter.clear();
  }

  #requirePath(node: InnerNode, caller: Caller, mask: number): void {
    if (caller.uid === 0) return;
    this.#ask(node.file, caller, mask);
    if (node.parent instanceof ListNode) return;
    this.#ask(node.parent.file, caller, maskSearch);
    const consents = this.#consentsOf(caller);
    for (let above = node.parent.parent; !(above instanceof ListNode); above = above.parent) {
      if (consents.has(above.file)) continue;
      this.#ask(above.file, caller, maskSearch);
      consents.add(above.file);
    }
  }

  #ask(file: FileId, caller: Caller, mask: number): void {
    const refusal = this.#native.access(file, this.#history.pathHint(file), caller, mask);
    if (refusal !== 0) throw new ErrnoError(errnoName(refusal), 'not permitted today');
  }

  /** The pid is part of the key because supplementary groups belong to the process; the second bounds what a change of those can do. */
  #consentsOf(caller: Caller): Set<FileId> {
    const nowMs = performance.now();
    if (nowMs - this.#rememberedSinceMs > memoryMs) {
      this.#mayEnter.clear();
      this.#rememberedSinceMs = nowMs;
    }
    const key = `${caller.uid}:${caller.gid}:${caller.pid}`;
    let consents = this.#mayEnter.get(key);
    if (consents === undefined) {
      consents = new Set();
      this.#mayEnter.set(key, consents);
    }
    return consents;
  }
}
