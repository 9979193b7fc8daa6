/**
 * The port of every sink, and how often it is tried. A sink gets one message and resolves when it has been taken; what it throws is shown to the administrator.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** Trying again would be of no use. */
export class RefusedError extends Error {
  readonly code = 'REFUSED';
}

const pausesMs: readonly number[] = [1_000, 4_000, 15_000];

/** Tries until it succeeds, with growing pauses; returns how many tries it took. Throws the last error, at once where that is RefusedError. */
export async function withRetries(attempt: () => Promise<void>): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    try {
      await attempt();
      return tries;
    } catch (error) {
      const pauseMs = pausesMs[tries - 1];
      if (error instanceof RefusedError || pauseMs === undefined) throw error;
      await sleep(pauseMs);
    }
  }
}
