/** The destination that is a directory, by the suite of all destinations; and what only file systems do. */
import { lstatSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { faultOf } from '../../replica/destination.js';
import { DirectoryDestination } from '../../replica/directory-destination.js';
import { isRoot, makePlace, removePlace } from '../support/places.js';
import { makeLoopDisk } from '../support/loop-disk.js';
import { unlessInstalled } from '../support/needs.js';
import { testDestination } from './destination-suite.js';

t.setTimeout(120_000);

await t.test('a directory on the disk of this machine', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  mkdirSync(join(place, 'd'));
  await testDestination(t, { open: () => DirectoryDestination.open(join(place, 'd')) });
  const destination = await DirectoryDestination.open(join(place, 'd'));
  t.match(destination.abilities, { links: true, symlinks: true, modes: true, times: 'nanoseconds', names: 'bytes' });
  writeFileSync(join(place, 'd', 'f'), 'x');
  await destination.setAttributes('f', { mode: 0o640, uid: 0, gid: 0, mtimeNs: 1_600_000_000_123_456_789n });
  t.equal(lstatSync(join(place, 'd', 'f'), { bigint: true }).mtimeNs, 1_600_000_000_123_456_789n);
  t.equal(lstatSync(join(place, 'd', 'f')).mode & 0o777, 0o640);
  // As when a drive is pulled: its mountpoint is another directory then.
  renameSync(join(place, 'd'), join(place, 'away'));
  mkdirSync(join(place, 'd'));
  t.equal(faultOf(await destination.makeDirectory('x').catch((error: unknown) => error)), 'gone');
  t.equal(faultOf(await destination.list('tidemark-work').catch((error: unknown) => error)), 'gone');
});

await t.test('a drive with FAT', { skip: isRoot ? await unlessInstalled('mkfs.vfat') : 'only root can mount one' }, async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  mkdirSync(join(place, 'd'));
  await makeLoopDisk('vfat', join(place, 'd'), 64 << 20);
  await testDestination(t, { open: () => DirectoryDestination.open(join(place, 'd')) });
});
