/**
 * An SQL program (sqlite3, psql) that is kept, and told one thing after the other. In: statements. Out: the lines that they print, when all of them are done.
 *
 * Invariants:
 * 1. An answer is given when the program had done everything that it was told: a statement behind the others says so.
 * 2. What it complains of ends it, and is thrown.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { start } from './processes.js';
import type { RunOptions } from './processes.js';

export class SqlShell {
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<unknown>;
  readonly #said: Promise<string>;

  constructor(command: string, commandArguments: readonly string[], options: RunOptions = {}) {
    this.#child = start(command, commandArguments, options);
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) throw new Error('the process has pipes');
    stdin.on('error', () => undefined); // Told by the end of its output.
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    this.#closed = once(this.#child, 'close');
    this.#said = text(stderr);
  }

  async ask(statements: string): Promise<string[]> {
    this.#child.stdin?.write(`${statements}\nSELECT 'done';\n`);
    const answers: string[] = [];
    for (;;) {
      const line = await this.#lines.next();
      if (line.done === true) throw new Error(`the program ended: ${await this.#said}`);
      if (line.value === 'done') return answers;
      answers.push(line.value);
    }
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#closed;
  }
}
