/**
 * Answers the requests below `.snapshots`. In: SnapshotRequest from the addon. Out: one reply each through the Session.
 *
 * Invariants:
 * 1. Every request but `forget` and `restore` is answered exactly once, whatever is thrown; requests that come before the session does wait for it.
 * 2. A node is told to the kernel in the same turn in which its number was given, so that no `forget` comes in between.
 * 3. Nothing is answered about a name or a file's contents before the permission of now was asked (permission.ts).
 * 4. Nothing here changes anything but the node table.
 */
import type { Caller, NodeReply, Plan, SnapshotRequest } from '../native/types.js';
import { directoryType } from '../engine/attributes.js';
import { messageOf } from '../engine/errors.js';
import { sizeOf } from './attributes.js';
import { ErrnoError, errnoOf } from './errno.js';
import { noExcludes } from '../engine/excludes.js';
import type { Excludes } from '../engine/excludes.js';
import { DeletedDirectories, deletedName } from './deleted-directory.js';
import { FaultLog } from './fault-log.js';
import { LiveGuard, longTimeoutMs, noGuard } from './guard.js';
import type { Guard } from './guard.js';
import { KnownXattrs } from './known-xattrs.js';
import { packListing } from './listing.js';
import type { ListedNode } from './listing.js';
import { ListingsAhead } from './listings-ahead.js';
import { NodeTable } from './node-table.js';
import { LivePermission, noPermissionOfNow } from './permission.js';
import type { PermissionOfNow } from './permission.js';
import type { SnapshotHistory, SnapshotNative, SnapshotReplies, SnapshotRequestOptions } from './request-parts.js';
import { restoreNodes } from './restored-nodes.js';
import { DeletedNode, FileNode, ListNode, inodeNumber } from './snapshot-node.js';
import type { InnerNode, SnapshotNode } from './snapshot-node.js';
import { SnapshotsDirectory } from './snapshots-dir.js';
import { SnapshotsInUse } from './snapshots-in-use.js';

type Answerable = Exclude<SnapshotRequest, { op: 'forget' | 'restore' }>;

const fileCapability = 'security.capability';
const userPrefix = 'user.';

export class SnapshotRequests {
  readonly #history: SnapshotHistory;
  readonly #table = new NodeTable();
  readonly #snapshots: SnapshotsDirectory;
  readonly #deleted: DeletedDirectories;
  readonly #permission: PermissionOfNow;
  readonly #guard: Guard;
  readonly #excludes: Excludes;
  readonly #faults: FaultLog;
  readonly #ahead: ListingsAhead;
  readonly #xattrs: KnownXattrs;
  readonly #inUse = new SnapshotsInUse();
  #replies: SnapshotReplies | undefined;
  #waiting: Answerable[] = [];

  constructor(history: SnapshotHistory, native: SnapshotNative, options: SnapshotRequestOptions) {
    this.#history = history;
    this.#snapshots = new SnapshotsDirectory(history, () => native.logState(), this.#table, options.owner);
    const checksNow = options.access === 'then-and-now';
    this.#permission = checksNow ? new LivePermission(native, history) : noPermissionOfNow;
    this.#guard = checksNow ? new LiveGuard(native, history) : noGuard;
    this.#excludes = options.excludes;
    this.#deleted = new DeletedDirectories({ history, native, table: this.#table, permission: this.#permission, excludes: options.excludes });
    this.#faults = new FaultLog(options.log);
    this.#xattrs = new KnownXattrs((node) => history.xattrs(node.snapshot, node.file));
    this.#ahead = new ListingsAhead((directory) => history.list(directory.snapshot, directory.file));
  }

  /** Nodes held for the kernel. */
  get nodeCount(): number {
    return this.#table.size;
  }

