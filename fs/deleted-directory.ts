/**
 * `.snapshots/@deleted`: what was deleted in the last day, in the directories it was in. A present directory shows what it lost and leads to those of its directories that
 * lost something; a deleted one shows what it had lost by then, which is all that was in it. In: names. Out: snapshot nodes with their answers.
 *
 * Invariants:
 * 1. A deleted file is shown as of the last moment before it was deleted, by a node of that snapshot: permissions, contents and attributes are those of snapshots.
 * 2. The directories on the way are asked about as they are now (permission.ts) and as they were at that moment (permission-then.ts), for each caller: the kernel
 *    remembers none of these names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller, FileId, NodeReply } from '../native/types.js';
import { directoryType } from '../engine/attributes.js';
import type { Excludes } from '../engine/excludes.js';
import type { History } from '../engine/ports.js';
import type { DeletedContents, DeletedName } from '../engine/types.js';
import { sizeOf } from './attributes.js';
import { nameDeleted } from './deleted-names.js';
import type { DeletedNames, ShownEntry } from './deleted-names.js';
import { ErrnoError, errnoOf } from './errno.js';
import type { ListedNode } from './listing.js';
import type { NodeTable } from './node-table.js';
import type { PermissionOfNow } from './permission.js';
import { groupsOf, mightThen } from './permission-then.js';
import { DeletedNode, inodeNumber, inodeOf } from './snapshot-node.js';
import type { ListNode } from './snapshot-node.js';

/** The name in `.snapshots`. */
export const deletedName = Buffer.from('@deleted');

interface Native {
  stat(file: FileId, path: Buffer | null): Buffer;
  xattrs(file: FileId, path: Buffer | null): { name: Buffer; value: Buffer }[];
}

interface Parts {
  readonly history: Pick<History, 'bin' | 'attributes' | 'xattrs' | 'pathOf' | 'pathHint'>;
  readonly native: Native;
  readonly table: NodeTable;
  readonly permission: PermissionOfNow;
  readonly excludes: Excludes;
}

/** How long a listing of `.snapshots` waits to know whether there is anything in `@deleted`. */
const patienceMs = 20;
const maskRead = 4;
const maskSearch = 1;

export class DeletedDirectories {
  readonly #parts: Parts;
  /** A directory is asked for each of its names. */
  readonly #names = new WeakMap<DeletedContents, DeletedNames>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** `@deleted` itself. */
  async top(list: ListNode): Promise<NodeReply> {
    return this.describe(this.#parts.table.deletedDirectory(list, 'deleted', list.directory, undefined));
  }

  /** `@deleted` as an entry of `.snapshots`; none while there is nothing in it. Where very much was deleted a listing does not wait until all of that is known. */
  async listedIn(list: ListNode): Promise<ListedNode[]> {
    const contents = await Promise.race([this.#parts.history.bin.deletedIn(list.directory), sleep(patienceMs)]);
    const isEmpty = contents !== undefined && contents.deleted.length + contents.below.length === 0;
    return isEmpty ? [] : [{ ...await this.top(list), name: deletedName, plan: undefined }];
  }

  async describe(node: DeletedNode): Promise<NodeReply> {
    const { history, native } = this.#parts;
    const attributes = node.snapshot === undefined ? native.stat(node.file, history.pathHint(node.file)) : await history.attributes(node.snapshot, node.file);
    return { node: node.number, ino: inodeOf(node), attributes, timeoutMs: 0 };
  }

  async lookup(node: DeletedNode, name: Buffer, caller: Caller): Promise<NodeReply> {
    this.#parts.permission.requireSearch(node, caller);
    const entry = (await this.#namesIn(node)).find(name.toString('latin1'));
    if (entry === undefined) throw new ErrnoError('ENOENT', 'nothing of this name was deleted here');
    if (!(await this.#mightThen(node, entry, caller, groupsOf(caller), maskSearch))) throw new ErrnoError('EACCES', 'not permitted then');
    return this.#reply(node, entry);
  }

  /** What the caller may know of. */
  async list(node: DeletedNode, caller: Caller): Promise<ListedNode[]> {
    this.#parts.permission.requireRead(node, caller);
    const groups = groupsOf(caller);
    const listed: ListedNode[] = [];
    for (const [name, entry] of (await this.#namesIn(node)).listed) {
      if (!(await this.#mightThen(node, entry, caller, groups, maskRead))) continue;
      const reply = await this.#replyIfThere(node, entry);
      if (reply !== undefined) listed.push({ ...reply, name: Buffer.from(name, 'latin1'), plan: undefined });
    }
    return listed;
  }

  /** The kernel asks for ACLs. */
  xattrs(node: DeletedNode): Promise<readonly { readonly name: Buffer; readonly value: Buffer }[]> {
    const { history, native } = this.#parts;
    return node.snapshot === undefined ? Promise.resolve(native.xattrs(node.file, history.pathHint(node.file))) : history.xattrs(node.snapshot, node.file);
  }

  async #namesIn(node: DeletedNode): Promise<DeletedNames> {
    const { history, excludes } = this.#parts;
    const contents = await history.bin.deletedIn(node.file);
    const known = this.#names.get(contents);
    if (known !== undefined) return known;
    const isShown = (entry: DeletedName): boolean => {
      const name = entry.name.toString('latin1');
      const above = excludes.byNameAlone ? undefined : history.pathOf(entry.snapshot, node.file)?.toString('latin1');
      return !excludes.hides(name, above === undefined ? name : `${above}/${name}`.replace(/^\/+/, ''));
    };
    const names = nameDeleted({ deleted: contents.deleted.filter(isShown), below: contents.below });
    this.#names.set(contents, names);
    return names;
  }

  /** Might the caller do so in the directory, and search those above, at the moment that shows the entry? */
  async #mightThen(node: DeletedNode, entry: ShownEntry, caller: Caller, groups: readonly number[], mask: number): Promise<boolean> {
    if (caller.uid === 0 || 'below' in entry) return true;
    const { history } = this.#parts;
    const { snapshot } = entry.deleted;
    for (let at: DeletedNode | ListNode = node; at instanceof DeletedNode; at = at.parent) {
      const then = { attributes: await history.attributes(snapshot, at.file), xattrs: await history.xattrs(snapshot, at.file) };
      if (!mightThen(then, caller, groups, at === node ? mask : maskSearch)) return false;
    }
    return true;
  }

  async #replyIfThere(node: DeletedNode, entry: ShownEntry): Promise<NodeReply | undefined> {
    try {
      return await this.#reply(node, entry);
    } catch (error) {
      // Its history was given up at this very moment, or what shows it is damaged: the others are shown.
      if (['ENOENT', 'EIO'].includes(errnoOf(error).code)) return undefined;
      throw error;
    }
  }

  async #reply(node: DeletedNode, entry: ShownEntry): Promise<NodeReply> {
    const { history, table } = this.#parts;
    if ('below' in entry) return this.describe(table.deletedDirectory(node, entry.below.name.toString('latin1'), entry.below.file, undefined));
    const { name, file, type, snapshot } = entry.deleted;
    if (type === directoryType) return this.describe(table.deletedDirectory(node, `${snapshot}/${name.toString('latin1')}`, file, snapshot));
    const attributes = await history.attributes(snapshot, file);
    return { node: table.deletedFile(node, name, entry.deleted, sizeOf(attributes)).number, ino: inodeNumber(snapshot, file), attributes, timeoutMs: 0 };
  }
}
