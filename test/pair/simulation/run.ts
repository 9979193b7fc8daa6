/**
 * One history of two nodes: changes, breaks, turned bits, deaths of either side, takeovers while the other is cut off and its return, all from one seed. In: a seed. Out: nothing, or
 * an AssertionError that says what was violated.
 *
 * Invariants checked:
 * 1. The standby is always a prefix of the primary's history: each moment it has, the primary has with the same checksum and the same tree.
 * 2. What was acknowledged to a primary is on its standby, also after it takes over.
 * 3. Nothing is applied twice (SimNode).
 * 4. When all is healed both have the same last moment and the same tree, and the standby's moments are the primary's.
 */
import assert from 'node:assert/strict';
import { checksumOf } from '../../../replica/pair/position.js';
import { Random } from '../../support/seed.js';
import { textOf } from './history.js';
import { SimNode } from './node.js';
import { World } from './world.js';
import type { Connection } from './world.js';

const steps = 25;
const healMs = 60_000;

export async function simulate(seed: number): Promise<void> {
  const run = new Run(seed);
  await run.play();
}

class Run {
  readonly #random: Random;
  readonly #world: World;
  #primary: SimNode;
  #standby: SimNode;
  /** Small numbers, so that moments are joined now and then. */
  readonly #farBehind: number;
  #failure: unknown;
  #term = 1;
  /** A takeover is under way. */
  #isSwitching = false;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#world = new World(this.#random);
    this.#primary = new SimNode(this.#world, 'a', 'primary');
    this.#standby = new SimNode(this.#world, 'b', 'standby');
    this.#farBehind = this.#random.oneIn(3) ? 5 : 1000;
  }

  async play(): Promise<void> {
    const first = { txid: 1n as never, timeNs: 1n, uid: 0, gid: 0, pid: 1, command: 'first', reason: 'close', external: false, recovered: false, quiescent: true };
    this.#primary.begin(first);
    this.#standby.begin(first);
    this.#follow();
    for (let step = 0; step < steps; step++) {
      await this.#step();
      this.#check();
    }
    this.#world.isCut = false;
    for (let waited = 0; waited < healMs && !this.#isEqual(); waited += 100) await this.#world.run(100);
    this.#check();
    assert.ok(this.#isEqual(), `the standby stands at ${this.#standby.last.txid}, the primary at ${this.#primary.last.txid}`);
    this.#primary.kill();
    this.#standby.kill();
  }

  async #step(): Promise<void> {
    const what = this.#random.below(14);
    if (what < 7) for (let count = this.#random.below(6); count > 0; count--) this.#primary.change(this.#now());
    else if (what === 7) this.#world.breakAll();
    else if (what === 8) this.#world.turnBit();
    else if (what === 9) this.#cutOrMend();
    else if (what === 10) this.#restartStandby(Number.POSITIVE_INFINITY);
    else if (what === 11) this.#standby.tree.killIn = 1 + this.#random.below(6);
    else if (what === 12) this.#primary.kill();
    else if (this.#random.oneIn(2)) await this.#takeOver();
    await this.#world.run(this.#random.below(50));
  }

  #cutOrMend(): void {
    this.#world.isCut = !this.#world.isCut;
    if (this.#world.isCut) this.#world.breakAll();
  }

  #restartStandby(killIn: number): void {
    this.#standby.kill();
    this.#standby.tree.killIn = killIn;
    this.#follow();
  }

  /** The standby is promoted while the primary, which may not know, goes on for a while; then that becomes the standby. */
  async #takeOver(): Promise<void> {
    const [old, promoted] = [this.#primary, this.#standby];
    this.#world.breakAll();
    old.kill();
    const acknowledged = old.acknowledged;
    this.#isSwitching = true;
    await this.#during(promoted.promote(this.#now(), ++this.#term));
    assert.ok(acknowledged === 0n || promoted.moments.some(({ transaction }) => transaction.txid === acknowledged), `acknowledged transaction ${acknowledged} was lost by the takeover`);
    for (let count = this.#random.below(4); count > 0; count--) old.change(this.#now());
    [this.#primary, this.#standby] = [promoted, old];
    old.role = 'standby';
    this.#isSwitching = false;
    this.#follow();
  }

  /** Time passes until it is done. */
  async #during(work: Promise<void>): Promise<void> {
    let isDone = false;
    void work.catch((error: unknown) => { this.#failure ??= error; }).finally(() => { isDone = true; });
    for (let waited = 0; !isDone; waited += 5) {
      await this.#world.run(5);
      assert.ok(waited < healMs, 'a promotion does not come to its end');
    }
  }

  #follow(): void {
    const standby = this.#standby;
    const dial = (): Connection | undefined => {
      const ends = this.#world.connect();
      if (ends === undefined || this.#standby !== standby) return undefined;
      // Who serves sees the standby's certificate.
      const [mine, theirs] = standby.name === 'a' ? ends : [ends[1], ends[0]];
      this.#primary.accept(theirs, this.#farBehind);
      return mine;
    };
    const diverged = (common: bigint): void => {
      standby.kill();
      standby.rewindTo(common);
      this.#follow();
    };
    standby.onKilled = () => { this.#world.at(30, () => { if (this.#standby === standby && !this.#isSwitching) this.#follow(); }); };
    standby.follow(dial, diverged).catch((error: unknown) => { this.#failure ??= error; });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const theirs = new Map(this.#primary.moments.map((moment) => [moment.transaction.txid, moment]));
    const common = this.#commonEnd();
    for (const { transaction, names } of this.#standby.moments) {
      const { txid } = transaction;
      if (this.#standby.own.has(txid)) continue;
      const made = this.#standby.made.get(txid) ?? this.#primary.made.get(txid);
      assert.ok(made !== undefined, `the standby has transaction ${txid}, which nobody made`);
      // A primary that was a standby may have had several moments as one; what it has up to where the histories part, it has as the other one.
      const other = txid > common ? made : theirs.get(txid) ?? made;
      assert.equal(checksumOf(other.transaction), checksumOf(transaction), `transaction ${txid}`);
      assert.equal(textOf(names), textOf(other.names), `the tree of transaction ${txid}`);
    }
  }

  /** Up to here the standby may only have what the primary has: where their terms part. */
  #commonEnd(): bigint {
    const [mine, theirs] = [this.#standby.terms, this.#primary.terms];
    let shared = 0;
    while (mine[shared] !== undefined && mine[shared]?.node === theirs[shared]?.node && mine[shared]?.term === theirs[shared]?.term) shared++;
    const ends = [mine[shared]?.after, theirs[shared]?.after].filter((after) => after !== undefined);
    return ends.reduce((one, other) => (other < one ? other : one), this.#standby.last.txid);
  }

  #isEqual(): boolean {
    return this.#standby.last.txid === this.#primary.last.txid && textOf(this.#standby.tree.names) === textOf(this.#primary.tree.names);
  }

  #now(): bigint {
    return BigInt(Math.floor(this.#world.nowMs() * 1000)) * 1000n + 1_000_000n + BigInt(this.#count++);
  }

  #count = 0;
}
