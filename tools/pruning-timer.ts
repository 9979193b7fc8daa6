/**
 * Gives up history by the policy, once an hour while the volume is mounted. In: the volume, the mount, a logger. Out: lines in the log.
 *
 * Invariants:
 * 1. A pruning that fails is told of, and the next hour tries again.
 */
import type { Logger } from 'pino';
import { pruneServed } from './retention-handlers.js';
import type { Prunable } from './retention-handlers.js';

const firstAfterMs = 10 * 60_000;
const everyMs = 60 * 60_000;

export function startPruning(served: Prunable, logger: Logger): void {
  const prune = async (): Promise<void> => {
    try {
      const { plan, bytes } = await pruneServed(served);
      if (plan.gone > 0) logger.info({ moments: plan.gone, bytes, oldest: new Date(plan.oldestMs) }, 'history given up');
    } catch (error) {
      logger.error(error, 'history could not be given up');
    }
  };
  setTimeout(() => {
    void prune();
    setInterval(() => { void prune(); }, everyMs).unref();
  }, firstAfterMs).unref();
}
