/**
 * bindfs with its default options: the passthrough filesystem that a user would get from the distribution. A directory
 * comes in, the mount beside it goes out.
 *
 * Invariants:
 * 1. bindfs runs in the foreground as a child of the benchmark: it cannot outlive it unseen.
 */
import { mkdir, rmdir } from 'node:fs/promises';
import { ended, execute, pause, startService } from '../command.js';
import { detach, isMounted } from '../mounts.js';
import type { RunningTarget, Target } from './target.js';

export const bindfs: Target = {
  name: 'bindfs',
  describe: async () => `${(await execute('bindfs', ['--version'])).trim()}, default options`,
  unavailable: () => execute('bindfs', ['--version']).then(() => undefined, () => 'bindfs is not installed (apt install bindfs)'),
  start,
};

async function start(directory: string): Promise<RunningTarget> {
  const path = `${directory}.bindfs`;
  await mkdir(path);
  const { child, errors } = startService('bindfs', ['-f', directory, path]);
  const deadline = Date.now() + 10_000;
  while (!isMounted(path)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`bindfs did not mount: ${errors()}`);
    await pause(10);
  }
  const stop = async (): Promise<void> => {
    await detach(path);
    await ended(child, 30_000).catch(() => child.kill('SIGKILL'));
    await rmdir(path);
  };
  return { path, pid: child.pid, features: [], history: undefined, stop };
}
