/**
 * How long after close() a write is seen elsewhere, under a steady stream of small writes (traffic.c), and what processor time that takes. In: two directories that something keeps alike.
 * Out: percentiles in seconds, processor seconds of the whole machine.
 */
import { readFileSync } from 'node:fs';
import { execute } from '../command.js';

export interface Lag {
  readonly p50: number;
  readonly p99: number;
  /** Of the writer: writes that it made in each second. */
  readonly rate: number;
  /** Of the whole machine, from the first write until the last one was seen. */
  readonly processorSeconds: number;
}

export interface Stream {
  /** The compiled traffic.c. */
  readonly traffic: string;
  readonly writes: number;
  /** In a second. */
  readonly rate: number;
}

export const bytesPerWrite = 100;
const probeEvery = 50;
const longestSeconds = 300;
const ticksPerSecond = 100;

/** The directories are made where they are missing; `to` may be the same as `from`, for what the stream and the watching alone take. */
export async function measureLag({ traffic, writes, rate }: Stream, from: string, to: string): Promise<Lag> {
  const before = busySeconds();
  const probes = Math.ceil(writes / probeEvery);
  const [seen, closed] = await Promise.all([
    execute(traffic, ['arrivals', to, String(probes), String(longestSeconds)]),
    execute(traffic, ['steady', from, String(writes), String(rate)]),
  ]).then((outputs) => outputs.map((output) => output.trim().split('\n').map(Number)));
  const processorSeconds = busySeconds() - before;
  // A probe may be found while its close() is still returning.
  const lags = seen!.map((time, index) => Math.max(0, time - closed![index]!)).sort((one, other) => one - other);
  const at = (share: number): number => lags[Math.min(lags.length - 1, Math.floor(lags.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), rate: writes / (closed!.at(-1) ?? Number.NaN), processorSeconds };
}

/** What the processors did since the start of the machine, in seconds: all but idle, waiting for disks, and what other machines took. */
function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (/^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '').split(' ').map(Number);
  return (user + nice + system + irq + softirq) / ticksPerSecond;
}
