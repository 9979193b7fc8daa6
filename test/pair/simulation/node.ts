/**
 * A node of the simulation: what lies on its disk (history, tree, spool), and the processes that work on it, which can be killed. In: the world. Out: a primary that serves or a standby
 * that follows, by the very code that does so in production.
 *
 * Invariants (checked as they go, a violation is an AssertionError):
 * 1. No transaction ends twice, and txids grow.
 * 2. What a process does after its death has no effect.
 */
import assert from 'node:assert/strict';
import type { Transaction, Txid } from '../../../engine/index.js';
import { Applier } from '../../../replica/pair/receiver/applier.js';
import type { Asks, Orders, Question } from '../../../replica/pair/receiver/ipc.js';
import { Session } from '../../../replica/pair/receiver/session.js';
import type { SessionMemory } from '../../../replica/pair/receiver/session.js';
import type { SpoolDisk } from '../../../replica/pair/receiver/spool-disk.js';
import type { Changeable } from '../../../replica/pair/receiver/tree.js';
import { Spool } from '../../../replica/pair/receiver/spool.js';
import { Standing } from '../../../replica/pair/receiver/standing.js';
import { firstOfTerm, positionOf } from '../../../replica/pair/position.js';
import type { Position, Term } from '../../../replica/pair/position.js';
import { serve } from '../../../replica/pair/serving.js';
import type { Host } from '../../../replica/pair/serving.js';
import { freshState } from '../../../replica/pair/state.js';
import type { PairState } from '../../../replica/pair/state.js';
import { Killed, Tree, copyOf, sourceOver } from './history.js';
import type { Moment } from './history.js';
import type { Connection, World } from './world.js';

class MemoryDisk implements SpoolDisk {
  readonly #files = new Map<number, Buffer>();
  #progress: Buffer = Buffer.alloc(16);
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** As long as who uses it lives; what the dead still write is lost. */
  whileAlive(isAlive: () => boolean): SpoolDisk {
    const alive = (act: () => void): void => { if (isAlive()) act(); };
    return {
      files: this.files, readProgress: this.readProgress, close: () => undefined,
      read: (file, offset, length) => this.read(file, offset, length),
      sync: () => this.sync(),
      append: (file, bytes) => { alive(() => { this.append(file, bytes); }); },
      truncate: (file, length) => { alive(() => { this.truncate(file, length); }); },
      remove: (file) => { alive(() => { this.remove(file); }); },
      writeProgress: (bytes) => { alive(() => { this.writeProgress(bytes); }); },
    };
  }

