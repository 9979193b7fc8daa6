/**
 * A history in memory, for either node: moments, each with the whole tree, flat. In: random changes, or operations of a transaction. Out: moments; the ports Source and Changeable.
 *
 * Invariants:
 * 1. Names that are one file share its bytes and its time.
 */
import type { FileId, Step, StepFile, StepName, Transaction, Txid } from '../../../engine/index.js';
import type { Operation } from '../../../replica/pair/operations.js';
import type { Changeable } from '../../../replica/pair/receiver/tree.js';
import type { Source } from '../../../replica/pair/source.js';
import type { Random } from '../../support/seed.js';

interface Inode {
  readonly id: bigint;
  bytes: Buffer;
  mtimeNs: bigint;
}

export type Names = Map<string, Inode>;

export interface Moment {
  readonly transaction: Transaction;
  readonly names: Names;
}

/** The process was killed in the middle of something. */
export class Killed extends Error {
  readonly code = 'KILLED';
}

const names = ['a', 'b', 'c', 'd', 'e'];
const regularType = 0o100000;

/** Names, bytes and times as one text, which links show in, too. */
export function textOf(tree: Names): string {
  const ids = [...tree.values()].map(({ id }) => id);
  return [...tree].sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, { id, bytes, mtimeNs }]) => `${name}=${bytes.toString('hex')}@${mtimeNs}#${ids.filter((other) => other === id).length}`).join(' ');
}

export function copyOf(tree: Names): Names {
  const known = new Map<Inode, Inode>();
  return new Map([...tree].map(([name, inode]) => {
    const copy = known.get(inode) ?? { ...inode };
    known.set(inode, copy);
    return [name, copy];
  }));
}

let lastId = 0n;

export class Tree implements Changeable {
  names: Names = new Map();
  /** Operations until the process is killed, before or after one of them acts. */
  killIn = Number.POSITIVE_INFINITY;
  #open: Inode | undefined;

  change(random: Random, timeNs: bigint): void {
    const [one, other] = [random.pick(names), random.pick(names)];
    const inode = this.names.get(one);
    if (inode === undefined || random.oneIn(3)) this.names.set(one, { id: ++lastId, bytes: random.bytes(random.below(40)), mtimeNs: timeNs });
    else if (random.oneIn(4)) this.names.delete(one);
    else if (random.oneIn(3) && one !== other) this.#rename(one, other);
    else if (random.oneIn(3)) this.names.set(other, inode);
    else Object.assign(inode, { bytes: Buffer.concat([inode.bytes.subarray(0, random.below(20)), random.bytes(random.below(20))]), mtimeNs: timeNs });
  }

  do(operation: Operation, again: boolean): void {
    this.#mayDie();
    try {
      this.#act(operation);
    } catch (error) {
      if (!again || (error as { code?: string }).code !== 'ENOENT') throw error;
    }
    this.#mayDie();
  }

  write(offset: number, bytes: Buffer): void {
    this.#mayDie();
    const before = this.#open!.bytes;
    const after = Buffer.alloc(Math.max(before.length, offset + bytes.length));
    before.copy(after);
    bytes.copy(after, offset);
    this.#open!.bytes = after;
  }

  zero(offset: number, length: number): void {
    this.write(offset, Buffer.alloc(length));
  }

  close(): void {
    this.#open = undefined;
  }

  #mayDie(): void {
    if (--this.killIn <= 0) throw new Killed();
  }

  #act(operation: Operation): void {
    const name = 'path' in operation ? operation.path.slice(1) : '';
    switch (operation.do) {
      case 'create':
        if (!this.names.has(name)) this.names.set(name, { id: ++lastId, bytes: Buffer.alloc(0), mtimeNs: 0n });
        return;
      case 'remove':
        this.#at(name);
        this.names.delete(name);
        return;
      case 'rename': return this.#rename(name, operation.to.slice(1));
      case 'link':
        this.names.set(operation.to.slice(1), this.#at(name));
        return;
      case 'open':
        this.#open = this.#at(name);
        return;
      case 'close':
        this.#open!.bytes = Buffer.concat([this.#open!.bytes, Buffer.alloc(operation.size)]).subarray(0, operation.size);
        return;
      case 'attributes':
        this.#at(name).mtimeNs = BigInt(operation.mtimeNs);
        return;
      case 'mkdir':
      case 'rmdir':
      case 'xattrs': return;
      default: throw new Error(`nobody does ${operation.do} here`);
    }
  }

  #rename(from: string, to: string): void {
    const inode = this.#at(from);
    this.names.delete(from);
    this.names.set(to, inode);
  }

  #at(name: string): Inode {
    const inode = this.names.get(name);
    if (inode === undefined) throw Object.assign(new Error(`${name} is not there`), { code: 'ENOENT' });
    return inode;
  }
}

