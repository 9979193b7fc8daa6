/** Every backup of random trees in a directory; the suite of all kinds of places is backup-model.ts. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { testModel } from './backup-model.js';

t.setTimeout(120_000);

await t.test('every backup that the ladder keeps is the tree as it was', async (t) => {
  const dest = (directory: string): string => join(directory, 'dest');
  await testModel(t, {
    place: (directory) => {
      mkdirSync(dest(directory));
      return { kind: 'directory', path: dest(directory) };
    },
    tree: (directory) => join(dest(directory), 'LastBackup'),
    after: (t, directory, kept) => { t.equal(readdirSync(join(dest(directory), 'PreviousBackup')).length, kept - 1); },
  });
});
