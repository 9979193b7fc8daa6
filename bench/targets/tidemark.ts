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

const ownRoot = resolve(import.meta.dirname, '../../..');

/** What is read of `tidemark status --json`. */
const statusShape = z.looseObject({
  pid: z.number(),
  txid: z.union([z.string(), z.number()]),
  protocol: z.string().optional(),
  indexLagBytes: z.union([z.string(), z.number()]),
  features: z.array(z.string()).default([]),
});

export interface TidemarkOptions {
  /** The words that run the program for the mount. */
  readonly launcher?: readonly string[];
  /** The repository of the build, absolute; default: this one. */
  readonly root?: string;
}

/**
 * @param name how the target is called in `--targets` and in the table
 * @param options given to `tidemark mount` beside the directory
 */
export function tidemark(name: string, options: readonly string[], { launcher = [process.execPath], root = ownRoot }: TidemarkOptions = {}): Target {
  const program = `${root}/dist/tools/main.js`;
  const command: Command = (...words) => execute(process.execPath, [program, ...words], { timeoutMs: 120_000 });
  const place = root === ownRoot ? '' : ` of ${root}`;
  return {
    name,
    describe: async () => `Tidemark ${(await command('--version')).trim()}${place}, ${options.join(' ') || 'default options'}`,
    unavailable: () => Promise.resolve(existsSync(program) ? undefined : `${program} is not built (npm run build)`),
    start: async (directory) => {
      await execute(launcher[0]!, [...launcher.slice(1), program, 'mount', directory, ...options], { timeoutMs: 120_000 });
      return running(directory, command);
    },
  };
}

/** The command line of the build that is measured. */
type Command = (...words: string[]) => Promise<string>;

async function running(directory: string, command: Command): Promise<RunningTarget> {
  try {
    const { pid, features, protocol } = await status(directory, command);
    return {
      path: directory,
      pid,
      features: protocol === undefined ? features : [`protocol ${protocol}`, ...features],
      history: {
        lastTransaction: () => lastTransaction(directory, command),
        pathAt: (transaction) => `${directory}/.snapshots/@txn-${transaction}`,
      },
      stop: () => stop(directory, pid, command),
    };
  } catch (error) {
    await command('unmount', directory).catch(() => undefined);
    await detach(directory);
    throw error;
  }
}

async function stop(directory: string, pid: number, command: Command): Promise<void> {
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
async function lastTransaction(directory: string, command: Command): Promise<bigint> {
  for (let attempt = 0; attempt < 3_000; attempt++) {
    const { txid, indexLagBytes } = await status(directory, command);
    if (BigInt(indexLagBytes) === 0n) return BigInt(txid);
    await pause(100);
  }
  throw new Error('the index did not catch up within five minutes');
}

async function status(directory: string, command: Command): Promise<z.infer<typeof statusShape>> {
  return statusShape.parse(JSON.parse(await command('status', directory, '--json')));
}
