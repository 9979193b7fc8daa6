/**
 * Calls that never come back: after two minutes they fail, and say where in the kernel everybody concerned was waiting.
 *
 * Invariants:
 * 1. Nothing here touches a mount.
 */
import { readFileSync, readdirSync } from 'node:fs';

const limitMs = 120_000;

/** Settles as the promise does; rejects when that takes longer than that. `pids`: who may have to do with it. */
export async function comesBack<T>(promise: Promise<T>, what: string, pids: () => readonly (number | undefined)[]): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => { reject(new Error(`${what} did not come back within ${limitMs} ms\n${pids().map(whereabouts).join('\n')}`)); }, limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Of each thread: its name, its state, and where in the kernel it waits (for root). */
function whereabouts(pid: number | undefined): string {
  if (pid === undefined) return '';
  return readdirSafely(`/proc/${pid}/task`).map((thread) => {
    const at = `/proc/${pid}/task/${thread}`;
    const state = /^State:\s*(.*)$/m.exec(textOf(`${at}/status`))?.[1] ?? 'gone';
    return `${pid}/${thread} ${textOf(`${at}/comm`).trim()} ${state}: ${textOf(`${at}/stack`).replace(/\[<0>\] /g, '').trim().split('\n').slice(0, 6).join(' < ')}`;
  }).join('\n');
}

function readdirSafely(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
