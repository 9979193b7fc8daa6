/**
 * What `.snapshots` of a live directory shows: a read-only list of moments, each the directory as it stood then; and moments that are not listed, when
 * asked for by name. In: names. Out: snapshot nodes with their answers.
 *
 * Invariants:
 * 1. A name resolves only if the directory existed at that moment.
 * 2. All names of one snapshot lead to the same node.
 * 3. A moment that is not over contains everything written before the lookup: the open transaction is ended first.
 */
import type { FileId, LogState, NodeReply, Txid } from '../native/types.js';
import type { History } from '../engine/ports.js';
import { readOnlyDirectory, withModificationTime } from './attributes.js';
import { ErrnoError, errnoOf } from './errno.js';
import { longTimeoutMs } from './guard.js';
import type { ListedNode } from './listing.js';
import { kindOfName } from './moment-name.js';
import type { NodeTable } from './node-table.js';
import { inodeOf } from './snapshot-node.js';
import type { FileNode, ListNode } from './snapshot-node.js';

/** Whom `.snapshots` directories belong to. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

type SnapshotsHistory = Pick<History,
  'rootId' | 'caughtUp' | 'settled' | 'attributes' | 'resolvePath' | 'pathOf' | 'pathHint' | 'transaction' | 'parseMoment' | 'snapshotNames' | 'oldestNs' | 'pins'>;

/** `.snapshots` itself is the same for ever, but its times show the last transaction. */
const listTimeoutMs = 1000;
/** A pin can be taken back and given to another moment. */
const pinTimeoutMs = 1000;

/** Directories whose last list is remembered. */
const rememberedLists = 16;

const at = '@'.charCodeAt(0);

export class SnapshotsDirectory {
  readonly #history: SnapshotsHistory;
  readonly #logState: () => LogState;
  readonly #table: NodeTable;
  readonly #owner: Owner;
  /** What the lists made last told of each moment, which does not change: Samba asks for a list four times in a row. */
  readonly #lately = new Map<FileId, ReadonlyMap<Txid, Buffer | undefined>>();

  constructor(history: SnapshotsHistory, logState: () => LogState, table: NodeTable, owner: Owner) {
    this.#history = history;
    this.#logState = logState;
    this.#table = table;
    this.#owner = owner;
  }

  /** The answer for `.snapshots` itself. */
  describe(node: ListNode): NodeReply {
    const timeNs = this.#logState().endedTimeNs || this.#history.oldestNs();
    const attributes = readOnlyDirectory(this.#owner.uid, this.#owner.gid, timeNs);
    return { node: node.number, ino: inodeOf(node), attributes, timeoutMs: listTimeoutMs, file: node.directory };
  }

  /** The snapshot a name means. Throws ENOENT for names without "@", MomentError for moments that cannot be read. */
  async lookup(list: ListNode, name: Buffer): Promise<NodeReply> {
    if (name[0] !== at) throw new ErrnoError('ENOENT', 'no name of a moment');
    const text = name.toString('utf8', 1);
    const kind = kindOfName(text, BigInt(Date.now()) * 1_000_000n);
    await (kind === 'present' ? this.#history.settled() : this.#history.caughtUp());
    const snapshot = this.#history.parseMoment(text);
    if (!(await this.#existed(snapshot, list.directory))) throw new ErrnoError('ENOENT', 'the directory did not exist then');
    const attributes = await this.attributes(snapshot, list.directory);
    const timeoutMs = kind === 'past' ? longTimeoutMs : this.#movingTimeoutMs(text);
    return reply(this.#table.snapshot(list, snapshot), attributes, timeoutMs);
  }

  /** All listed names with their answers; what has been written until now is one of them. */
  async list(list: ListNode): Promise<ListedNode[]> {
    await this.#history.settled();
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    const names = this.#history.snapshotNames(list.directory === this.#history.rootId ? undefined : list.directory);
    const attributes = await this.#listedAttributes(list.directory, names);
    const listed: ListedNode[] = [];
    for (const [index, { name, txid }] of names.entries()) {
      const found = attributes[index];
      if (found === undefined) continue;
      const timeoutMs = kindOfName(name, nowNs) === 'past' ? longTimeoutMs : this.#movingTimeoutMs(name);
      listed.push({ ...reply(this.#table.snapshot(list, txid), found, timeoutMs), name: Buffer.from(`@${name}`), plan: undefined });
    }
    return listed;
  }

  /** Packed attributes of the directory as of a snapshot, the time of the snapshot as its modification time. */
  async attributes(snapshot: Txid, directory: FileId): Promise<Buffer> {
    const timeNs = this.#history.transaction(snapshot)?.timeNs ?? this.#history.oldestNs();
    return withModificationTime(await this.#history.attributes(snapshot, directory), timeNs);
  }

  /** The attributes of a directory at each of the moments listed; undefined where it did not exist. */
  async #listedAttributes(directory: FileId, names: readonly { readonly txid: Txid; readonly timeNs: bigint }[]): Promise<(Buffer | undefined)[]> {
    const known = this.#lately.get(directory);
    const found = await Promise.all(names.map(({ txid, timeNs }) => (known?.has(txid) ? known.get(txid) : this.#attributesThen(txid, timeNs, directory))));
    this.#lately.delete(directory);
    this.#lately.set(directory, new Map(names.map(({ txid }, index) => [txid, found[index]])));
    const [first] = this.#lately.keys();
    if (first !== undefined && this.#lately.size > rememberedLists) this.#lately.delete(first);
    return found;
  }

  async #attributesThen(snapshot: Txid, timeNs: bigint, directory: FileId): Promise<Buffer | undefined> {
    try {
      return withModificationTime(await this.#history.attributes(snapshot, directory), timeNs);
    } catch (error) {
      if (errnoOf(error).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** A directory without any recorded place has never been touched, so it is as old as the volume. */
  async #existed(snapshot: Txid, directory: FileId): Promise<boolean> {
    if (directory === this.#history.rootId) return true;
    const place = this.#history.pathOf(snapshot, directory) ?? this.#history.pathHint(directory);
    if (place === null) return true;
    return (await this.#history.resolvePath(snapshot, place))?.file === directory;
  }

  #movingTimeoutMs(text: string): number {
    return this.#history.pins().some((pin) => pin.name === text) ? pinTimeoutMs : 0;
  }
}

function reply(node: FileNode, attributes: Buffer, timeoutMs: number): NodeReply {
  return { node: node.number, ino: inodeOf(node), attributes, timeoutMs, file: node.file, snapshot: node.snapshot };
}
