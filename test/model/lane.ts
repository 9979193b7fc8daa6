/**
 * One lane of the model test: a directory of the mount and its twin on the bare file system, worked on by one or several processes
 * in turn, and the history of both as it was seen. Lanes of the same mount run at the same time; none touches
 * what belongs to another.
 *
 * Invariants:
 * 1. An operation has the same outcome (errno) on the mount and on the twin, and leaves the two trees the same but for times.
 * 2. A moment is remembered only when everything done so far has passed a barrier: then the newest snapshot up to that moment
 *    must show just what was seen, times included, for ever.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { runWell } from '../support/processes.js';
import type { Random } from '../support/seed.js';
import { chooseOperation, endsByClosing } from './operations.js';
import type { Operation, Tree } from './operations.js';
import { checkRecovered, withoutTime } from './recovered.js';
import { Worker } from './worker.js';

/** What was there at a moment: everything the newest snapshot up to it must show. */
export interface Moment {
  /** When the calls had returned; or the end of the transaction that a query right after them named. */
  readonly timeNs: bigint;
  readonly lines: readonly string[];
  /** The operations that led here from the moment before. */
  readonly after: readonly string[];
}

/** EBADF */
const badHandle = 9;

export interface LanePlaces {
  readonly program: string;
  readonly mount: string;
  readonly twin: string;
  /** One worker each; undefined acts as the user who tests. */
  readonly uids: readonly (number | undefined)[];
  /** The pid of the daemon, where it is known: for what is said when a call does not come back. */
  readonly servers?: () => readonly (number | undefined)[];
  /** No write is left in the page cache of the mount, which a killed daemon takes with it. */
  readonly isCalm?: boolean;
  /** Other lanes work on the same mount: a transaction that has begun before our change may end only after it. */
  readonly hasCompany: boolean;
  /** Asks the daemon for the end of the newest transaction with everything done until now, ns. */
  readonly now: () => Promise<bigint>;
}

export class Lane {
  moments: readonly Moment[] = [];
  readonly #random: Random;
  readonly #places: LanePlaces;
  #workers: Worker[] = [];
  #live: readonly string[] = [];
  #tree: Tree = { all: [], files: [], directories: [] };
  #sinceLast: string[] = [];
  #dirtySlots = new Set<string>();
  #isSettled = true;
  #count = 0;
  /** The operation under way: what it left when the daemon died in the middle of it is not known. */
  #underway: { readonly operation: Operation; hasReturned: boolean } | undefined;

  constructor(places: LanePlaces, random: Random) {
    this.#places = places;
    this.#random = random;
  }

  /** Starts the processes, after each mount. */
  open(): void {
    const { program, mount, twin, uids, servers } = this.#places;
    this.#workers = uids.map((uid) => new Worker(program, { mount, twin }, { uid, servers }));
    this.#dirtySlots = new Set();
  }

