/**
 * A test restore: brings back what is at a destination into a scratch directory, and has a command of the user's say whether it is good. In: an order. Out: how many files, and what the command said.
 *
 * Invariants:
 * 1. The scratch directory is removed whatever comes of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openContents } from '../../replica/by-place.js';
import { DestinationError } from '../../replica/destination.js';
import { fromText, shown } from '../../replica/paths.js';
import { Progress } from '../../replica/progress.js';
import type { Report } from '../../replica/progress.js';
import { restoreBackup } from '../../replica/restore.js';
import type { RunnerOrder } from './order.js';

const longestCommandMs = 3_600_000;
const mostOutput = 2000;

/** Throws DestinationError; damaged when a file could not be restored or the command failed. */
export async function testRestore(order: RunnerOrder, onReport: (report: Report) => void): Promise<{ files: number; output: string }> {
  const { config, place, volume, directory } = order;
  const scratch = mkdtempSync(join(tmpdir(), 'tidemark-test-restore-'));
  const progress = new Progress(onReport);
  const view = await openContents(place, { volume, name: config.name, directory, host: hostname() });
  try {
    const paths = config.test?.paths.length ? config.test.paths.map(fromText) : [''];
    let files = 0;
    for (const path of paths) {
      const found = await view.entries(view.last, path);
      if (found.length === 0) throw new DestinationError('absent', `${shown(path)} is not in the backup; name another path for the test restore`);
      progress.phase('verifying', found.length, found.reduce((sum, { entry }) => sum + entry.size, 0));
      const result = await restoreBackup(view, found, path, scratch, { onBytes: (count) => { progress.add(0, count); }, onFile: () => { progress.add(1, 0); }, checkpoint: () => undefined });
      const [failure] = result.failures;
      if (failure !== undefined) throw new DestinationError('damaged', `the test restore failed at ${shown(failure.path)}: ${failure.reason}`);
      files += result.restored;
    }
    const output = config.test === undefined ? '' : await runCommand(config.test.command, scratch);
    return { files, output };
  } finally {
    progress.end();
    await view.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function runCommand(command: string, directory: string): Promise<string> {
  const child = spawn('/bin/sh', ['-c', command], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], timeout: longestCommandMs, killSignal: 'SIGKILL' });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-mostOutput); });
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (status !== 0) throw new DestinationError('damaged', `the command of the test restore ended with ${signal ?? `status ${status}`}: ${said.trim().split('\n').at(-1) ?? ''}`);
  return said.trim();
}
