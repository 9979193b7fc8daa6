/**
 * Gives up history by the policy, once an hour while the volume is mounted, and whenever the disk is almost full. In: the volume, the mount, a logger. Out: lines in the log.
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
      const { plan, bytes, floors } = await pruneServed(served);
      if (plan.gone > 0) logger.info({ moments: plan.gone, bytes, oldest: new Date(plan.oldestMs) }, 'history given up');
      for (const { rules, files, objects } of floors.effects) logger.info({ rules, files, objects }, 'history of files given up');
    } catch (error) {
      logger.error(error, 'history could not be given up');
    }
  };
  const { volume, mounted } = served;
  volume.room.start({ inUse: () => mounted.snapshotsInUse(), onGivenUp: () => { mounted.invalidateSnapshots(); } });
  setTimeout(() => {
    void prune();
    setInterval(() => { void prune(); }, everyMs).unref();
  }, firstAfterMs).unref();
}
