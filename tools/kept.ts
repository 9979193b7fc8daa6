/**
 * The daemon's side of its keeper (native/keeper): whether there is one, what it has left to go on with, signs of life for it, and what `status` tells of it.
 *
 * Invariants:
 * 1. A mount is not kept where the next daemon would have to read its own program, or write its log, through the mount that waits for it.
 */
import { fileURLToPath } from 'node:url';
import { addon } from '../native/index.js';
import type { Keeper } from '../native/types.js';
import { isWithin } from './byte-path.js';
import type { DaemonOptions } from './daemon-options.js';
import type { RestartFacts } from './protocol.js';

/** So long after it was ready a daemon counts as started, though nobody has asked it for anything. */
const startedAfterMs = 1000;
const longestBetweenSignsMs = 5000;

const variable = 'TIDEMARK_KEEPER';

/** The keeper that started this process, if one did. To be asked before anything else is started: what is inherited is closed to all others by this. */
export function connectKeeper(): Keeper | undefined {
  const descriptor = process.env[variable];
  delete process.env[variable];
  return descriptor === undefined ? undefined : addon.connectKeeper(Number(descriptor));
}

/** Whether another daemon could begin while nobody serves the mount. */
export function canOutlive({ mountpoint, log }: DaemonOptions): boolean {
  return ![process.execPath, fileURLToPath(import.meta.url), log].some((path) => isWithin(path, mountpoint));
}

/** Gives signs of life until the process ends. `onLoss` is called once, with the reason, when a mount that outlived its daemon (`isKept`) does no longer. */
export function giveSigns(keeper: Keeper, isKept: () => boolean, onLoss: (why: string) => void): void {
  keeper.say('ready');
  setTimeout(() => keeper.say('served'), startedAfterMs).unref();
  const watchdogUs = Number(process.env['WATCHDOG_USEC'] ?? 0);
  const betweenMs = watchdogUs > 0 ? Math.min(longestBetweenSignsMs, watchdogUs / 8000) : longestBetweenSignsMs;
  let wasKept = isKept();
  const timer = setInterval(() => {
    keeper.say('alive');
    const kept = isKept();
    if (wasKept && !kept) onLoss(keeper.isAlive() ? 'there was no memory for what another daemon would need' : 'the keeper has died');
    wasKept = kept;
  }, betweenMs);
  timer.unref();
}

/** What `status` tells. `pauseMs`: how long nobody answered until this daemon did. */
export function restartFacts(keeper: Keeper, pauseMs: number): RestartFacts {
  if (keeper.restarts === 0) return { count: 0 };
  return { count: keeper.restarts, lastMs: keeper.downAtMs, why: keeper.why, pauseMs: Math.round(pauseMs) };
}
