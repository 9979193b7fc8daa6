/**
 * The life of a daemon: a second one is refused, a dead one's mountpoint is cleared by itself, and unmounting says who is in the way.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isMountpoint, withMount } from '../support/mount.js';
import { makePlace, removePlace } from '../support/places.js';
import { killNow, start, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);

void t.test('a second daemon on the same volume is refused, also one that knows nothing of the first', async (t) => {
  await withMount(t, { apart: true }, async (mount) => {
    isRefusal(t, await mount.cli('mount', mount.directory), /already mounted/);
    const elsewhere = makePlace();
    t.teardown(() => removePlace(elsewhere));
    // A runtime directory of its own: only the lock of the store can tell. Root's registry is never that of a test.
    isRefusal(t, await mount.tryMount({ TIDEMARK_RUNTIME_DIR: elsewhere }), /another daemon|already mounted/);
    t.ok(isMountpoint(mount.mountpoint), 'the first goes on');
    writeFileSync(mount.path('file'), 'text');
  });
});

void t.test('the mountpoint of a killed daemon is cleared by the next mount', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'kept\n');
    await mount.kill9();
    t.throws(() => readFileSync(mount.path('file')), /ENOTCONN|ECONNABORTED|not connected/);
    const line = readFileSync('/proc/mounts', 'utf8').split('\n').find((line) => line.includes(` ${mount.mountpoint} `));
    t.match(line, /^tidemark:\//, 'who stats the sources of all mounts, as mkfs.btrfs does, does not fail at this one');
    await mount.mount();
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'kept\n');
    const status = (await mount.json('status', mount.mountpoint))[0];
    t.equal(status?.['pid'], mount.pid);
  });
});

void t.test('the mountpoint of a killed daemon is cleared by unmount too', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'kept\n');
    await mount.kill9();
    await mount.cliWell('unmount', mount.directory);
    t.notOk(isMountpoint(mount.mountpoint));
    t.equal(readFileSync(join(mount.directory, 'file'), 'utf8'), 'kept\n', 'the backing file');
  });
});

void t.test('unmount says who keeps the mount busy, and works when he has gone', async (t) => {
  await withMount(t, {}, async (mount) => {
    const user = start('sleep', ['600'], { cwd: mount.mountpoint });
    const pid = user.pid ?? 0;
    await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n', 'sleep to run');
    const outcome = await mount.cli('unmount', mount.directory);
    isRefusal(t, outcome, /busy|use/);
    t.match(outcome.stderr, new RegExp(`sleep.*${pid}|${pid}.*sleep`));
    t.ok(isMountpoint(mount.mountpoint), 'still mounted');
    writeFileSync(mount.path('file'), 'works on');
    await killNow(pid);
    await mount.unmount();
    t.notOk(isMountpoint(mount.mountpoint));
  });
});

void t.test('commands on what is not mounted are refused', async (t) => {
  await withMount(t, {}, async (mount) => {
    await mount.unmount();
    isRefusal(t, await mount.cli('unmount', mount.directory), /not mounted|no mounted volume/);
    isRefusal(t, await mount.cli('log', mount.directory), /no mounted volume/);
    isRefusal(t, await mount.cli('pin', mount.directory, 'name'), /no mounted volume/);
  });
});

void t.test('the daemon unmounts cleanly when it is told to end', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'kept\n');
    process.kill(mount.pid, 'SIGTERM');
    await mount.died();
    t.notOk(isMountpoint(mount.mountpoint));
    await mount.mount();
    t.notMatch(mount.daemonLog(), /recovered:/, 'the volume was closed properly');
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'kept\n');
  });
});
