/**
 * Starts a runner and hears what it says: the daemon's half of runner.ts. In: an order, the store. Out: its last answer.
 *
 * Invariants:
 * 1. The runner reaches the store by a descriptor of its own: the mount hides it from everybody else.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Report } from '../../replica/progress.js';
import type { RunnerAnswer, RunnerOrder } from './order.js';

const storeDescriptor = 4;

export type LastAnswer = Exclude<RunnerAnswer, { report: Report }>;

export class RunnerProcess {
  readonly answer: Promise<LastAnswer>;
  readonly #child: ChildProcess;

  constructor(order: Omit<RunnerOrder, 'store'>, store: string, onReport: (report: Report) => void) {
    const fd = openSync(store, 'r');
    try {
      this.#child = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL('./runner.js', import.meta.url))], { cwd: '/', stdio: ['ignore', 'inherit', 'inherit', 'ipc', fd] });
    } finally {
      closeSync(fd);
    }
    this.answer = this.#listen(onReport);
    this.#child.send({ ...order, store: `/proc/self/fd/${storeDescriptor}` } satisfies RunnerOrder);
  }

  /** undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Ends it; what it was at, the next one goes on with. */
  stop(): void {
    this.#child.kill('SIGKILL');
  }

  #listen(onReport: (report: Report) => void): Promise<LastAnswer> {
    return new Promise((resolve) => {
      let last: LastAnswer | undefined;
      this.#child.on('message', (message: RunnerAnswer) => {
        if ('report' in message) onReport(message.report);
        else last = message;
      });
      this.#child.on('error', (error) => { resolve({ failed: { fault: 'internal', message: `no process could be started: ${error.message}` } }); });
      this.#child.on('close', (status, signal) => {
        resolve(last ?? { failed: { fault: 'stopped', message: signal === null ? `its process ended with status ${status ?? 'unknown'}; the daemon's log says why` : `its process was ended (${signal})` } });
      });
    });
  }
}
