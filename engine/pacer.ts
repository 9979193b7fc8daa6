/**
 * Lets long work on the main thread give way: the same thread answers the mount's requests below `.snapshots`.
 */
import { setImmediate } from 'node:timers/promises';

/** How long work may run before others get their turn, ms. */
const sliceMs = 10;

/** A function to await often: it waits for one turn of the event loop when the time slice is used up, else does nothing. */
export function pacer(): () => Promise<void> {
  let sliceEnd = performance.now() + sliceMs;
  return async () => {
    if (performance.now() < sliceEnd) return;
    await setImmediate();
    sliceEnd = performance.now() + sliceMs;
  };
}
