/**
 * Runs the model: lanes of random operations on one mount, and after each batch the comparison of every moment so far with its
 * snapshot. A seed and sizes come in; it throws with the operations concerned at the first difference.
 *
 * Invariants:
 * 1. Two runs with the same seed do the same operations in each lane.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compile } from '../support/compile.js';
import type { Mount } from '../support/mount.js';
import { Random } from '../support/seed.js';
import { Lane } from './lane.js';
import type { Moment } from './lane.js';
import { Moments } from './moments.js';

export interface ModelOptions {
  readonly seed: number;
  /** Directories worked on at the same time; 0: the root itself. */
  readonly lanes: number;
  /** Of the processes of each lane; undefined is the user who tests. */
  readonly uids: readonly (number | undefined)[];
  readonly batches: number;
  /** Operations in each lane between two comparisons. */
  readonly batchSize: number;
  /** Gives history up before each comparison. */
  readonly prunes?: boolean;
}

export type ModelStart = Pick<ModelOptions, 'seed' | 'lanes' | 'uids'> & {
  /** As LanePlaces says; default false. */
  readonly isCalm?: boolean;
};

/** The lanes of one mount, with all they have seen. */
export class Model {
  readonly lanes: readonly Lane[];
  readonly #mount: Mount;
  readonly #random: Random;
  #moments: Moments | undefined;

  private constructor(mount: Mount, lanes: readonly Lane[], random: Random) {
    this.#mount = mount;
    this.lanes = lanes;
    this.#random = random;
  }

  /** Runs the body with a model, whose processes end with it. */
  static async with(mount: Mount, options: ModelStart, body: (model: Model) => Promise<void>): Promise<void> {
    const model = await Model.#start(mount, options);
    try {
      await body(model);
    } finally {
      await model.close();
    }
  }

  /** Compiles the worker, makes the directories and starts the lanes. */
  static async #start(mount: Mount, options: ModelStart): Promise<Model> {
    const program = join(mount.place, 'worker');
    await compile(['test/model/worker.c', 'test/model/operations.c', 'test/model/describe.c'], program);
    const random = new Random(options.seed);
    const names = options.lanes === 0 ? [''] : Array.from({ length: options.lanes }, (_, index) => `lane-${index}`);
    const lanes = names.map((name) => {
      const places = { mount: mount.path(name), twin: join(mount.place, 'twin', name) };
      mkdirSync(places.twin, { recursive: true });
      if (name !== '') mkdirSync(places.mount);
      // All processes of the lane may work in its root.
      for (const directory of [places.mount, places.twin]) chmodSync(directory, 0o777);
      const now = (): Promise<bigint> => model.#asked.now();
      return new Lane({ program, ...places, uids: options.uids, isCalm: options.isCalm ?? false, hasCompany: names.length > 1, now, servers: () => [mount.pid] }, new Random(random.below(2 ** 32)));
    });
    const model: Model = new Model(mount, lanes, random);
    await model.open();
    await Promise.all(lanes.map((lane) => lane.remember()));
    return model;
  }

  /** After each mount. */
  async open(): Promise<void> {
    this.#moments = await Moments.connect(this.#mount);
    for (const lane of this.lanes) lane.open();
  }

  /** Before each unmount. */
  async close(): Promise<void> {
    this.#moments?.close();
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }

  /** Does operations in all lanes at the same time. */
  async work(stepsEach: number): Promise<void> {
    const working = this.lanes.map(async (lane) => {
      for (let step = 0; step < stepsEach; step += 1) await lane.step();
    });
    // All come to their end before the first failure is told: none works on behind it.
    const failed = (await Promise.allSettled(working)).find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Does operations in all lanes until the daemon has died. Throws when something else goes wrong, or it does not die. */
  async workUntilDead(stepsEach: number): Promise<void> {
    const outcomes = await Promise.allSettled([this.work(stepsEach)]);
    const failure = outcomes[0]?.status === 'rejected' ? (outcomes[0].reason as unknown) : new Error(`the daemon lived through ${stepsEach} operations`);
    await this.#mount.died(3000).catch(() => {
      throw failure;
    });
    await this.close();
  }

  /** Mounts again after a crash: everything must be there, and it can go on. */
  async recover(): Promise<void> {
    await this.#mount.mount();
    await this.#mount.cliWell('verify', this.#mount.mountpoint).catch((error: unknown) => {
      const underway = this.lanes.map((lane) => lane.sinceLast.join('; '));
      throw new Error(`after a crash in ${underway.join(' | ')}: ${String(error)}`);
    });
    await this.open();
    await Promise.all(this.lanes.map((lane) => lane.recover()));
    await this.compare();
  }

  async settle(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.settle()));
  }

  /** Compares every moment of every lane with its snapshot, some called by their time and the others by their transaction. */
  async compare(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.compare(lane.moments, (moment) => this.#nameOf(moment))));
  }

  /** Gives up moments; those that are left are to be compared. (What was compared in this mount is in use.) */
  async prune(): Promise<number> {
    const { mountpoint } = this.#mount;
    const txids = new Map<Moment, string>();
    for (const moment of this.lanes.flatMap((lane) => lane.moments)) txids.set(moment, await this.#asked.transactionAt(this.#asked.nameOf(moment.timeNs)));
    // Within a second every moment stays.
    await sleep(1100);
    await this.#mount.cliWell('policy', mountpoint, '--ladder', '1s:all,1h:1s', '--at-least', '1s');
    await this.#mount.cliWell('prune', mountpoint);
    const gone = new Set<Moment>();
    for (const [moment, txid] of txids) if (!(await this.#asked.isKept(txid))) gone.add(moment);
    for (const lane of this.lanes) lane.forget((moment) => gone.has(moment));
    return gone.size;
  }

  get #asked(): Moments {
    if (this.#moments === undefined) throw new Error('the model is not open');
    return this.#moments;
  }

  async #nameOf({ timeNs }: Moment): Promise<string> {
    const byTime = this.#asked.nameOf(timeNs);
    return this.#random.oneIn(3) ? byTime : `txn-${await this.#asked.transactionAt(byTime)}`;
  }
}

/** The whole run on a fresh mount, with a remount and verify at the end. Returns the number of operations. */
export async function runModel(mount: Mount, options: ModelOptions): Promise<number> {
  let count = 0;
  await Model.with(mount, options, async (model) => {
    for (let batch = 0; batch < options.batches; batch += 1) {
      await model.work(options.batchSize);
      if (options.prunes && (await model.prune()) === 0) throw new Error('nothing was given up');
      await model.compare();
    }
    await model.settle();
    await model.close();
    await mount.remount();
    await model.open();
    await model.compare();
    await mount.cliWell('verify', mount.mountpoint);
    count = model.lanes.reduce((sum, lane) => sum + lane.count, 0);
  });
  return count;
}
