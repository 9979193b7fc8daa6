/**
 * Child processes of a test: run to the end, or kept until the test has done with them.
 *
 * Invariants:
 * 1. Only processes that a test started are ended, by pid.
 * 2. A run that takes longer than its limit is killed and fails; nothing waits for ever.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Outcome {
  /** Exit status; -1 when a signal ended it. */
  readonly status: number;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs as this user, in this group and no other; needs root. */
  readonly uid?: number;
  readonly gid?: number;
  readonly input?: string | Buffer;
  /** Default 120 s. */
  readonly limitMs?: number;
}

/** Runs a program to its end, whatever its exit status. Throws when it cannot be started or takes too long. */
export async function run(command: string, programArguments: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = start(command, programArguments, options);
  const chunks: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  child.stdout?.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
  child.stdin?.on('error', () => undefined); // It may end without reading.
  child.stdin?.end(options.input ?? '');
  let isLate = false;
  const limitMs = options.limitMs ?? 120_000;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, limitMs);
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  const outcome = { status: status ?? -1, signal, stdout: textOf(chunks.stdout), stderr: textOf(chunks.stderr) };
  if (isLate) throw new Error(`${command} ${programArguments.join(' ')} took longer than ${limitMs} ms\n${outcome.stdout}${outcome.stderr}`);
  return outcome;
}

/** Runs a program that must succeed; gives what it printed. Throws with all it said otherwise. */
export async function runWell(command: string, programArguments: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(command, programArguments, options);
  if (outcome.status !== 0) {
    const how = outcome.signal ?? `status ${outcome.status}`;
    throw new Error(`${command} ${programArguments.join(' ')} ended with ${how}\n${outcome.stdout}${outcome.stderr}`);
  }
  return outcome.stdout;
}

/** Starts a program with pipes; it dies with this process. */
export function start(command: string, programArguments: readonly string[], options: RunOptions = {}): ChildProcess {
  const user = options.uid === undefined ? [] : [`--reuid=${options.uid}`, `--regid=${options.gid ?? options.uid}`, '--clear-groups'];
  // By its path: a test may give the program a PATH of its own.
  // The test runner adds options to any environment that have every Node process load its own modules first and write notes at the end: half a
  // second for each command, and another user's program cannot write there.
  const program = ['/usr/bin/env', '-u', 'NODE_OPTIONS', command];
  return spawn('/usr/bin/setpriv', [...user, '--pdeathsig=KILL', '--', ...program, ...programArguments], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.environment },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

/** true while the process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return status.charAt(status.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return false;
  }
}

/** Kills at once and waits until it is gone. */
export async function killNow(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return; // It has ended by itself.
  }
  await until(() => !isAlive(pid), `process ${pid} to end`);
}

/** Asks every few milliseconds until it is true. Throws after the limit. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await sleep(10);
  }
}

/** true when the program is installed. */
export async function isInstalled(program: string): Promise<boolean> {
  return (await run('sh', ['-c', 'command -v "$1"', 'sh', program])).status === 0;
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}
