/**
 * What the commands that bring things back have in common: carrying a plan out with a progress bar until Ctrl-C, telling what was not done, the place that --to means.
 */
import { statSync } from 'node:fs';
import { argumentPath, bytesOf, joinPath, nameOf, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { counted } from '../format.js';
import { absolutePath } from '../locate.js';
import type { Located } from '../locate.js';
import { note } from '../output.js';
import { applyPlan, Stopped } from './apply.js';
import type { Outcome } from './apply.js';
import type { CopyHooks } from './copy-data.js';
import type { RestorePlan } from './plan.js';
import { Progress } from './progress.js';

const mostFailuresShown = 20;

export function carryOut(plan: RestorePlan): Promise<Outcome> {
  return untilStopped(Number(plan.totalBytes), (hooks) => applyPlan(plan, hooks));
}

/** Ctrl-C ends the work between two steps, so that no half-made file stays behind. */
export async function untilStopped<T>(totalBytes: number, work: (hooks: CopyHooks) => Promise<T>): Promise<T> {
  const progress = new Progress(totalBytes);
  let isStopped = false;
  const stop = (): void => {
    isStopped = true;
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await work({
      onBytes: (count) => progress.add(count),
      checkpoint: () => {
        if (isStopped) throw new Stopped('stopped');
      },
    });
  } finally {
    progress.stop();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

export async function tellShortfall({ failures, shortfall }: Pick<Outcome, 'failures' | 'shortfall'>): Promise<void> {
  for (const failure of failures.slice(0, mostFailuresShown)) await note(`tidemark: ${failure.reason}`);
  if (shortfall.owners > 0) await note(`tidemark: ${counted(shortfall.owners, 'file')} now belong to you, not to the owner of then; run it as root to give owners back`);
  if (shortfall.attributes > 0) await note(`tidemark: ${counted(shortfall.attributes, 'extended attribute')} could not be given back here`);
}

/** What `--to` means for what was located: the place itself, or below it when it is a directory. */
export function placeFor(located: Located, to: string): BytePath {
  const place = absolutePath(argumentPath(to));
  const isDirectory = statSync(bytesOf(place), { throwIfNoEntry: false })?.isDirectory() ?? false;
  const name = located.path === '/' ? nameOf(located.mountpoint) : nameOf(located.path);
  return isDirectory ? joinPath(place, name) : place;
}

/** Who releases a held transaction. */
export function thisProcess(): { uid: number; gid: number; pid: number; command: string } {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: process.pid, command: 'tidemark' };
}

/** As a shell takes it. */
export function quoted(path: BytePath): string {
  const text = shown(path);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`;
}
