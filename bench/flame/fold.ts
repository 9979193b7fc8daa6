/**
 * From `perf script` to folded stacks, without I/O. Lines of text and the numbers of three processes come in; each stack with its count
 * goes out, outermost function first, its first word being whose work it is, marked `_[o]` as functions are marked by frame-name.ts.
 *
 * Invariants:
 * 1. Every sample is counted once: in a stack, as idle, or as one of another process.
 * 2. What a thread of the daemon is for is told by the functions it was ever seen in, so a sample whose stack ends early is not misplaced.
 * 3. Stacks leave in the order of `owners`, then by name: the same samples give the same graph.
 */
import { frameName } from './frame-name.js';

/** The parts of a graph, from left to right. */
export const owners = ['daemon: readers', 'daemon: log', 'daemon: JavaScript', 'daemon: other threads', 'application', 'kernel threads'] as const;
type Owner = (typeof owners)[number];

export interface Cast {
  readonly daemonPid: number;
  /** The applications are its descendants. */
  readonly benchPid: number;
  readonly perfPid: number;
}

export interface Folded {
  /** Frames joined by semicolons → samples. */
  readonly stacks: ReadonlyMap<string, number>;
  readonly idleCount: number;
  /** Samples of processes that have nothing to do with the benchmark, and of those that run it. */
  readonly otherCount: number;
}

interface Thread {
  readonly pid: number;
  readonly tid: number;
  readonly program: string;
  readonly stacks: Map<string, number>;
}

/** Linux's own numbers: the idle task, and the one that all kernel threads descend from. */
const idlePid = 0;
const kernelPid = 2;

/** @param lines of `perf script --show-task-events -F comm,pid,tid,ip,sym,dso` */
export function fold(lines: Iterable<string>, cast: Cast): Folded {
  const { threads, parents, idleCount } = readSamples(lines);
  const stacks = new Map<string, number>();
  const perOwner = new Map<Owner, [string, number][]>(owners.map((owner) => [owner, []]));
  let otherCount = 0;
  for (const thread of threads.values()) {
    const owner = ownerOf(thread, parents, cast);
    for (const [stack, count] of thread.stacks) {
      if (owner === undefined) otherCount += count;
      else perOwner.get(owner)!.push([[...rootOf(owner, thread), ...(stack === '' ? [] : [stack])].join(';'), count]);
    }
  }
  for (const found of perOwner.values()) {
    for (const [stack, count] of found.sort(([a], [b]) => (a < b ? -1 : 1))) stacks.set(stack, (stacks.get(stack) ?? 0) + count);
  }
  return { stacks, idleCount, otherCount };
}

/** One pass: a sample is a line that names the thread, then its frames, innermost first, then an empty line. */
function readSamples(lines: Iterable<string>): { threads: Map<string, Thread>; parents: Map<number, number>; idleCount: number } {
  const threads = new Map<string, Thread>();
  const parents = new Map<number, number>();
  let idleCount = 0;
  let current: { thread: Thread; frames: string[] } | undefined;
  const finish = (): void => {
    if (current?.thread.pid === idlePid) idleCount++;
    else if (current) count(current.thread.stacks, stackOf(current.frames));
    current = undefined;
  };
  for (const line of lines) {
    const forked = /PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)/.exec(line);
    // A new thread has the process that it is in as its parent.
    if (forked && forked[1] !== forked[2]) parents.set(Number(forked[1]), Number(forked[2]));
    if (line.includes('PERF_RECORD_')) continue;
    if (/^\s*$/.test(line)) finish();
    else if (current && /^\s/.test(line)) current.frames.push(line);
    else {
      finish();
      const head = /^\s*(.*?)\s+(\d+)\/(\d+)\s*$/.exec(line);
      if (head) current = { thread: threadOf(threads, head), frames: [] };
    }
  }
  finish();
  return { threads, parents, idleCount };
}

/** A thread that executed another program counts as another one: tar is not the program that started it. */
function threadOf(threads: Map<string, Thread>, [, command = '', pid = '', tid = '']: readonly string[]): Thread {
  // kworker/0:1H and jbd2/vda-8 are kworker and jbd2: one box for all of a kind.
  const program = command.replace(/[/:].*/, '').replaceAll(';', ' ') || command;
  const key = `${pid}/${tid} ${program}`;
  const thread = threads.get(key) ?? { pid: Number(pid), tid: Number(tid), program, stacks: new Map<string, number>() };
  threads.set(key, thread);
  return thread;
}

/** Outermost first; a function that calls itself, and an interpreter's frame under the one it interprets, once. */
function stackOf(frames: readonly string[]): string {
  const names: string[] = [];
  for (const frame of [...frames].reverse()) {
    const name = frameName(frame);
    if (name !== undefined && name !== names.at(-1)) names.push(name);
  }
  return names.join(';');
}

function count(stacks: Map<string, number>, stack: string): void {
  stacks.set(stack, (stacks.get(stack) ?? 0) + 1);
}

/** The daemon's threads are named for what they do, the others for the program they run. */
function rootOf(owner: Owner, { program }: Thread): string[] {
  return owner.startsWith('daemon') ? [`${owner}_[o]`] : [`${owner}_[o]`, `${program}_[o]`];
}

/** Undefined for what has no part in the measured work. */
function ownerOf(thread: Thread, parents: ReadonlyMap<number, number>, { daemonPid, benchPid, perfPid }: Cast): Owner | undefined {
  if (thread.pid === daemonPid) return daemonOwner(thread);
  if (thread.pid === perfPid || thread.pid === benchPid) return undefined;
  // Bounded: numbers of processes are used again, and could make a ring.
  let ancestor: number | undefined = thread.pid;
  for (let step = 0; step < 64 && ancestor !== undefined; step++) {
    if (ancestor === benchPid) return 'application';
    if (ancestor === kernelPid) return 'kernel threads';
    ancestor = parents.get(ancestor);
  }
  return undefined;
}

function daemonOwner({ pid, tid, stacks }: Thread): Owner {
  const seen = (name: string): boolean => [...stacks.keys()].some((stack) => stack.includes(name));
  // The main thread, and Node's workers.
  if (tid === pid || seen('_[j]')) return 'daemon: JavaScript';
  if (seen('Session::readLoop')) return 'daemon: readers';
  return seen('Log::completerLoop') ? 'daemon: log' : 'daemon: other threads';
}
