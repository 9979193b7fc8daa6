/**
 * Runs programs for the benchmark. A command comes in; its standard output goes out, or a CommandError that says what
 * failed and why.
 *
 * Invariants:
 * 1. No command runs for ever: at its deadline it is killed, and its caller goes on even if it cannot die (a process that waits for a dead mount).
 * 2. Every process started here is remembered until it ends, so that an interrupted benchmark leaves none behind.
 * 3. The benchmark itself never opens a path on a mount under test; only these children do.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export class CommandError extends Error {
  readonly code = 'ECOMMAND';
}

/** The user a program runs as; without numbers, that of the benchmark. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

export interface CommandOptions extends Account {
  /** Milliseconds; default 10 minutes. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Written to standard input. */
  readonly input?: string;
}

const children = new Set<ChildProcess>();
const environment = { ...process.env, LC_ALL: 'C' };

/** Runs a command to its end and returns its standard output. Throws CommandError when it fails, cannot start or takes too long. */
export function execute(command: string, words: readonly string[], options: CommandOptions = {}): Promise<string> {
  const child = start(command, words, options);
  const output = collect(child);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    const timeoutMs = options.timeoutMs ?? 600_000;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new CommandError(`${command} ${words[0] ?? ''}: not done after ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new CommandError(`${command}: ${error.message}`));
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) resolve(output.text());
      else reject(new CommandError(`${command} ${words.slice(0, 3).join(' ')}: ${signal ?? `status ${status}`}: ${output.errors().slice(-600)}`));
    });
  });
}

/** Starts a long-running program with its output collected; `errors` tells what it said on standard error. */
export function startService(command: string, words: readonly string[], options: CommandOptions = {}): { child: ChildProcess; errors: () => string } {
  const child = start(command, words, options);
  const output = collect(child);
  child.stdin?.end();
  return { child, errors: output.errors };
}

/** Waits until a process has ended, or throws after the time. */
export async function ended(child: ChildProcess, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (child.exitCode === null && child.signalCode === null) {
    if (Date.now() > deadline) throw new CommandError(`process ${child.pid} did not end within ${timeoutMs / 1000} s`);
    await pause(20);
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Kills what is still running of all that was started here. */
export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

function start(command: string, words: readonly string[], options: CommandOptions): ChildProcess {
  const { uid, gid, cwd } = options;
  const child = spawn(command, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: environment,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    cwd: cwd ?? '/',
  });
  children.add(child);
  child.once('close', () => children.delete(child));
  child.once('error', () => children.delete(child));
  return child;
}

function collect(child: ChildProcess): { text: () => string; errors: () => string } {
  const chunks: Buffer[] = [];
  let errors = '';
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4_096);
  });
  return { text: () => Buffer.concat(chunks).toString(), errors: () => errors.trim() };
}
