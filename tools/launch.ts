/**
 * Starts a daemon, or a keeper that starts it, and waits until it serves: the parent's half of daemon.ts.
 *
 * Invariants:
 * 1. It returns when the volume can be used, or throws one CommandError that says why not.
 * 2. The daemon is in a session of its own: Ctrl-C in a terminal reaches the command only, which then asks the daemon.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { keeperPath } from '../native/keeper-path.js';
import type { DaemonOptions, Ready, Started } from './daemon-options.js';
import { CommandError } from './errors.js';

/** A log grown beyond this is put aside as `.old` before the next start. */
const longestLogBytes = 10 * 1024 * 1024;

export interface Launched {
  readonly ready: Ready;
  /** Ends the tie to the daemon, which lives on (or, with until: 'parent', unmounts and ends). */
  readonly disconnect: () => void;
  /** Ends the tie and lets this process end before the daemon does. */
  readonly letGo: () => void;
  /** Resolves when the daemon has ended; with a keeper, when none will follow. */
  readonly ended: Promise<void>;
}

/** Throws CommandError. */
export async function launch(options: DaemonOptions): Promise<Launched> {
  rotate(options.log);
  // The log also takes what the C++ side or Node itself may have to say when it dies.
  const log = openSync(options.log, 'a', 0o600);
  let child: ChildProcess;
  try {
    const daemon = [process.execPath, ...process.execArgv, fileURLToPath(new URL('./daemon.js', import.meta.url)), JSON.stringify(options)];
    const keeper = options.keeper ? keeperPath() : undefined;
    const [program = '', ...rest] = keeper === undefined ? daemon : [keeper, ...daemon];
    child = spawn(program, rest, {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ready = await started(child, options);
  const disconnect = (): void => {
    if (child.connected) child.disconnect();
  };
  const letGo = (): void => {
    disconnect();
    child.unref();
  };
  return { ready, disconnect, letGo, ended };
}

function started(child: ChildProcess, options: DaemonOptions): Promise<Ready> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new CommandError(`cannot start the daemon: ${error.message}`)));
    child.once('message', (message) => {
      const answer = message as Started;
      if ('ready' in answer) resolve(answer.ready);
      else reject(explain(answer.failed, options));
    });
    child.once('exit', (status, signal) => {
      const how = signal === null ? `ended with status ${status ?? 'unknown'}` : `was killed by ${signal}`;
      reject(new CommandError(`the daemon ${how} before it was ready`, `look into ${options.log}`));
    });
  });
}

/** What the daemon's errors mean to the one who typed `mount`. */
function explain(failed: { code: string; message: string }, { directory, log }: DaemonOptions): CommandError {
  // The engine's messages bring their remedy with them.
  if (failed.message.includes('; ')) return new CommandError(failed.message);
  switch (failed.code) {
    case 'EROFS':
      return new CommandError(`${directory} is on a read-only file system`, 'mount it read-write first');
    case 'EACCES':
    case 'EPERM':
      return new CommandError(`no permission: ${failed.message}`, 'run it as the owner of the directory or with sudo');
    case 'ENOSPC':
      return new CommandError(`no room for the store: ${failed.message}`, 'make room on the disk and try again');
    default:
      return new CommandError(failed.message, `the daemon's log is ${log}`);
  }
}

function rotate(log: string): void {
  const size = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  if (size > longestLogBytes) renameSync(log, `${log}.old`);
}
