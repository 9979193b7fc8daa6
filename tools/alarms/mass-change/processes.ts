/**
 * The processes behind a mass change: who they are, stopping them, letting them go on. In: a group as the addon tells of it. Out: processes that were stopped. All comes
 * from /proc, and of that only what the kernel answers by itself: a command line or a file behind a link might lie in the mount, which this process serves.
 *
 * Invariants:
 * 1. Never stopped: process 1, threads of the kernel, this process, those that it descends from, and the session it is in.
 * 2. A process goes on only if it is still the one that was stopped.
 */
import { readdirSync } from 'node:fs';
import { codeOf } from '../../errors.js';
import { contents, startTicks as startTicksOf, statOf } from '../../processes.js';

export interface Group {
  readonly uid: number;
  /** 0: cannot be seen from here. */
  readonly session: number;
}

export interface HeldProcess {
  readonly pid: number;
  /** Start time in clock ticks since boot. */
  readonly startTicks: string;
}

export interface Stopped {
  readonly held: readonly HeldProcess[];
  /** Why some could not be stopped: an errno name. */
  readonly fault?: string;
}

interface Process extends HeldProcess {
  readonly parent: number;
  readonly session: number;
}

/** Processes are started while others are stopped: so often it is looked again. */
const rounds = 5;
const kernelThreads = 2;

/** Stops the processes of a group: those of its user in its session, and those that made the changes (`threads`: as the addon names them). */
export function stopGroup(group: Group, threads: readonly number[]): Stopped {
  const makers = new Set(threads.map(leaderOf));
  const held = new Map<number, HeldProcess>();
  let fault: string | undefined;
  for (let round = 0; round < rounds; round += 1) {
    const all = processes();
    const spared = sparedAmong(all);
    const found = [...all.values()].filter((one) => !held.has(one.pid) && !spared(one) && (makers.has(one.pid) || isOf(group, one)));
    for (const { pid, startTicks } of found) {
      try {
        process.kill(pid, 'SIGSTOP');
        held.set(pid, { pid, startTicks });
      } catch (error) {
        // It may have ended meanwhile.
        if (codeOf(error) !== 'ESRCH') fault = codeOf(error);
      }
    }
    if (found.every(({ pid }) => !held.has(pid))) break;
  }
  return { held: [...held.values()], ...(fault === undefined ? {} : { fault }) };
}

/** Lets processes go on; returns those that are still there. */
export function letGo(held: readonly HeldProcess[]): HeldProcess[] {
  return held.filter(({ pid, startTicks }) => {
    if (startTicksOf(pid) !== startTicks) return false;
    try {
      process.kill(pid, 'SIGCONT');
      return true;
    } catch {
      return false;
    }
  });
}

/** The process that a thread belongs to; undefined when it has ended. */
export function leaderOf(thread: number): number | undefined {
  const found = /^Tgid:\s*(\d+)$/m.exec(contents(`/proc/${thread}/status`))?.[1];
  return found === undefined ? undefined : Number(found);
}

function isOf({ uid, session }: Group, one: Process): boolean {
  // The fourth is the one that file systems see.
  return session !== 0 && one.session === session && /^Uid:\t\d+\t\d+\t\d+\t(\d+)$/m.exec(contents(`/proc/${one.pid}/status`))?.[1] === String(uid);
}

function sparedAmong(all: ReadonlyMap<number, Process>): (one: Process) => boolean {
  const own = all.get(process.pid)?.session ?? 0;
  const pids = new Set([1, kernelThreads]);
  for (let pid = process.pid; pid !== 0 && !pids.has(pid); pid = all.get(pid)?.parent ?? 0) pids.add(pid);
  return (one) => pids.has(one.pid) || one.parent === kernelThreads || (own !== 0 && one.session === own);
}

function processes(): Map<number, Process> {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => read(Number(name)));
  return new Map(all.filter((one) => one !== undefined).map((one) => [one.pid, one]));
}

function read(pid: number): Process | undefined {
  const fields = statOf(pid);
  return fields === undefined ? undefined : { pid, parent: Number(fields[1]), session: Number(fields[3]), startTicks: fields[19] ?? '' };
}