  /** Transactions whose snapshots somebody is looking at. */
  snapshotsInUse(): ReadonlySet<number> {
    const open = (this.#replies?.openSnapshotNodes() ?? []).map((number) => this.#table.find(number));
    return this.#inUse.now(open.filter((node) => node instanceof FileNode).map(({ snapshot }) => snapshot));
  }

  /** Takes a request; the answer may come in a later turn. Never throws. */
  handle(request: SnapshotRequest): void {
    if (request.op === 'forget') this.#table.forget(request.nodes);
    else if (request.op === 'restore') restoreNodes(this.#table, this.#history, request.nodes);
    else if (this.#replies === undefined) this.#waiting.push(request);
    else void this.#answer(this.#replies, request);
  }

  /** The mount is there: answers what has waited, and all that comes. */
  attach(replies: SnapshotReplies): void {
    this.#replies = replies;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) void this.#answer(replies, request);
  }

  /** Permissions of live directories have changed: what was decided by the old ones is forgotten, here and by the kernel. */
  accessChanged(): void {
    this.#permission.changed();
    this.#guard.changed();
    this.invalidate();
  }

  /** Whoever walks through a `.snapshots` from now on finds nothing that the kernel remembers. */
  invalidate(): void {
    this.#table.renumber();
    this.#replies?.invalidateSnapshots();
  }

  async #answer(replies: SnapshotReplies, request: Answerable): Promise<void> {
    try {
      await this.#dispatch(replies, request);
    } catch (error) {
      this.#refuse(replies, request, error);
    }
  }

  async #dispatch(replies: SnapshotReplies, request: Answerable): Promise<void> {
    // The index of a daemon that has just begun may have yet to hear of it.
    if (request.op !== 'root' && !this.#isKept(request.node)) await this.#requireKept(request.node);
    switch (request.op) {
      case 'root':
        return replies.replyNode(request.id, this.#snapshots.describe(this.#table.list(request.directory)));
      case 'lookup':
        return replies.replyNode(request.id, await this.#lookup(this.#table.get(request.node), request.name, request.caller));
      case 'getattr':
        return replies.replyNode(request.id, await this.#describe(this.#table.get(request.node)));
      case 'readlink':
        return replies.replyData(request.id, await this.#readLink(this.#file(request.node), request.caller));
      case 'list':
        return replies.replyListing(request.id, packListing(await this.#list(this.#table.get(request.node), request.caller)));
      case 'open': {
        const node = this.#file(request.node);
        this.#permission.requireRead(node, request.caller);
        return replies.replyPlan(request.id, await this.#plan(node));
      }
      case 'replan': {
        const node = this.#file(request.node);
        return replies.replyPlan(request.id, await this.#plan(node));
      }
      case 'getxattr':
        return replies.replyData(request.id, await this.#attribute(this.#table.get(request.node), request.name, request.caller));
      case 'listxattr':
        return replies.replyData(request.id, await this.#attributeNames(this.#table.get(request.node), request.caller));
    }
  }

  #isKept(number: number): boolean {
    const node = this.#table.get(number);
    if (!(node instanceof FileNode)) return true;
    if (this.#history.transaction(node.snapshot) === undefined) return false;
    this.#inUse.note(node.snapshot);
    return true;
  }

  /** The kernel may still know nodes of a moment that was given up. Throws ESTALE for them. */
  async #requireKept(number: number): Promise<void> {
    await this.#history.caughtUp();
    if (!this.#isKept(number)) throw new ErrnoError('ESTALE', 'the moment is no longer kept');
  }

  /** The moment that was asked about is no longer kept, so whatever failed is no fault. */
  #isGone(request: Answerable): boolean {
    const node = request.op === 'root' ? undefined : this.#table.find(request.node);
    return node instanceof FileNode && this.#history.transaction(node.snapshot) === undefined;
  }

  #refuse(replies: SnapshotReplies, request: Answerable, error: unknown): void {
    const { code, isFault } = this.#isGone(request) ? { code: 'ESTALE', isFault: false } : errnoOf(error);
    if (isFault) this.#faults.tell(`.snapshots: ${request.op} answered with ${code}: ${messageOf(error)}`);
    try {
      replies.replyError(request.id, code);
    } catch (refusal) {
      // The addon knows the id no more: the mount has ended, or the reply that threw had been sent.
      this.#faults.tell(`.snapshots: ${request.op} could not be answered: ${messageOf(refusal)}`);
    }
  }

  async #lookup(node: SnapshotNode, name: Buffer, caller: Caller): Promise<NodeReply> {
    if (node instanceof ListNode) return name.equals(deletedName) ? this.#deleted.top(node) : this.#snapshots.lookup(node, name);
    if (node instanceof DeletedNode) return this.#deleted.lookup(node, name, caller);
    this.#permission.requireSearch(node, caller);
    const entry = await this.#history.lookup(node.snapshot, node.file, name);
    if (entry === undefined || this.#hides(node, name)) throw new ErrnoError('ENOENT', 'no such name then');
    const attributes = await this.#history.attributes(node.snapshot, entry.file);
    const timeout = this.#guard.childTimeoutMs(node);
    const timeoutMs = typeof timeout === 'number' ? timeout : await timeout;
    const { number } = this.#table.entry(node, name, entry.file, sizeOf(attributes));
    return { node: number, ino: inodeNumber(node.snapshot, entry.file), attributes, timeoutMs, file: entry.file, snapshot: node.snapshot };
  }

  async #list(node: SnapshotNode, caller: Caller): Promise<ListedNode[]> {
    if (node instanceof ListNode) return [...await this.#snapshots.list(node), ...await this.#deleted.listedIn(node)];
    if (node instanceof DeletedNode) return this.#deleted.list(node, caller);
    this.#permission.requireRead(node, caller);
    const entries = await this.#ahead.take(node);
    const timeout = this.#guard.childTimeoutMs(node);
    const timeoutMs = typeof timeout === 'number' ? timeout : await timeout;
    const listed: ListedNode[] = [];
    const subdirectories: { readonly ino: bigint; readonly child: FileNode }[] = [];
    for (const { name, file, type, attributes, plan } of entries) {
      if (this.#hides(node, name)) continue;
      const child = this.#table.entry(node, name, file, sizeOf(attributes));
      const ino = inodeNumber(node.snapshot, file);
      listed.push({ node: child.number, ino, attributes, timeoutMs, file, snapshot: node.snapshot, name, plan });
      if (type === directoryType) subdirectories.push({ ino, child });
    }
    // cp and others go by inode numbers.
    subdirectories.sort((a, b) => (a.ino < b.ino ? -1 : 1));
    this.#ahead.listed(node, subdirectories.map(({ child }) => child));
    return listed;
  }

  async #describe(node: SnapshotNode): Promise<NodeReply> {
    if (node instanceof ListNode) return this.#snapshots.describe(node);
    if (node instanceof DeletedNode) return this.#deleted.describe(node);
    const attributes = node.parent instanceof ListNode
      ? await this.#snapshots.attributes(node.snapshot, node.file)
      : await this.#history.attributes(node.snapshot, node.file);
    // Attributes of then do not change; who may see them is decided by the names that lead here.
    return { node: node.number, ino: inodeNumber(node.snapshot, node.file), attributes, timeoutMs: longTimeoutMs, file: node.file, snapshot: node.snapshot };
  }

  async #plan(node: FileNode): Promise<Plan> {
    const plan = await this.#history.plan(node.snapshot, node.file, BigInt(node.size));
    // It may have been given up meanwhile.
    this.#requireKept(node.number);
    return plan.path === undefined ? { ...plan, path: this.#history.pathHint(plan.file) } : plan;
  }

  #readLink(node: FileNode, caller: Caller): Promise<Buffer> {
    this.#permission.requireRead(node, caller);
    return this.#history.readLink(node.file);
  }

  /** As with stat, names lead to system and security attributes; only user attributes need the right to read the file. */
  async #attribute(node: SnapshotNode, name: Buffer, caller: Caller): Promise<Buffer> {
    const text = name.toString('latin1');
    // Whoever runs a file of then must not gain by it: the kernel asks for capabilities in the name of the caller. root has them anyway, and copies them.
    const isHidden = text === fileCapability && caller.uid !== 0;
    if (node instanceof ListNode || isHidden) throw new ErrnoError('ENODATA', 'no such attribute');
    if (text.startsWith(userPrefix)) this.#permission.requireRead(node, caller);
    const attributes = await this.#xattrsOf(node);
    const found = attributes.find((attribute) => attribute.name.equals(name));
    if (found === undefined) throw new ErrnoError('ENODATA', 'no such attribute then');
    return found.value;
  }

  async #attributeNames(node: SnapshotNode, caller: Caller): Promise<Buffer> {
    if (node instanceof ListNode) return Buffer.alloc(0);
    this.#permission.requireRead(node, caller);
    const attributes = await this.#xattrsOf(node);
    return Buffer.concat(attributes.flatMap(({ name }) => [name, Buffer.alloc(1)]));
  }

  #xattrsOf(node: InnerNode): Promise<readonly { readonly name: Buffer; readonly value: Buffer }[]> {
    return node instanceof DeletedNode ? this.#deleted.xattrs(node) : this.#xattrs.of(node);
  }

  /** A node that has contents. The kernel opens `.snapshots` as a directory only. */
  #file(number: number): FileNode {
    const node = this.#table.get(number);
    if (!(node instanceof FileNode)) throw new ErrnoError('EISDIR', 'a list of snapshots, or of what was deleted');
    return node;
  }

  #hides(directory: FileNode, name: Buffer): boolean {
    if (this.#excludes === noExcludes) return false;
    const text = name.toString('latin1');
    return this.#excludes.hides(text, this.#excludes.byNameAlone ? text : this.#pathBelow(directory, text));
  }

  /** A path from the volume's root, as latin1, without a leading slash. */
  #pathBelow(directory: FileNode, name: string): string {
    const names = [name];
    let node: FileNode = directory;
    while (node.parent instanceof FileNode) {
      names.unshift(node.key);
      node = node.parent;
    }
    if (node.file !== this.#history.rootId) {
      const top = this.#history.pathOf(node.snapshot, node.file) ?? this.#history.pathHint(node.file);
      if (top !== null) names.unshift(top.toString('latin1').replace(/^\//, ''));
    }
    return names.join('/');
  }
}
