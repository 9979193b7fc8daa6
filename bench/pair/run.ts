/**
 * `npm run bench -- --pair`: what a live standby costs, how far behind it is, and how fast bulk goes, beside lsyncd, Syncthing, rsync and a bare TLS socket. Both nodes are on this machine, on its
 * loopback. In: a scratch directory on a disk. Out: seconds.
 *
 * Invariants:
 * 1. Nothing stays mounted, and no daemon and no peer runs, afterwards.
 * 2. What arrived is compared, after it was timed.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { withMount } from '../../test/support/mount.js';
import { caughtUp, withPair } from '../../test/support/pair.js';
import { execute } from '../command.js';
import { measureCost } from './cost.js';
import type { Cost } from './cost.js';
import { measureLag } from './lag.js';
import type { Lag, Stream } from './lag.js';
import { isInstalled, startLsyncd, startRsyncDaemon, startSyncthing } from './peers.js';
import type { Between, Follower } from './peers.js';
import { BareTls } from './tls.js';

export interface PairBenchOptions {
  readonly rounds: number;
  readonly files: number;
  readonly commits: number;
  readonly bulkBytes: number;
  readonly initialFiles: number;
  readonly writes: number;
  readonly rate: number;
  /** A directory on a disk, empty. */
  readonly scratch: string;
  /** The repository. */
  readonly root: string;
  /** The compiled bench/workload.c. */
  readonly workload: string;
  readonly progress: (line: string) => void;
}

/** Who carries the stream of small writes; `bare` is nobody, and `volume` nobody either, on a mount. */
export const followers = ['bare', 'volume', 'tidemark', 'lsyncd', 'syncthing'] as const;
export type FollowerName = (typeof followers)[number];

export interface PairBenchResults {
  readonly options: Pick<PairBenchOptions, 'rounds' | 'files' | 'commits' | 'bulkBytes' | 'initialFiles' | 'writes' | 'rate'>;
  readonly cost: Cost;
  /** One of each round; none where it is not installed. */
  readonly lag: Readonly<Record<FollowerName, Lag[]>>;
  readonly bulk: { readonly pair: number[]; readonly tls: number[] };
  readonly initial: { readonly pair: number[]; readonly rsync: number[] };
  /** Of a byte through a bare TLS connection. */
  readonly roundTrip: number;
}

const silent = { comment: (): void => undefined };
const roundTrips = 2_000;

export async function runPairBench(options: PairBenchOptions): Promise<PairBenchResults> {
  const { rounds, files, commits, bulkBytes, initialFiles, writes, rate, progress } = options;
  const bench = new PairBench(options);
  await execute('gcc', ['-O2', '-Wall', '-o', bench.traffic, `${options.root}/bench/pair/traffic.c`]);
  progress('what a standby costs the primary');
  const cost = await bench.cost();
  const lag: PairBenchResults['lag'] = { bare: [], volume: [], tidemark: [], lsyncd: [], syncthing: [] };
  const bulk: PairBenchResults['bulk'] = { pair: [], tls: [] };
  const initial: PairBenchResults['initial'] = { pair: [], rsync: [] };
  let roundTrip = Number.NaN;
  for (let round = 1; round <= rounds; round++) {
    for (const name of followers) {
      progress(`round ${round} of ${rounds}: ${writes} small writes, ${name}`);
      const found = await bench.lagOf(name);
      if (found !== undefined) lag[name].push(found);
    }
    progress(`round ${round} of ${rounds}: bulk`);
    roundTrip = await bench.bulk(bulk);
    progress(`round ${round} of ${rounds}: first copy of ${initialFiles} files`);
    await bench.initial(initial);
  }
  return { options: { rounds, files, commits, bulkBytes, initialFiles, writes, rate }, cost, lag, bulk, initial, roundTrip };
}

class PairBench {
  readonly traffic: string;
  readonly #options: PairBenchOptions;
  #made = 0;

  constructor(options: PairBenchOptions) {
    this.#options = options;
    this.traffic = `${options.scratch}/traffic`;
  }

