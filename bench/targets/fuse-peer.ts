/**
 * A passthrough filesystem in user space, of somebody else's making, as a target: it mirrors the directory at a mount beside it
 * and keeps no history. A program and its words come in, a target goes out.
 *
 * Invariants:
 * 1. The program runs in the foreground as a child of the benchmark: it cannot outlive it unseen.
 * 2. A start that fails leaves neither the process nor a mount.
 */
import { mkdir, rmdir } from 'node:fs/promises';
import type { ChildProcess } from 'node:child_process';
import { ended, pause, startService } from '../command.js';
import type { Account } from '../command.js';
import { detach, isMounted } from '../mounts.js';
import type { RunningTarget, Target } from './target.js';

export interface FusePeer extends Omit<Target, 'start'> {
  /** The command that mirrors a directory at a path, in the foreground. */
  command(directory: string, path: string, account: Account): readonly [string, ...string[]];
}

export function fusePeer(peer: FusePeer): Target {
  const { command, ...rest } = peer;
  return { ...rest, start: (directory, account) => start(peer, directory, account) };
}

async function start({ name, command }: FusePeer, directory: string, account: Account): Promise<RunningTarget> {
  const path = `${directory}.${name}`;
  await mkdir(path);
  const [program, ...words] = command(directory, path, account);
  const { child, errors } = startService(program, words);
  const stop = (): Promise<void> => end(child, path);
  const deadline = Date.now() + 10_000;
  while (!isMounted(path)) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      await stop();
      throw new Error(`${name} did not mount: ${errors()}`);
    }
    await pause(10);
  }
  return { path, pid: child.pid, features: [], history: undefined, stop };
}

async function end(child: ChildProcess, path: string): Promise<void> {
  if (isMounted(path)) await detach(path);
  await ended(child, 30_000).catch(() => child.kill('SIGKILL'));
  await rmdir(path);
}
