/** Which processor the programs of a node run on. In: process ids, or a command. Out: nothing, or what the command printed. */
import { readFileSync, readdirSync } from 'node:fs';
import { execute } from '../command.js';

export type Processor = 0 | 1;

/** The process, its keeper and its children stay on that processor, with all of their threads. */
export async function pin(daemon: number, processor: Processor): Promise<void> {
  const parent = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${daemon}/status`, 'utf8'))?.[1]);
  const all = [...(parent > 1 && isKeeper(parent) ? [parent] : []), daemon, ...childrenOf(daemon)];
  for (const pid of all) await execute('taskset', ['--all-tasks', '--pid', '--cpu-list', String(processor), String(pid)]);
}

/** Runs a command to its end on that processor. */
export function executeOn(processor: Processor, command: string, words: readonly string[]): Promise<string> {
  return execute('taskset', ['--cpu-list', String(processor), command, ...words]);
}

function isKeeper(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith('tidemark-keeper') === true;
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter((text) => text !== '').map(Number));
}
