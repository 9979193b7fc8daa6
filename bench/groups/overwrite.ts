/**
 * Random overwrites of a file that was synced and closed before: every block written for the first time has a pre-image.
 */
import type { Group, RunContext } from './group.js';

export const overwrite: Group = { id: 'overwrite', run };

async function run({ path, sizes, round, measure, wanted, work }: RunContext): Promise<void> {
  const file = `${path}/random`;
  await work('write', file, sizes.overwriteFileBytes, 1 << 20);
  for (const writers of [1, 4]) {
    const row = `overwrite-${writers}`;
    if (wanted(row)) await measure(row, 'overwrite', file, sizes.overwriteCount, writers, 0, round);
  }
  for (const writers of [1, 4]) {
    const row = `fdatasync-${writers}`;
    if (wanted(row)) await measure(row, 'overwrite', file, sizes.syncedOverwriteCount, writers, 1, round + 1_000);
  }
}
