/**
 * The other side of fs/requests.ts, in memory: sends requests as the addon does, collects the replies, and counts as the kernel counts. A second answer to a request, or an answer to none, throws as the addon would.
 */
import assert from 'node:assert';
import { inspect } from 'node:util';
import { makeFileId } from '../../engine/ids.js';
import type { ListedNode } from '../../fs/listing.js';
import type { Caller, FileId, Lsn, NodeReply, Plan, SnapshotRequest, Txid } from '../../native/types.js';
import type { SnapshotReplies } from '../../fs/request-parts.js';
import type { SnapshotRequests } from '../../fs/requests.js';

export type Reply =
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'node'; readonly node: NodeReply }
  | { readonly kind: 'data'; readonly data: Buffer }
  | { readonly kind: 'listing'; readonly entries: readonly ListedNode[] }
  | { readonly kind: 'plan'; readonly plan: Plan };

type Without<T> = T extends { id: number } ? Omit<T, 'id'> : never;
export type Question = Without<Exclude<SnapshotRequest, { op: 'forget' }>>;

export const root: Caller = { uid: 0, gid: 0, pid: 10 };

export class Kernel implements SnapshotReplies {
  readonly #requests: SnapshotRequests;
  readonly #pending = new Map<number, (reply: Reply) => void>();
  /** Makes the next reply of a kind other than an error throw. */
  refuseNext = false;
  invalidations = 0;
  answered = 0;
  #lastId = 0;

  constructor(requests: SnapshotRequests) {
    this.#requests = requests;
  }

  ask(question: Question): Promise<Reply> {
    const id = ++this.#lastId;
    const reply = new Promise<Reply>((resolve) => this.#pending.set(id, resolve));
    this.#requests.handle({ ...question, id } as SnapshotRequest);
    return reply;
  }

  async node(question: Question): Promise<NodeReply> {
    const reply = await this.ask(question);
    assert(reply.kind === 'node', `${question.op}: ${inspect(reply)}`);
    return reply.node;
  }

  async errno(question: Question): Promise<string> {
    const reply = await this.ask(question);
    return reply.kind === 'error' ? reply.code : `answered with ${reply.kind}`;
  }

  async listing(node: number, caller = root): Promise<readonly ListedNode[]> {
    const reply = await this.ask({ op: 'list', node, caller });
    assert(reply.kind === 'listing', `list: ${inspect(reply)}`);
    return reply.entries;
  }

  /** Walks from `.snapshots` of a directory. */
  async walk(directory: FileId, names: readonly string[], caller = root): Promise<NodeReply> {
    let reply = await this.node({ op: 'root', directory, caller });
    for (const name of names) reply = await this.node({ op: 'lookup', node: reply.node, name: Buffer.from(name, 'latin1'), caller });
    return reply;
  }

  forget(nodes: readonly number[]): void {
    this.#requests.handle({ op: 'forget', id: 0, nodes });
  }

  replyError(id: number, code: string): void {
    this.#settle(id, { kind: 'error', code });
  }

  replyNode(id: number, node: NodeReply): void {
    this.#settle(id, { kind: 'node', node });
  }

  replyData(id: number, data: Buffer): void {
    this.#settle(id, { kind: 'data', data });
  }

  replyListing(id: number, entries: Uint8Array): void {
    this.#settle(id, { kind: 'listing', entries: unpackListing(Buffer.from(entries)) });
  }

  replyPlan(id: number, plan: Plan): void {
    this.#settle(id, { kind: 'plan', plan });
  }

  openSnapshotNodes(): number[] {
    return [];
  }

  invalidateSnapshots(): void {
    this.invalidations++;
  }

  #settle(id: number, reply: Reply): void {
    if (this.refuseNext && reply.kind !== 'error') {
      this.refuseNext = false;
      throw new TypeError('not a reply');
    }
    const resolve = this.#pending.get(id);
    assert(resolve !== undefined, `request ${id} is not waiting for an answer`);
    this.#pending.delete(id);
    this.answered++;
    resolve(reply);
  }
}

/** What the addon reads out of a listing. */
function unpackListing(packed: Buffer): ListedNode[] {
  const entries: ListedNode[] = [];
  for (let at = 0; at < packed.length;) {
    const pieceCount = packed.readUInt32LE(at + 44);
    const nameStart = at + 136 + (pieceCount === 0xffff_ffff ? 0 : pieceCount * 32);
    const pieces = BigUint64Array.from({ length: (nameStart - at - 136) / 8 }, (_, index) => packed.readBigUInt64LE(at + 136 + index * 8));
    const plannedAt = packed.readBigUInt64LE(at + 16);
    const file = makeFileId(packed.readBigUInt64LE(at + 24), packed.readUInt32LE(at + 32));
    const end = nameStart + packed.readUInt32LE(at + 40);
    entries.push({
      node: Number(packed.readBigUInt64LE(at)), ino: packed.readBigUInt64LE(at + 8), timeoutMs: packed.readUInt32LE(at + 36),
      attributes: packed.subarray(at + 48, at + 128), name: packed.subarray(nameStart, end),
      file, snapshot: packed.readBigUInt64LE(at + 128) as Txid,
      plan: plannedAt === 0n ? undefined : { plannedAt: plannedAt as Lsn, ...(pieceCount === 0xffff_ffff ? {} : { pieces }) },
    });
    at = end;
  }
  return entries;
}
