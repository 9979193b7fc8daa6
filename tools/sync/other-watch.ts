/**
 * Whether something has changed at the other side of a continuous sync: the daemon's half of watch-process.ts. In: the path. Out: yes or no.
 *
 * Invariants:
 * 1. It says yes once too often rather than once too few: at its beginning, when the watching process has ended, and every minute, because a share tells nothing of what others do there.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const everyMs = 60_000;
const restartMs = 5000;

export class OtherWatch {
  readonly #path: string;
  /** It can be watched (again). */
  readonly #onReady: () => void;
  #child: ChildProcess | undefined;
  #startedMs = 0;
  #hasChanged = true;
  #takenMs = 0;

  constructor(path: string, onReady: () => void) {
    this.#path = path;
    this.#onReady = onReady;
  }

  hasChanged(nowMs: number): boolean {
    return this.#hasChanged || nowMs - this.#takenMs > everyMs;
  }

  /** A run begins that will see whatever changed until now. */
  take(): void {
    this.#hasChanged = false;
    this.#takenMs = Date.now();
  }

  /** Begins to watch unless it does. To be called often. */
  keep(nowMs: number): void {
    if (this.#child !== undefined || nowMs - this.#startedMs < restartMs) return;
    this.#startedMs = nowMs;
    const child = spawn(process.execPath, [fileURLToPath(new URL('./watch-process.js', import.meta.url)), this.#path], { cwd: '/', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    child.on('message', (message) => {
      this.#hasChanged = true;
      if (message === 'ready') this.#onReady();
    });
    const ended = (): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#hasChanged = true;
    };
    child.on('error', ended).on('close', ended);
  }

  stop(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
  }
}
