/** The mode sync: what fsync promised is on the standby; a standby that stands still is waited for, and then it is gone on alone, or all writes stop. */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Mount } from '../support/mount.js';
import { caughtUp, standingOf, withPair, withStoppedReceiver } from '../support/pair.js';
import { isRoot } from '../support/places.js';
import { until } from '../support/processes.js';

t.setTimeout(120_000);
const onlyRoot = isRoot ? {} : { skip: 'a pair needs root' };
const goneAfterMs = 1_000;

/** Writes and syncs a file, without waiting on this thread; resolves with how long that took, in ms. */
async function synced(mount: Mount, name: string, text: string): Promise<number> {
  const began = performance.now();
  const handle = await open(mount.path(name), 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return performance.now() - began;
}

void t.test('a sync waits for the standby, as long as it is told to', onlyRoot, async (t) => {
  await withPair(t, {}, async ({ primary, standby }) => {
    await caughtUp(primary);
    const set = (...options: string[]): Promise<string> => primary.cliWell('pair', 'set', primary.mountpoint, ...options);
    await set('--mode', 'sync', '--gone-after', '1s');
    t.equal((await standingOf(primary)).sync, 'guarded');
    await synced(primary, 'file', 'zero');
    await withStoppedReceiver(standby, async () => {
      t.ok(await synced(primary, 'file', 'one') >= goneAfterMs * 0.9, 'it is waited for');
      t.equal((await standingOf(primary)).sync, 'alone');
      t.match(await primary.cliWell('pair', 'status', primary.mountpoint), /NO STANDBY ANSWERS/);
      t.match(await primary.cliWell('alarms', primary.mountpoint), /goes on alone/);
      t.ok(await synced(primary, 'file', 'two') < goneAfterMs, 'nobody waits any more');
    });
    await until(async () => (await standingOf(primary)).sync === 'guarded', 'syncs to wait again');
    t.notMatch(await primary.cliWell('alarms', primary.mountpoint), /goes on alone/);
    await set('--when-gone', 'stop');
    const stopped: Promise<number>[] = [];
    await withStoppedReceiver(standby, async () => {
      stopped.push(synced(primary, 'file', 'three'));
      await until(async () => (await standingOf(primary)).sync === 'stopped', 'writes to stop');
      stopped.push(synced(primary, 'other', 'four'));
      t.equal(await Promise.race([...stopped, sleep(500, 'nothing')]), 'nothing');
      t.equal(readFileSync(primary.path('file'), 'utf8'), 'three', 'reading goes on');
    });
    await Promise.all(stopped);
    t.equal((await standingOf(primary)).sync, 'guarded');
    for (let count = 0; count < 20; count++) await synced(primary, 'promised', `${count}`);
    await primary.kill9();
    await standby.cliWell('pair', 'promote', standby.mountpoint, '--takeover');
    t.equal(readFileSync(standby.path('promised'), 'utf8'), '19', 'what was promised is on the standby, though the primary died at once');
    t.equal(readFileSync(standby.path('other'), 'utf8'), 'four');
  });
});
