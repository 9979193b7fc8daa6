/**
 * The TypeScript side of worker.c: one process that does operations on a mount and on its twin, and describes trees. Lines go
 * in, parsed answers come out, one at a time in order.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { start } from '../support/processes.js';
import { comesBack } from '../support/stuck.js';

/** What an operation gave: errno numbers, 0 for success. */
export interface Done {
  readonly mountErrno: number;
  readonly twinErrno: number;
  /** Real time when it had returned, ns. */
  readonly timeNs: bigint;
}

/** The lines of describe.c; `errno` is not 0 when the tree could not be read to the end. */
export interface Description {
  readonly lines: readonly string[];
  readonly errno: number;
}

export class Worker {
  readonly #child: ChildProcess;
  readonly #waiting: ((line: string) => void)[] = [];
  #failed: ((error: Error) => void)[] = [];
  #said = '';
  readonly #servers: () => readonly (number | undefined)[];

  /** `program`: compiled worker.c. `uid`: acts as this user; needs root. `servers`: the daemon's pid, once it is known. */
  constructor(program: string, roots: { readonly mount: string; readonly twin: string }, { uid, servers = () => [] }: { readonly uid?: number | undefined; readonly servers?: (() => readonly (number | undefined)[]) | undefined } = {}) {
    this.#servers = servers;
    this.#child = start(program, [roots.mount, roots.twin], uid === undefined ? {} : { uid });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('a worker has pipes');
    createInterface({ input: stdout }).on('line', (line) => this.#waiting[0]?.(line));
    stderr.on('data', (chunk: Buffer) => (this.#said += chunk.toString('utf8')));
    this.#child.stdin?.on('error', () => undefined); // The close event tells.
    this.#child.on('close', (status, signal) => {
      for (const fail of this.#failed) fail(new Error(`the worker ended with ${signal ?? `status ${status}`}: ${this.#said}`));
    });
  }

  /** Does one operation on both trees. */
  async operate(words: readonly (string | number)[]): Promise<Done> {
    const lines = await this.#answer(words, (line) => line.startsWith('done '));
    const [, mountErrno, twinErrno, timeNs] = (lines.at(-1) ?? '').split(' ');
    if (Number(mountErrno) < 0) throw new Error(`the worker knows no operation ${words.join(' ')}`);
    return { mountErrno: Number(mountErrno), twinErrno: Number(twinErrno), timeNs: BigInt(timeNs ?? '') };
  }

  /** `which`: "mount", "twin", or a path from the mount's root, as ".snapshots/@txn-5". */
  async describe(which: string): Promise<Description> {
    const lines = await this.#answer(['describe', which], (line) => line.startsWith('end '));
    return { lines: lines.slice(0, -1), errno: Number(lines.at(-1)?.slice(4)) };
  }

  /** Ends the process and waits for it. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#failed = [];
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await closed;
    clearTimeout(timer);
  }

  #answer(words: readonly (string | number)[], isLast: (line: string) => boolean): Promise<string[]> {
    return comesBack(this.#ask(words, isLast), words.join(' '), () => [this.#child.pid, ...this.#servers()]);
  }

  #ask(words: readonly (string | number)[], isLast: (line: string) => boolean): Promise<string[]> {
    if (this.#waiting.length > 0) throw new Error('a worker does one thing at a time');
    return new Promise((resolve, reject) => {
      const lines: string[] = [];
      this.#failed = [reject];
      this.#waiting[0] = (line) => {
        lines.push(line);
        if (!isLast(line)) return;
        this.#waiting.length = 0;
        resolve(lines);
      };
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) reject(new Error(`the worker has ended: ${this.#said}`));
      this.#child.stdin?.write(`${words.join('\t')}\n`);
    });
  }
}
