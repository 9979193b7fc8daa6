/** Time as replication sees it: a port, so that a simulation can let hours pass in a moment. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds, from some moment on; never steps back. */
  nowMs(): number;
  wait(ms: number): Promise<void>;
}

export const realClock: Clock = {
  nowMs: () => performance.now(),
  wait: async (ms) => { await sleep(ms); },
};
