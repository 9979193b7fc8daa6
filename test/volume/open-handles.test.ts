/** What is read through a handle is the file that was opened, wherever it went meanwhile: the daemon opens it only when the kernel asks for bytes. */
import { closeSync, openSync, readFileSync, readSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';

t.setTimeout(120_000);

const skip = isRoot ? false : 'needs root to empty the kernel\'s cache';
const text = 'the bytes that were there at the open\n';

/** Opens a file that nobody has read yet, has something done, and reads. */
function readAfter(mount: Mount, act: (path: string) => void): string {
  const path = mount.path('file');
  writeFileSync(path, text, { flush: true });
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  const handle = openSync(path, 'r');
  act(path);
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  const bytes = Buffer.alloc(1000);
  const length = readSync(handle, bytes);
  closeSync(handle);
  return bytes.toString('utf8', 0, length);
}

const fates = new Map<string, (mount: Mount, path: string) => void>([
  ['deleted', (_, path) => { unlinkSync(path); }],
  ['replaced', (mount, path) => {
    writeFileSync(mount.path('other'), 'other');
    renameSync(mount.path('other'), path);
  }],
  ['moved', (mount, path) => { renameSync(path, mount.path('elsewhere')); }],
  ['moved to where nothing is kept, and deleted', (mount, path) => {
    renameSync(path, mount.path('away.tmp'));
    readFileSync(mount.path('away.tmp'));
    unlinkSync(mount.path('away.tmp'));
  }],
  ['moved to where nothing is kept, and replaced', (mount, path) => {
    writeFileSync(mount.path('other.tmp'), 'other');
    renameSync(path, mount.path('away.tmp'));
    renameSync(mount.path('other.tmp'), mount.path('away.tmp'));
  }],
]);

for (const [fate, act] of fates) {
  void t.test(`a file that was ${fate} is read through a handle from before`, { skip }, async (t) => {
    await withMount(t, { arguments: ['--exclude=*.tmp'] }, async (mount) => {
      t.equal(readAfter(mount, (path) => { act(mount, path); }), text);
    });
  });
}
