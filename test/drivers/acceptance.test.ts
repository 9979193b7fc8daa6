/** What a mount does is tested by the same files for each driver: here those of mount, capture and `.snapshots` again, through the driver fuse-native. */
import { join } from 'node:path';
import t from 'tap';
import { unlessFuseNative } from '../support/driver.js';
import { repositoryRoot } from '../support/places.js';

t.setTimeout(600_000);

const files = ['fs/real-mount', 'model/model'];

const skip = unlessFuseNative();
if (skip !== false) t.plan(0, skip);
else {
  for (const file of files) {
    await t.spawn(process.execPath, [join(repositoryRoot, 'dist/test', `${file}.test.js`)], { env: { ...process.env, TIDEMARK_DRIVER: 'fuse-native' } }, `${file}, with the driver fuse-native`);
  }
}