  /** Ends the processes, before each unmount. Open files are closed by it: what they had unsynced is settled. */
  async close(): Promise<void> {
    for (const worker of this.#workers) await worker.end();
    this.#workers = [];
  }

  /** Operations done so far. */
  get count(): number {
    return this.#count;
  }

  /** The operations since the last moment: what a failure is about. */
  get sinceLast(): readonly string[] {
    return this.#sinceLast;
  }

  /** Remembers the state the lane starts with. Syncs first. */
  async remember(): Promise<void> {
    const { timeNs } = await this.#worker(0).operate(['sync']);
    this.#see(await this.describe('mount'));
    this.#isSettled = true;
    this.#remember(timeNs, this.#live);
  }

  /** Does one random operation, compares, and remembers the moment when it has passed a barrier. */
  async step(): Promise<void> {
    const index = this.#random.below(this.#workers.length);
    await this.#perform(index, this.#choose());
    if (this.#dirtySlots.size > 0 && this.#random.oneIn(3)) await this.#clean(this.#random.pick([...this.#dirtySlots]), 'fsync');
    if (!this.#isSettled && this.#dirtySlots.size === 0 && this.#random.oneIn(2)) {
      await this.#perform(index, { words: ['sync'], settling: 'barrier' });
    }
  }

  /** Everything written is synced, everything open closed; then remembers. */
  async settle(): Promise<void> {
    for (const dirty of [...this.#dirtySlots]) await this.#clean(dirty, 'close');
    await this.#perform(0, { words: ['sync'], settling: 'barrier' });
  }

  /**
   * After the daemon died and the volume is mounted again (and `open` was called): what had returned must be there, what was under way must be
   * done or not done. Then the twin is made again from the tree and the lane can go on.
   */
  async recover(): Promise<void> {
    const live = (await this.describe('mount')).map(withoutTime);
    const after = (await this.describe('twin')).map(withoutTime);
    const before = this.#live.map(withoutTime);
    checkRecovered({ live, before, after }, this.#underway, this.#sinceLast);
    this.#underway = undefined;
    await this.close();
    const { mount, twin } = this.#places;
    await runWell('find', [twin, '-mindepth', '1', '-delete']);
    await runWell('cp', ['-a', `${mount}/.`, `${twin}/`]);
    this.open();
    await this.remember();
  }

  /** What the mount shows now, or what a path below it shows. */
  async describe(which: string): Promise<readonly string[]> {
    const { lines, errno } = await this.#worker(0).describe(which);
    assert.equal(errno, 0, `${which} can be read to its end`);
    return lines;
  }

  /** These moments are there no more. */
  forget(isGone: (moment: Moment) => boolean): void {
    this.moments = this.moments.filter((moment) => !isGone(moment));
  }

  /** Compares the moments with what `nameOf` calls their snapshots. */
  async compare(moments: readonly Moment[], nameOf: (moment: Moment) => Promise<string>): Promise<void> {
    for (const moment of moments) {
      const name = await nameOf(moment);
      const { lines, errno } = await this.#worker(0).describe(`.snapshots/@${name}`);
      const what = `snapshot @${name} of ${this.#places.mount} (time ${moment.timeNs}) after ${moment.after.join('; ')}`;
      assert.equal(errno, 0, `${what} can be read`);
      assert.deepEqual(lines, moment.lines, what);
    }
  }

  #choose(): Operation {
    let operation = chooseOperation(this.#random, this.#tree);
    while (this.#places.isCalm === true && operation.settling === 'dirty') operation = chooseOperation(this.#random, this.#tree);
    return operation;
  }

  async #clean(dirty: string, how: 'fsync' | 'close'): Promise<void> {
    const [index = 0, slot = 0] = dirty.split(':').map(Number);
    await this.#perform(index, { words: [how, slot], settling: 'slot-barrier', slot });
  }

  async #perform(index: number, operation: Operation): Promise<void> {
    this.#sinceLast.push(`[${index}] ${operation.words.join(' ')}`);
    this.#count += 1;
    this.#underway = { operation, hasReturned: false };
    const { mountErrno, twinErrno, timeNs } = await this.#worker(index).operate(operation.words);
    this.#underway.hasReturned = mountErrno === 0;
    assert.equal(mountErrno, twinErrno, `errno of ${this.#sinceLast.join('; ')}`);
    const [live, twin] = [await this.describe('mount'), await this.describe('twin')];
    assert.deepEqual(live.map(withoutTime), twin.map(withoutTime), `the tree after ${this.#sinceLast.join('; ')}`);
    this.#settle(operation, { errno: mountErrno, dirty: `${index}:${operation.slot ?? ''}`, hasChanged: !isDeepStrictEqual(live, this.#live) });
    this.#see(live);
    this.#underway = undefined;
    // What came to nothing needs no comparison of its own.
    if (!this.#isSettled || this.#dirtySlots.size > 0 || isDeepStrictEqual(live, this.moments.at(-1)?.lines)) return;
    this.#remember(this.#places.hasCompany || endsByClosing(operation) ? await this.#places.now() : timeNs, live);
  }

  /** Keeps account of what may not yet be in a snapshot. In doubt it may not. */
  #settle({ settling, words }: Operation, { errno, dirty, hasChanged }: { errno: number; dirty: string; hasChanged: boolean }): void {
    switch (settling) {
      case 'barrier':
        // One that does nothing, as a rename to itself, ends no transaction; a sync always does.
        if (errno === 0 && (hasChanged || words[0] === 'sync')) this.#isSettled = true;
        else if (hasChanged) this.#isSettled = false;
        break;
      case 'slot-barrier':
        if (this.#dirtySlots.has(dirty)) this.#isSettled = errno === 0;
        // An open closes what the slot held even when it fails itself.
        if (errno === 0 || words[0] === 'open') this.#dirtySlots.delete(dirty);
        break;
      case 'dirty':
        if (errno === badHandle) break;
        this.#dirtySlots.add(dirty);
        this.#isSettled = false;
        break;
      case 'later':
        if (hasChanged) this.#isSettled = false;
    }
  }

  #see(live: readonly string[]): void {
    this.#live = live;
    this.#tree = treeOf(live);
  }

  #remember(timeNs: bigint, lines: readonly string[]): void {
    this.moments = [...this.moments, { timeNs, lines, after: this.#sinceLast }];
    this.#sinceLast = [];
  }

  #worker(index: number): Worker {
    const worker = this.#workers[index];
    if (worker === undefined) throw new RangeError(`the lane has no worker ${index}`);
    return worker;
  }
}

function treeOf(lines: readonly string[]): Tree {
  const nodes = lines.slice(1).map((line) => ({ path: line.slice(1, line.indexOf(' ')), mode: parseInt(line.split(' ')[1] ?? '', 8) }));
  const ofKind = (kind: number): string[] => nodes.filter(({ mode }) => (mode & 0o170000) === kind).map(({ path }) => path);
  return { all: nodes.map(({ path }) => path), files: ofKind(0o100000), directories: ofKind(0o040000) };
}
