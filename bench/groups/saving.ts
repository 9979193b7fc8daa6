/**
 * What keeping history costs without a mount: the overwrites of the group "overwrite", by a program that saves each old page to another file first.
 */
import type { Group } from './group.js';

export const saving: Group = {
  id: 'saving',
  needsBare: true,
  run: async ({ path, sizes, round, measure, work }) => {
    const file = `${path}/random`;
    await work('write', file, sizes.overwriteFileBytes, 1 << 20);
    await measure('overwrite-saving', 'overwrite-saving', file, `${path}/saved`, sizes.overwriteCount, round);
  },
};