  files = (): number[] => [...this.#files.keys()].sort((a, b) => a - b);
  append(file: number, bytes: Buffer): void { this.#files.set(file, Buffer.concat([this.#files.get(file) ?? Buffer.alloc(0), bytes])); }
  truncate(file: number, length: number): void { this.#files.set(file, (this.#files.get(file) ?? Buffer.alloc(0)).subarray(0, length)); }
  read(file: number, offset: number, length: number): Buffer { return (this.#files.get(file) ?? Buffer.alloc(0)).subarray(offset, offset + length); }
  async sync(): Promise<void> { await this.#world.wait(this.#world.random.below(5)); }
  remove(file: number): void { this.#files.delete(file); }
  readProgress = (): Buffer => Buffer.from(this.#progress);
  writeProgress(bytes: Buffer): void { this.#progress = Buffer.from(bytes); }
  close(): void {}
}

export class SimNode {
  readonly name: 'a' | 'b';
  readonly world: World;
  tree = new Tree();
  moments: Moment[] = [];
  terms: Term[] = [{ term: 1, after: 0n, node: '0'.repeat(16) }];
  role: 'primary' | 'standby';
  /** After a rewind: the last own moment stands for this one. */
  rewound: Position | undefined;
  /** Moments that lead back: no primary has them. */
  readonly own = new Set<bigint>();
  /** Moments that this node made as primary, also those that it gave up since. */
  readonly made = new Map<bigint, Moment>();
  /** Up to here its standby had everything durably, as it was told. */
  acknowledged = 0n;
  /** Told when an operation killed it. */
  onKilled: () => void = () => undefined;
  readonly #disk: MemoryDisk;
  #open = 0n;
  /** Of the processes that live now. */
  #life = 0;
  #links: Connection[] = [];

  constructor(world: World, name: 'a' | 'b', role: 'primary' | 'standby') {
    this.world = world;
    this.name = name;
    this.role = role;
    this.#disk = new MemoryDisk(world);
  }

  get last(): Transaction {
    return this.moments.at(-1)!.transaction;
  }

  /** A program changes something on the primary. */
  change(timeNs: bigint): void {
    this.tree.change(this.world.random, timeNs);
    this.#end({ txid: (this.last.txid + 1n) as Txid, timeNs, uid: 0, gid: 0, pid: 1, command: this.name, reason: 'close', external: false, recovered: false, quiescent: true });
    this.made.set(this.last.txid, this.moments.at(-1)!);
  }

  /** As the first whole moment. */
  begin(transaction: Transaction): void {
    this.#end(transaction);
    this.made.set(transaction.txid, this.moments.at(-1)!);
  }

  /** All processes of the node end, wherever they are. */
  kill(): void {
    this.#life++;
    for (const link of this.#links.splice(0)) link.break();
    this.tree.killIn = Number.POSITIVE_INFINITY;
    this.tree.close();
  }

  /** One connection that came. */
  accept(link: Connection, farBehind: number): void {
    const life = this.#life;
    this.#links.push(link);
    const other = this.name === 'a' ? 'b' : 'a';
    const host: Host = {
      source: sourceOver(this.moments, '0'.repeat(32)), clock: this.world, farBehind,
      state: { ...this.#state(), peers: [{ node: nodeOf(other), name: other, fingerprint: other }] },
      change: () => undefined, superseded: () => undefined, handOver: () => Promise.reject(new Error('not here')), bases: new Map(), say: () => undefined,
      onDurable: (_, txid) => { if (life === this.#life) this.acknowledged = txid; },
    };
    void serve(link, host, () => undefined).catch(() => { link.close(); });
  }

  /** Follows until it is killed. `dial`: a connection to the primary, if there is one; `onDiverged`: the primary says up to where both are the same. */
  async follow(dial: () => Connection | undefined, onDiverged: (common: bigint) => void): Promise<void> {
    this.kill();
    const life = this.#life;
    const parent = this.#parent(life, onDiverged);
    const disk = this.#disk.whileAlive(() => life === this.#life);
    const spool = new Spool(disk);
    const applier = new Applier({ spool, tree: this.#whileAlive(life), parent, disk, clock: this.world, last: this.last.txid });
    const standing = new Standing(this.world);
    standing.begin(parent, spool, applier);
    const onFailure = (error: unknown): void => this.#died(error, life);
    await standing.applyAll().catch(onFailure);
    const memory: SessionMemory = { latest: this.rewound ?? positionOf(this.last) };
    while (life === this.#life) {
      const session = new Session({
        orders: { state: this.#state(), volume: '1'.repeat(32) } as unknown as Orders, parent, clock: this.world, spool, applier, standing, memory, onFailure,
        initial: () => Promise.reject(new Error('not here')),
        dial: async () => {
          const link = dial();
          if (link === undefined || life !== this.#life) throw Object.assign(new Error('nobody answers'), { code: 'EIO' });
          this.#links.push(link);
          return link;
        },
      });
      await session.run();
      await this.world.wait(20 + this.world.random.below(50));
    }
  }

  /** Everything that has come is applied, and this node begins a term. */
  async promote(timeNs: bigint, term: number): Promise<void> {
    this.kill();
    await this.#applyRest();
    const after = (this.rewound ?? positionOf(this.last)).txid;
    this.terms = [...this.terms, { term, after, node: nodeOf(this.name) }];
    this.rewound = undefined;
    this.role = 'primary';
    this.acknowledged = 0n;
    this.#end({ ...this.last, txid: firstOfTerm(term) as Txid, timeNs, command: 'promoted' });
    this.made.set(this.last.txid, this.moments.at(-1)!);
  }

  /** Its own tail goes; the last common moment is what it has. */
  rewindTo(common: bigint): void {
    const shared = this.moments.find(({ transaction }) => transaction.txid === common);
    assert.ok(shared !== undefined, `${this.name} does not have the common moment ${common}`);
    const tail = this.last;
    this.moments = this.moments.filter(({ transaction }) => transaction.txid <= common);
    this.tree.names = copyOf(shared.names);
    this.#end({ ...tail, txid: (tail.txid + 1n) as Txid, command: 'rewound' });
    this.own.add(this.last.txid);
    this.rewound = positionOf(shared.transaction);
  }

  /** The tree, as long as who changes it lives. */
  #whileAlive(life: number): Changeable {
    const alive = (): Tree => {
      if (life !== this.#life) throw new Killed();
      return this.tree;
    };
    return {
      do: (operation, again) => { alive().do(operation, again); },
      write: (offset, bytes) => { alive().write(offset, bytes); },
      zero: (offset, length) => { alive().zero(offset, length); },
      close: () => { this.tree.close(); },
    };
  }

  #state(): PairState {
    return { ...freshState(nodeOf(this.name), this.name, this.role), terms: this.terms };
  }

  #end(transaction: Transaction): void {
    assert.ok(this.moments.length === 0 || transaction.txid > this.last.txid, `transaction ${transaction.txid} ended behind ${this.moments.length === 0 ? 0 : this.last.txid}`);
    this.moments.push({ transaction, names: copyOf(this.tree.names) });
    this.#open = transaction.txid + 1n;
  }

  #parent(life: number, onDiverged: (common: bigint) => void): Asks {
    const does = async (question: Exclude<Question, { ask: 'position' }>): Promise<void> => {
      await this.world.wait(this.world.random.below(3));
      if (life !== this.#life) return new Promise(() => undefined);
      if (question.ask === 'open') this.#open = question.txid;
      if (question.ask !== 'end') return;
      assert.equal(question.transaction.txid, this.#open, 'a transaction ends that was not opened');
      this.rewound = undefined;
      this.#end(question.transaction);
    };
    return {
      position: () => Promise.resolve(undefined),
      does,
      tell: (message) => {
        if (life !== this.#life) return;
        if ('terms' in message) this.terms = [...message.terms];
        if ('diverged' in message) onDiverged(message.diverged);
      },
    };
  }

  #died(error: unknown, life: number): void {
    if (!(error instanceof Killed)) throw error;
    if (life !== this.#life) return;
    this.kill();
    this.onKilled();
  }

  /** What is in the spool, with nobody connected. */
  async #applyRest(): Promise<void> {
    const spool = new Spool(this.#disk);
    const parent = this.#parent(this.#life, () => undefined);
    const applier = new Applier({ spool, tree: this.tree, parent, disk: this.#disk, clock: this.world, last: this.last.txid });
    while (await applier.next() !== undefined);
  }
}

export function nodeOf(name: string): string {
  return (name === 'a' ? 'a' : 'b').repeat(16);
}
