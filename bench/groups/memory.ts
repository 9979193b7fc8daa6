/**
 * The daemon's memory after very many files and transactions. The files are there before the mount; then each is looked up, and
 * a name is changed once per transaction. Only targets with a history have an index to hold; the peers keep a descriptor a file
 * besides, more than a process may have.
 */
import { readFile } from 'node:fs/promises';
import type { Bench, Group, RunContext } from './group.js';

export const memory: Group = { id: 'memory', needsHistory: true, needsProcess: true, onlyWhenAsked: true, once: true, fill, run };

async function fill({ sizes, work }: Bench, directory: string): Promise<void> {
  await work('create', directory, sizes.memoryFileCount);
}

async function run({ path, scratch, sizes, target, work, record }: RunContext): Promise<void> {
  await work('run', `${scratch}/output`, 'find', path, '-printf', '%s\\n');
  await work('relink', path, sizes.memoryTransactionCount);
  // Its index is to have read all of it.
  await target.history!.lastTransaction();
  const text = await readFile(`/proc/${target.pid}/status`, 'utf8');
  record('memory', kibibytes(text, 'VmRSS') * 1_024);
  record('memory-anonymous', kibibytes(text, 'RssAnon') * 1_024);
}

function kibibytes(status: string, field: string): number {
  const value = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  if (value === undefined) throw new Error(`no ${field} in the status of the process`);
  return Number(value);
}
