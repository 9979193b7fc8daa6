/**
 * Random overwrites of a file that was synced and closed before: every block written for the first time has a pre-image.
 */
import type { Group, RunContext } from './group.js';

export const overwrite: Group = { id: 'overwrite', run };

const writerCounts = [1, 4];

async function run({ path, sizes, round, measure, wanted, work }: RunContext): Promise<void> {
  const file = `${path}/random`;
  await work('write', file, sizes.overwriteFileBytes, 1 << 20);
  for (const writers of writerCounts) {
    const row = `overwrite-${writers}`;
    if (wanted(row)) await measure(row, 'overwrite', sizes.overwriteCount, writers, 0, round, file);
  }
  for (const writers of writerCounts) {
    const row = `fdatasync-${writers}`;
    if (wanted(row)) await measure(row, 'overwrite', sizes.syncedOverwriteCount, writers, 1, round + 1_000, file);
  }
  if (!wanted('fdatasync-4-files')) return;
  const files = [file, ...[2, 3, 4].map((number) => `${file}-${number}`)];
  for (const other of files.slice(1)) await work('write', other, sizes.overwriteFileBytes / 4, 1 << 20);
  await measure('fdatasync-4-files', 'overwrite', sizes.syncedOverwriteCount, files.length, 1, round + 2_000, ...files);
}
