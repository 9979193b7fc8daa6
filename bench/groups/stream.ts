/**
 * Big files in sequence and random reads: write a new file (both call sizes), read it cold, then warm.
 */
import type { Group, RunContext } from './group.js';

const mebibyte = 1 << 20;

export const stream: Group = { id: 'stream', run };

async function run(context: RunContext): Promise<void> {
  const { path, sizes, round, measure, wanted } = context;
  if (wanted('write-4k')) await measure('write-4k', 'write', `${path}/small-calls`, sizes.streamBytes, 4_096);
  const file = `${path}/stream`;
  await measure('write-1m', 'write', file, sizes.streamBytes, mebibyte);
  if (wanted('read-cold')) {
    await context.dropCaches();
    await measure('read-cold', 'read', file, mebibyte);
  }
  if (['read-warm-1m', 'read-warm-4k', 'read-random'].some(wanted)) await context.work('read', file, mebibyte);
  if (wanted('read-warm-1m')) await measure('read-warm-1m', 'read', file, mebibyte);
  if (wanted('read-warm-4k')) await measure('read-warm-4k', 'read', file, 4_096);
  if (wanted('read-random')) await measure('read-random', 'randread', file, sizes.randomReadCount, round);
}
