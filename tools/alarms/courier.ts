/**
 * Starts a process (deliver.ts) for each order. It does not do so itself: while a disk hangs, a thread of the daemon may wait for it in a page fault, and then the daemon cannot fork.
 * So a small shell is started beforehand, and told the orders, one a line. In: orders. Out: how each went.
 *
 * Invariants:
 * 1. The shell's program is fixed; an order is data to it, which it hands on unseen.
 * 2. Every order gets an answer: the process's, or an error when there is none in time or the shell has died. A dead shell is replaced.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { longestDeliveryMs } from './deliver-order.js';
import type { Answer, Delivery, Order } from './deliver-order.js';

const program = 'while IFS= read -r order; do printf "%s\\n" "$order" | "$1" "$2" & done';
/** Longer than a process takes to give up by itself. */
const patienceMs = longestDeliveryMs + 10_000;

type Shell = ChildProcessByStdio<Writable, Readable, null>;

export class Courier {
  #shell: Shell | undefined;
  #lastId = 0;
  readonly #waiting = new Map<number, (delivery: Delivery) => void>();

  constructor() {
    this.#shell = this.#start();
  }

  /** Never rejects. */
  deliver(order: Order): Promise<Delivery> {
    this.#shell ??= this.#start();
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => { this.#answer({ id, delivery: { error: 'it took too long' } }); }, patienceMs).unref();
      this.#waiting.set(id, (delivery) => {
        clearTimeout(timer);
        resolve(delivery);
      });
      this.#shell?.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
    });
  }

  /** Processes that are under way go on. */
  close(): void {
    this.#shell?.stdin.end();
  }

  #start(): Shell {
    const deliver = fileURLToPath(new URL('./deliver.js', import.meta.url));
    const shell = spawn('/bin/sh', ['-c', program, 'sh', process.execPath, deliver], { cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
    shell.stdin.on('error', () => undefined); // It has died: see "close".
    createInterface({ input: shell.stdout }).on('line', (line) => { this.#answer(JSON.parse(line) as Answer); });
    shell.on('error', () => { this.#died(shell, 'no shell can be started'); });
    shell.on('close', () => { this.#died(shell, 'its process has died'); });
    return shell;
  }

  #answer({ id, delivery }: Answer): void {
    this.#waiting.get(id)?.(delivery);
    this.#waiting.delete(id);
  }

  #died(shell: Shell, error: string): void {
    if (this.#shell !== shell) return;
    this.#shell = undefined;
    for (const id of [...this.#waiting.keys()]) this.#answer({ id, delivery: { error } });
  }
}