/** What leads from one moment to another, as the engine would say it. */
export function stepBetween(from: Moment, to: Moment): Step {
  const [removed, added]: [StepName[], StepName[]] = [[], []];
  const was = new Set([...from.names.values()].map(({ id }) => id));
  for (const name of new Set([...from.names.keys(), ...to.names.keys()])) {
    const [before, after] = [from.names.get(name), to.names.get(name)];
    if (before?.id === after?.id) continue;
    if (before !== undefined) removed.push(nameOf(name, before));
    if (after !== undefined) added.push(nameOf(name, after));
  }
  const withKept = added.map((name) => {
    const kept = removed.some(({ file }) => file === name.file) ? undefined : [...from.names].find(([, { id }]) => id === name.file)?.[0];
    return kept === undefined ? name : { ...name, kept: Buffer.from(`/${kept}`) };
  });
  const files = new Map<bigint, StepFile>();
  for (const [name, inode] of to.names) {
    const before = [...from.names.values()].find(({ id }) => id === inode.id);
    if (files.has(inode.id) || (before !== undefined && before.bytes.equals(inode.bytes) && before.mtimeNs === inode.mtimeNs)) continue;
    files.set(inode.id, fileOf(name, inode, before, !was.has(inode.id)));
  }
  return { from: Number(from.transaction.txid), to: Number(to.transaction.txid), removed, added: withKept, files: [...files.values()] };
}

function nameOf(name: string, { id }: Inode): StepName {
  return { path: Buffer.from(`/${name}`), file: id as FileId, type: regularType };
}

function attributesOf({ bytes, mtimeNs }: Inode): StepFile['attributes'] {
  return { mode: regularType | 0o644, uid: 0, gid: 0, nlink: 1, rdev: 0n, size: BigInt(bytes.length), blocks: 0n, atimeNs: 0n, mtimeNs, ctimeNs: 0n };
}

function fileOf(name: string, inode: Inode, before: Inode | undefined, isNew: boolean): StepFile {
  const ranges = inode.bytes.length === 0 ? [] : [{ start: 0, end: inode.bytes.length }];
  return { file: inode.id as FileId, path: Buffer.from(`/${name}`), attributes: attributesOf(inode), isNew, ranges, ...(before === undefined ? {} : { before: attributesOf(before) }) };
}

/** The Source port over moments. */
export function sourceOver(moments: readonly Moment[], volume: string): Source {
  const at = (txid: Txid): Moment => {
    const moment = moments.find(({ transaction }) => transaction.txid === txid);
    if (moment === undefined) throw new Error(`transaction ${txid} is not there`);
    return moment;
  };
  const last = (): Transaction => moments.at(-1)!.transaction;
  const never = (): never => { throw new Error('nobody asks for that here'); };
  return {
    volume, rootId: 1n as FileId,
    get ended() { return last().txid; },
    last, settled: async () => last(), caughtUp: async () => undefined, durable: async () => undefined,
    transaction: (txid) => moments.find(({ transaction }) => transaction.txid === txid)?.transaction,
    after: (txid, most) => moments.filter(({ transaction }) => transaction.txid > txid).slice(0, most).map(({ transaction }) => transaction),
    step: async (from, to) => stepBetween(at(from), at(to)),
    read: async (snapshot, file, offset, length) => [...at(snapshot).names.values()].find(({ id }) => id === file)!.bytes.subarray(Number(offset), Number(offset) + length),
    list: never, attributes: never, xattrs: never, readLink: never,
    hold: () => undefined,
  };
}
