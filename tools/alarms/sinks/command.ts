/**
 * A program that gets each message as JSON on its standard input. Its exit status says whether it has taken it.
 *
 * Invariants:
 * 1. It is started by its path, without arguments and without a shell: nothing in a message can become a command.
 * 2. It sees PATH, HOME and LANG of the environment and nothing else: the password of another sink is not its business.
 * 3. With everything it has started it is killed after `limitMs`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Sink } from '../config.js';
import type { Message } from '../message.js';
import { RefusedError } from './sink.js';

const limitMs = 30_000;
/** How much of what it complains about is told. */
const complaintBytes = 4096;

export async function runCommand(sink: Extract<Sink, { type: 'command' }>, message: Message): Promise<void> {
  const { PATH = '/usr/bin:/bin', HOME = '/', LANG = 'C.UTF-8' } = process.env;
  const child = spawn(sink.path, [], { cwd: '/', env: { PATH, HOME, LANG }, stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  const timer = setTimeout(() => { killGroup(child.pid); }, limitMs);
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => { complaint = (complaint + chunk.toString()).slice(-complaintBytes); });
  child.stdin.on('error', () => undefined); // It may end without reading.
  child.stdin.end(`${JSON.stringify(message)}\n`);
  try {
    // "error" (it cannot be started) rejects, too. What it leaves running may hold stderr open: only its own end counts.
    const [status, signal] = (await once(child, 'exit').catch(cannotStart)) as [number | null, NodeJS.Signals | null];
    if (status === 0) return;
    const how = signal === 'SIGKILL' ? `was killed after ${limitMs / 1000} s` : signal === null ? `ended with status ${status}` : `was ended by ${signal}`;
    throw new RefusedError(`${sink.path} ${how}${lastLine(complaint)}`);
  } finally {
    clearTimeout(timer);
  }
}

function cannotStart(error: NodeJS.ErrnoException): never {
  throw new RefusedError(`it cannot be started (${error.code ?? error.message})`);
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function lastLine(text: string): string {
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line}`;
}
