/**
 * Measures one size: makes a history, lets the real indexer read it, mounts it, looks into it through the mount and the command line. In: a number of transactions, an
 * empty place. Out: figures.
 *
 * Invariants:
 * 1. Whatever happens, nothing stays mounted and no daemon runs afterwards.
 * 2. Figures are medians of several looks, but where they say otherwise.
 */
import { readFileSync } from 'node:fs';
import { execute, pause } from '../command.js';
import { medianOf } from '../summary.js';
import { clear, kill, mount, tidemark, unmount } from './commands.js';
import { blocksIn, makeDisk, removeDisk } from './disk.js';
import type { Figures } from './figures.js';
import { makeHistory } from './history.js';
import type { MadeHistory } from './history.js';
import { looksAt } from './looks.js';
import type { Look } from './probe.js';

export interface ScalePlan {
  readonly transactions: number;
  /** An empty directory on a disk. */
  readonly place: string;
  /** The compiled bench/workload.c. */
  readonly workload: string;
  readonly progress: (line: string) => void;
}

const probe = new URL('./probe.js', import.meta.url).pathname;
const days = 90;
const diskBytes = 100 * 2 ** 30;
const commandRuns = 11;
const mountRuns = 5;
/** Writes before the daemon is killed: more than the index reads at once. */
const burst = 20_000;

export async function measureScale(plan: ScalePlan): Promise<Figures> {
  const { transactions, place } = plan;
  const files = Math.max(1000, transactions / 10);
  const directory = await makeDisk(place, diskBytes, files + 20_000);
  try {
    return await new Measurement(plan, directory, files).run();
  } finally {
    await removeDisk(place);
    plan.progress(`${transactions} transactions: cleaned up`);
  }
}

class Measurement {
  readonly #plan: ScalePlan;
  readonly #directory: string;
  readonly #files: number;
  #pid: number | undefined;

  constructor(plan: ScalePlan, directory: string, files: number) {
    this.#plan = plan;
    this.#directory = directory;
    this.#files = files;
  }

  async run(): Promise<Figures> {
    try {
      const history = await this.#make();
      const index = await this.#index(history);
      const looks = await this.#look(history);
      const commands = await this.#commands();
      const memory = this.#memory();
      const mounts = await this.#mounts();
      return { files: this.#files, logBytes: history.logBytes, ...index, ...looks, ...commands, ...memory, ...mounts };
    } finally {
      await clear(this.#directory, this.#pid);
    }
  }

  async #make(): Promise<MadeHistory> {
    const { transactions, workload } = this.#plan;
    this.#say(`makes ${this.#files} files and the log of their history`);
    const history = await makeHistory(this.#directory, { transactions, files: this.#files, noteVersions: 1000, days }, (where, count) => execute(workload, ['create', where, String(count)]));
    await execute('sync', ['-f', this.#directory]);
    this.#say(`${history.segments} segments; mounts it, which makes the index`);
    return history;
  }

  async #index({ transactions }: MadeHistory): Promise<Pick<Figures, 'indexedPerSecond'>> {
    const { ms, pid } = await mount(this.#directory);
    this.#pid = pid;
    this.#say(`the index is made in ${(ms / 1000).toFixed(1)} s; looks into the past`);
    return { indexedPerSecond: transactions / (ms / 1000) };
  }

  async #look(history: MadeHistory): Promise<Pick<Figures, 'listRoot' | 'listDirectory' | 'resolve' | 'resolveWorst' | 'resolveBelow' | 'resolveBelowWorst' | 'read'>> {
    const looks = looksAt(this.#directory, history, this.#files);
    const listRoot = await this.#probe(looks.listRoot);
    const listDirectory = await this.#probe(looks.listDirectory);
    const resolve = await this.#probe(looks.resolve);
    const resolveBelow = await this.#probe(looks.resolveBelow);
    const read = await this.#probe(looks.read);
    return {
      listRoot: medianOf(listRoot), listDirectory: medianOf(listDirectory), resolve: medianOf(resolve), resolveWorst: Math.max(...resolve),
      resolveBelow: medianOf(resolveBelow), resolveBelowWorst: Math.max(...resolveBelow), read: medianOf(read),
    };
  }

  /** Milliseconds of each look that does not only prepare. */
  async #probe(looks: readonly Look[]): Promise<number[]> {
    const times = JSON.parse(await execute(process.execPath, [probe, JSON.stringify(looks)])) as number[];
    return times.filter((_, index) => looks[index]!.do !== 'touch');
  }

  async #commands(): Promise<Pick<Figures, 'log' | 'logNote' | 'status' | 'node'>> {
    this.#say('asks through the command line');
    const some = Math.floor(this.#files / 3);
    const timed = async (...words: string[]): Promise<number> => medianOf(await repeat(commandRuns, async () => (await tidemark(...words)).ms));
    const node = medianOf(await repeat(commandRuns, async () => {
      const startedAt = performance.now();
      await execute(process.execPath, ['-e', '0']);
      return performance.now() - startedAt;
    }));
    const log = await timed('log', `${this.#directory}/d${Math.floor(some / 1000)}/f${some}`);
    const logNote = await timed('log', `${this.#directory}/note`);
    return { log, logNote, status: await timed('status', this.#directory), node };
  }

  async #mounts(): Promise<Pick<Figures, 'mount' | 'mountCold' | 'mountKilled' | 'logDiskBytes' | 'indexBytes'>> {
    this.#say('stops and mounts it again and again');
    const store = `${this.#directory}/.tidemark`;
    let [logDiskBytes, indexBytes] = [0, 0];
    const clean = await repeat(mountRuns, () => this.#remount(async () => {
      await unmount(this.#directory, this.#pid!);
      // In sight only while nothing is mounted over it.
      [logDiskBytes, indexBytes] = [blocksIn(`${store}/log`), blocksIn(`${store}/index`)];
    }));
    const mountCold = await this.#remount(async () => {
      await unmount(this.#directory, this.#pid!);
      await execute('sh', ['-c', 'sync; echo 3 > /proc/sys/vm/drop_caches']);
    });
    const killed = await repeat(3, () => this.#remount(() => this.#killUnderLoad()));
    return { mount: medianOf(clean), mountCold, mountKilled: Math.max(...killed), logDiskBytes, indexBytes };
  }

  async #remount(stop: () => Promise<void>): Promise<number> {
    await stop();
    const { ms, pid } = await mount(this.#directory);
    this.#pid = pid;
    // What a daemon does right after its start is over.
    await pause(3000);
    return ms;
  }

  /** What was not indexed yet has to be read again. */
  async #killUnderLoad(): Promise<void> {
    const { workload } = this.#plan;
    const writing = execute(workload, ['versions', `${this.#directory}/burst`, '0', String(burst), '4096']).catch(() => undefined);
    await pause(1500);
    await kill(this.#pid!);
    await writing;
  }

  #memory(): Pick<Figures, 'residentBytes' | 'anonymousBytes'> {
    const text = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    const bytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)![1]) * 1024;
    return { residentBytes: bytes('VmRSS'), anonymousBytes: bytes('RssAnon') };
  }

  #say(what: string): void {
    this.#plan.progress(`${this.#plan.transactions} transactions: ${what}`);
  }
}

async function repeat<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let index = 0; index < count; index++) results.push(await work());
  return results;
}