  async cost(): Promise<Cost> {
    return this.#within((scratch) => withMount(silent, {}, (alone) => withPair(silent, {}, (pair) => measureCost(alone, pair, { ...this.#options, scratch }))));
  }

  async lagOf(name: FollowerName): Promise<Lag | undefined> {
    const stream: Stream = { ...this.#options, traffic: this.traffic };
    if (name === 'volume') return withMount(silent, {}, (mount) => measureLag(stream, mount.mountpoint, mount.mountpoint));
    if (name === 'tidemark') {
      return withPair(silent, {}, async ({ primary, standby }) => {
        await caughtUp(primary);
        return measureLag(stream, primary.mountpoint, standby.mountpoint);
      });
    }
    return this.#within(async (place) => {
      const between: Between = { from: `${place}/from`, to: `${place}/to`, place: `${place}/settings` };
      for (const directory of Object.values(between)) mkdirSync(directory);
      if (name === 'bare') return measureLag(stream, between.from, between.from);
      if (!(await isInstalled(name))) return undefined;
      const follower: Follower = await { lsyncd: startLsyncd, syncthing: startSyncthing }[name](between);
      try {
        return await measureLag(stream, between.from, between.to);
      } finally {
        await follower.stop();
      }
    });
  }

  /** Tells how long a byte takes there and back. */
  async bulk(seconds: PairBenchResults['bulk']): Promise<number> {
    const { bulkBytes, workload } = this.#options;
    return this.#within((place) => BareTls.with(place, async (tls) => {
      await execute(workload, ['write', `${place}/file`, String(bulkBytes), String(1 << 20)]);
      seconds.tls.push(await tls.copy(`${place}/file`));
      await execute('cmp', [`${place}/file`, `${place}/copied`]);
      await withPair(silent, {}, async ({ primary, standby }) => {
        await caughtUp(primary);
        const startedAt = Number(await execute(this.traffic, ['now']));
        const [arrivedAt] = await Promise.all([
          execute(this.traffic, ['arrival', standby.path('file'), String(bulkBytes), '300']),
          execute(workload, ['write', primary.path('file'), String(bulkBytes), String(1 << 20)]),
        ]);
        seconds.pair.push(Number(arrivedAt) - startedAt);
        await caughtUp(primary);
        await execute('cmp', [primary.path('file'), standby.path('file')]);
      });
      return tls.roundTrip(roundTrips);
    }));
  }

  async initial(seconds: PairBenchResults['initial']): Promise<void> {
    const { initialFiles } = this.#options;
    let startedAt = 0;
    const configure = (): Promise<void> => {
      startedAt = performance.now();
      return Promise.resolve();
    };
    await this.#within((place) => withPair(silent, { prepare: (directory) => { makeFiles(directory, initialFiles); }, configure }, async ({ primary, standby }) => {
      await caughtUp(primary, 600_000);
      seconds.pair.push((performance.now() - startedAt) / 1000);
      if (!(await isInstalled('rsync'))) return;
      mkdirSync(`${place}/to`);
      const server = await startRsyncDaemon(`${place}/to`, `${place}/settings`);
      try {
        startedAt = performance.now();
        await execute('rsync', ['-a', `${primary.mountpoint}/`, server.address]);
        seconds.rsync.push((performance.now() - startedAt) / 1000);
      } finally {
        await server.stop();
      }
      await execute('diff', ['-r', standby.mountpoint, `${place}/to`]);
    }));
  }

  /** In an empty directory, on a disk that has nothing left to write. */
  async #within<T>(body: (place: string) => Promise<T>): Promise<T> {
    const place = `${this.#options.scratch}/${this.#made++}`;
    mkdirSync(place);
    await execute('sync', []);
    try {
      return await body(place);
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }
}

function makeFiles(directory: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const below = `${directory}/${Math.floor(index / 100)}`;
    if (index % 100 === 0) mkdirSync(below);
    writeFileSync(`${below}/${index}`, Buffer.alloc(4096, `${index} `));
  }
}
