/**
 * `npm run bench -- --pruning`: what it costs to give up a history of a million versions, and what that does to those who work meanwhile. In: a scratch directory on a disk.
 * Out: seconds, the part of the dead bytes that came back, and the 99th percentiles of writes and lookups, idle and while pruning.
 *
 * The history goes in parts, and between the parts nothing is pruned: idle and pruning are measured in turn, in one run.
 *
 * Invariants:
 * 1. Nothing stays mounted, and no daemon runs, afterwards.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { execute, pause } from '../command.js';
import { clear, mount, tidemark, unmount } from '../scale/commands.js';
import { blocksIn, makeDisk, removeDisk } from '../scale/disk.js';
import { makePrunable } from './history.js';
import type { PrunableHistory } from './history.js';

export interface PruningOptions {
  readonly versions: number;
  /** A directory on a disk, empty. */
  readonly scratch: string;
  /** The compiled bench/workload.c. */
  readonly workload: string;
  readonly progress: (line: string) => void;
}

export interface PruningResults {
  readonly versions: number;
  readonly seconds: number;
  /** Of the bytes that lost their need, by du. */
  readonly givenBack: number;
  readonly logBytesBefore: number;
  readonly logBytesAfter: number;
  /** Milliseconds. */
  readonly writes: Percentiles;
  readonly lookups: Percentiles;
}

export interface Percentiles {
  readonly idle: { readonly p50: number; readonly p99: number; readonly count: number };
  readonly pruning: { readonly p50: number; readonly p99: number; readonly count: number };
}

interface Samples {
  readonly writes: number[];
  readonly lookups: number[];
}

const load = new URL('./load.js', import.meta.url).pathname;
const days = 90;
const fileCount = 10_000;
const pins = 10;
const loadFileBytes = 16 << 20;
const diskBytes = 60 * 2 ** 30;
const dayNs = 86_400_000_000_000n;
/** How many days are left after each part. */
const parts = [68, 45, 23, 1];
const leastIdleMs = 5_000;

export async function runPruning({ versions, scratch, workload, progress }: PruningOptions): Promise<PruningResults> {
  const place = `${scratch}/pruning`;
  mkdirSync(place);
  let pid: number | undefined;
  const directory = await makeDisk(place, diskBytes, fileCount + 10_000);
  try {
    progress(`makes ${versions} versions of ${fileCount} files`);
    await execute(workload, ['create', directory, String(fileCount)]);
    writeFileSync(`${directory}/load`, '');
    truncateSync(`${directory}/load`, loadFileBytes);
    const history = await makePrunable(directory, { versions, days, pins });
    const log = `${directory}/.tidemark/log`;
    const segments = readdirSync(log);
    const logBytesBefore = blocksIn(log);
    progress('mounts it, which makes the index');
    pid = (await mount(directory)).pid;
    await execute('dd', ['if=/dev/urandom', `of=${directory}/load`, 'bs=1M', `count=${loadFileBytes >> 20}`, 'conv=notrunc,fsync']);
    const { idle, pruning, seconds } = await inTurn(directory, history, progress);
    await unmount(directory, pid);
    // Without those that were written since.
    const logBytesAfter = blocksIn(log, segments);
    const dead = logBytesBefore - history.neededBytes(history.lastNs - dayNs);
    return {
      versions, seconds, logBytesBefore, logBytesAfter, givenBack: (logBytesBefore - logBytesAfter) / dead,
      writes: { idle: percentiles(idle.writes), pruning: percentiles(pruning.writes) }, lookups: { idle: percentiles(idle.lookups), pruning: percentiles(pruning.lookups) },
    };
  } finally {
    await clear(directory, pid);
    await removeDisk(place);
  }
}

async function inTurn(directory: string, { lastNs }: PrunableHistory, progress: (line: string) => void): Promise<{ idle: Samples; pruning: Samples; seconds: number }> {
  const idle: Samples = { writes: [], lookups: [] };
  const pruning: Samples = { writes: [], lookups: [] };
  let seconds = 0;
  for (const left of parts) {
    progress(`all but ${left} days go`);
    await tidemark('policy', directory, '--ladder', `${left}d:all`, '--disk-share', '100%');
    const took = await underLoad(directory, lastNs, pruning, async () => (await tidemark('prune', directory)).ms);
    seconds += took / 1000;
    // What ends with the pruning is over.
    await pause(1000);
    await underLoad(directory, lastNs, idle, async () => pause(Math.max(took, leastIdleMs)));
  }
  return { idle, pruning, seconds };
}

/** Does the work while others write and look at moments of the last twelve hours. */
async function underLoad<T>(directory: string, lastNs: bigint, samples: Samples, work: () => Promise<T>): Promise<T> {
  const child = spawn(process.execPath, [load, directory, String(lastNs - dayNs / 2n), String(lastNs)], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const over = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    // It has started, and what it does first is behind it.
    await pause(500);
    return await work();
  } finally {
    child.stdin.end();
    await over;
    const found = JSON.parse(output) as Samples;
    samples.writes.push(...found.writes);
    samples.lookups.push(...found.lookups);
  }
}

function percentiles(times: readonly number[]): { p50: number; p99: number; count: number } {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), count: sorted.length };
}
