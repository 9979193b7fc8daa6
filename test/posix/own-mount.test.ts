/**
 * POSIX through an ordinary user's own mount, made by fusermount3. Where /dev/fuse is closed to users, as in some containers, root runs
 * this file again in a mount namespace of its own that has an open one; the machine's stays as it is.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot, makePlace, removePlace } from '../support/places.js';
import { Cases } from './cases.js';

t.setTimeout(300_000);

const ordinaryUser = 65534;
const isOpen = (statSync('/dev/fuse').mode & 0o006) === 0o006;

if (!isOpen && isRoot) {
  const place = makePlace();
  const script = 'mknod "$1/fuse" c 10 229 && chmod 666 "$1/fuse" && mount --bind "$1/fuse" /dev/fuse && exec "$2" "$3"';
  const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', place, process.execPath, fileURLToPath(import.meta.url)], { stdio: 'inherit' });
  removePlace(place);
  process.exit(status ?? 1);
}

const skip = isOpen ? await unlessInstalled('fusermount3') : '/dev/fuse is closed to users';
if (skip !== false) t.plan(0, skip);
else {
  const uid = isRoot ? ordinaryUser : undefined;
  const cases = await Cases.compile();
  const bare = await cases.passOnBareDirectory('an ordinary user', uid);
  await cases.passOnMount("an ordinary user's own mount", bare, uid === undefined ? {} : { uid });
}
