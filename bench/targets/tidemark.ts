/**
 * Tidemark, as a user starts it: `tidemark mount DIR` over the directory itself, through the command line.
 *
 * Invariants:
 * 1. Everything goes through the installed command; nothing here knows how the daemon works.
 * 2. A daemon that does not end after its unmount is killed by its pid, and reported as an error.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { execute, pause } from '../command.js';
import { detach, isMounted } from '../mounts.js';
import type { RunningTarget, Target } from './target.js';

const program = resolve(import.meta.dirname, '../../tools/main.js');

/** What is read of `tidemark status --json`. */
const statusShape = z.looseObject({
  pid: z.number(),
  txid: z.union([z.string(), z.number()]),
  protocol: z.string().optional(),
  indexLagBytes: z.union([z.string(), z.number()]),
  features: z.array(z.string()).default([]),
});

/**
 * @param name how the target is called in `--targets` and in the table
 * @param options given to `tidemark mount` beside the directory
 * @param launcher the words that run the program for the mount
 */
export function tidemark(name: string, options: readonly string[], launcher: readonly string[] = [process.execPath]): Target {
  return {
    name,
    describe: async () => `Tidemark ${(await execute(process.execPath, [program, '--version'])).trim()}, ${options.join(' ') || 'default options'}`,
    unavailable: () => Promise.resolve(existsSync(program) ? undefined : `${program} is not built (npm run build)`),
    start: (directory) => start(directory, options, launcher),
  };
}

async function start(directory: string, options: readonly string[], launcher: readonly string[]): Promise<RunningTarget> {
  await execute(launcher[0]!, [...launcher.slice(1), program, 'mount', directory, ...options], { timeoutMs: 120_000 });
  try {
    const { pid, features, protocol } = await status(directory);
    return {
      path: directory,
      pid,
      features: protocol === undefined ? features : [`protocol ${protocol}`, ...features],
      history: {
        lastTransaction: () => lastTransaction(directory),
        pathAt: (transaction) => `${directory}/.snapshots/@txn-${transaction}`,
      },
      stop: () => stop(directory, pid),
    };
  } catch (error) {
    await command('unmount', directory).catch(() => undefined);
    await detach(directory);
    throw error;
  }
}

async function stop(directory: string, pid: number): Promise<void> {
  let fault: unknown;
  await command('unmount', directory).catch((error: unknown) => (fault = error));
  if (isMounted(directory)) await detach(directory);
  for (let waitedMs = 0; isRunning(pid) && waitedMs < 30_000; waitedMs += 20) await pause(20);
  if (isRunning(pid)) {
    process.kill(pid, 'SIGKILL');
    fault ??= new Error(`daemon ${pid} did not end after its unmount`);
  }
  if (fault) throw fault;
}

/** A zombie counts as ended: in a container nobody may be there to reap it. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** `txid` is the last one that the index has read, so the answer counts only without a lag. */
async function lastTransaction(directory: string): Promise<bigint> {
  for (let attempt = 0; attempt < 3_000; attempt++) {
    const { txid, indexLagBytes } = await status(directory);
    if (BigInt(indexLagBytes) === 0n) return BigInt(txid);
    await pause(100);
  }
  throw new Error('the index did not catch up within five minutes');
}

async function status(directory: string): Promise<z.infer<typeof statusShape>> {
  return statusShape.parse(JSON.parse(await command('status', directory, '--json')));
}

function command(...words: string[]): Promise<string> {
  return execute(process.execPath, [program, ...words], { timeoutMs: 120_000 });
}
