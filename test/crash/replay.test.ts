/**
 * Recovery writes again what small syncs promised, out of the log (native/src/intent_replay.h), as after a power cut: the daemon is killed, and the store is told another
 * boot. What is there already it leaves alone, times included; what is not there comes back.
 */
import { closeSync, openSync, readFileSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRoot } from '../support/places.js';

t.setTimeout(120_000);
t.jobs = 2;

const skip = isRoot ? false : 'needs root';
const length = 65_536;
/** One over the other in part, so that the newer has to win. */
const offsets = [0, 8192, 12_000, 8100, 40_000, 8500];
const longAgo = new Date('2001-02-03T04:05:06Z');

/** Before Tidemark: what fsync(2) was never asked for has no mtime in the log, and neither has what fdatasync(2) promises. */
function prepare(directory: string): void {
  writeFileSync(join(directory, 'database'), Buffer.alloc(length, 'a'));
}

/** Commits small writes that nobody made before, kills the daemon, and gives what the file holds. */
async function commitAndDie(mount: Mount, time: number): Promise<Buffer> {
  const expected = readFileSync(mount.path('database'));
  const file = await open(mount.path('database'), 'r+');
  for (const [index, offset] of offsets.entries()) {
    const bytes = Buffer.alloc(1000, `${time} ${index} `);
    bytes.copy(expected, offset);
    await file.write(bytes, 0, bytes.length, offset);
    await file.datasync();
  }
  await mount.kill9();
  await file.close().catch(() => undefined);
  writeFileSync(join(mount.directory, '.tidemark/instance'), 'another boot 1\n');
  return expected;
}

/** Commits, dies, changes the file below, and recovers. The daemon retires what was committed every few seconds: where it just had, all that is done again. */
async function recover(mount: Mount, changeBelow: (path: string) => void): Promise<Buffer> {
  for (let tries = 0; tries < 10; tries += 1) {
    const expected = await commitAndDie(mount, tries);
    changeBelow(join(mount.directory, 'database'));
    await mount.mount();
    const [status] = await mount.json('status', mount.mountpoint);
    if (String(status?.['notices']).includes('out of the log')) return expected;
  }
  throw new Error('no intent was ever outstanding');
}

void t.test('a file that has all that was synced keeps its mtime when its syncs are written again', { skip }, async (t) => {
  await withMount(t, { apart: true, prepare }, async (mount) => {
    let mtimeNs = 0n;
    const expected = await recover(mount, (path) => (mtimeNs = statSync(path, { bigint: true }).mtimeNs));
    t.equal(statSync(join(mount.directory, 'database'), { bigint: true }).mtimeNs, mtimeNs);
    t.ok(readFileSync(mount.path('database')).equals(expected));
  });
});

void t.test('what the power took of a file comes back, the newest of each byte, and the file is known to have changed', { skip }, async (t) => {
  await withMount(t, { apart: true, prepare }, async (mount) => {
    const expected = await recover(mount, (path) => {
      const lost = openSync(path, 'r+');
      for (const offset of [8300, 12_500, 40_000]) writeSync(lost, Buffer.alloc(500), 0, 500, offset);
      closeSync(lost);
      utimesSync(path, longAgo, longAgo);
    });
    t.ok(readFileSync(mount.path('database')).equals(expected));
    t.not(statSync(mount.path('database')).mtimeMs, longAgo.getTime());
  });
});
