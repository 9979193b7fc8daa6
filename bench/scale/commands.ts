/**
 * Tidemark's command line, timed from its start to its end as a shell would see it. In: the words of a command. Out: what it printed, and milliseconds.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { execute, pause } from '../command.js';
import { detach } from '../mounts.js';

const program = resolve(import.meta.dirname, '../../tools/main.js');
const longestMs = 3_600_000;

export interface Timed {
  readonly output: string;
  readonly ms: number;
}

export async function tidemark(...words: string[]): Promise<Timed> {
  const startedAt = performance.now();
  const output = await execute(process.execPath, [program, ...words], { timeoutMs: longestMs });
  return { output, ms: performance.now() - startedAt };
}

/** Mounts; tells how long that took, and which process serves the mount. */
export async function mount(directory: string): Promise<{ ms: number; pid: number }> {
  const { output, ms } = await tidemark('mount', directory, '--json');
  return { ms, pid: (JSON.parse(output) as { pid: number }).pid };
}

/** Unmounts and waits for the daemon's end. */
export async function unmount(directory: string, pid: number): Promise<void> {
  await tidemark('unmount', directory);
  await gone(pid);
}

/** As a crash does it; the dead mount is left for the next one to clear. */
export async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await gone(pid);
}

/** Whatever serves the directory is ended, whatever is mounted there goes. */
export async function clear(directory: string, pid: number | undefined): Promise<void> {
  if (pid !== undefined && isRunning(pid)) process.kill(pid, 'SIGKILL');
  await detach(directory);
}

/** A zombie counts as ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  for (let waitedMs = 0; isRunning(pid); waitedMs += 10) {
    if (waitedMs > 60_000) throw new Error(`daemon ${pid} did not end`);
    await pause(10);
  }
}
