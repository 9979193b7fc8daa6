/**
 * What was settled for a mount holds for the daemon that goes on with it; what only the dead one could have finished is not gone on with; and what would leave a mount to nobody is refused.
 */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ControlClient } from '../../tools/control-client.js';
import { isStale } from '../../tools/mounts.js';
import { keeperPath } from '../../native/keeper-path.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { isRoot, repositoryRoot } from '../support/places.js';
import { killNow, run, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';
import { attacks, begin, changedIn, end, makeFiles, nextTold, told } from '../volume/mass-change.js';

t.setTimeout(120_000);

const skip = isRoot ? false : 'needs root';

async function killOnce(mount: Mount): Promise<void> {
  const pid = mount.killDaemon();
  await until(() => mount.registered().pid !== pid, 'another daemon');
}

async function versionsOf(mount: Mount, name: string): Promise<number> {
  return (await mount.json('log', mount.path(name))).length;
}

void t.test('what a policy says meanwhile holds from the next mount on, not from the next daemon on', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('a.tmp'), 'one');
    await mount.cliWell('policy', mount.directory, '--keep', '*.tmp=none');
    const before = await versionsOf(mount, 'a.tmp');
    await killOnce(mount);
    writeFileSync(mount.path('a.tmp'), 'another');
    t.ok(await versionsOf(mount, 'a.tmp') > before, 'still captured');
    await mount.cliWell('verify', mount.directory);
  });
});

void t.test('a daemon that dies while it looks for what was changed outside leaves a dead mount: the next mount looks again', { skip }, async (t) => {
  await withMount(t, { survives: true, environment: { TIDEMARK_PATIENCE_MS: '0' } }, async (mount) => {
    writeFileSync(mount.path('file'), 'text');
    await mount.unmount();
    writeFileSync(join(mount.directory, 'file'), 'written outside');
    // In the midst of the external transaction.
    const outcome = await mount.tryMount({ TIDEMARK_FAILPOINT: 'log-append:2' });
    if (outcome.status === 0) await until(() => isStale(mount.mountpoint), 'the mount to die');
    await mount.mount();
    t.match((await mount.json('status', mount.mountpoint))[0], { externalTransactions: 1 }, 'found again');
    await until(async () => (await mount.json('status', mount.mountpoint))[0]?.['isKept'] === true, 'the keeper to be given the mount, now that all is known');
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'written outside');
  });
});

void t.test('a mass change that goes on is told of once, and its numbers grow', { skip: skip || await unlessInstalled('python3') }, async (t) => {
  const from = 4000;
  await withMount(t, { prepare: makeFiles }, async (mount) => {
    // Slow enough to be still under way then.
    const attack = begin(mount, attacks[0]!.command(from).map((text) => text.replace('import os', 'import os, time').replace('  b = ', '  time.sleep(0.01)\n  b = ')));
    try {
      await nextTold(mount, 0);
      await mount.cliWell('status', mount.directory);
      await killOnce(mount);
      const changed = changedIn(mount.mountpoint, from);
      await until(() => changedIn(mount.mountpoint, from) > changed + 100, 'more to be changed');
      t.match(await mount.cliWell('alarms', mount.directory), /mass-change: .* files until now/);
      t.equal(told(mount).length, 1);
    } finally {
      await end(attack);
    }
  });
});

void t.test('a mount whose keeper has died is not handed over to nobody', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'kept');
    const entry = mount.registered();
    await killNow(mount.keeperPid);
    const client = await ControlClient.connect(entry);
    await t.rejects(client.ask('upgrade', { program: [process.execPath, join(repositoryRoot, 'dist/tools/daemon.js')] }), 'at once, before anybody has noticed');
    client.close();
    isRefusal(t, await mount.cli('upgrade', mount.directory), /ends with its daemon, which cannot be exchanged/);
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'kept', 'the daemon serves on');
    t.match((await mount.json('status', mount.directory))[0], { isKept: false });
  });
});

void t.test('a program that lies in the mount is not upgraded to', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    for (const name of ['node_modules', 'native', 'package.json']) symlinkSync(join(repositoryRoot, name), mount.path(name));
    for (const name of ['tools', 'engine', 'fs', 'native']) cpSync(join(repositoryRoot, 'dist', name), mount.path('dist', name), { recursive: true });
    const outcome = await run(process.execPath, [mount.path('dist/tools/main.js'), 'upgrade', mount.directory], { environment: { TIDEMARK_RUNTIME_DIR: mount.runtime } });
    isRefusal(t, outcome, /this version lies in /);
    t.match((await mount.json('status', mount.directory))[0], { restarts: 0 });
  });
});

void t.test('a daemon that has yet to begin owes systemd no sign of life, and the keeper ends as it did', async (t) => {
  const outcome = await run(keeperPath() ?? '', ['/bin/sh', '-c', 'sleep 1; exit 7'], { environment: { WATCHDOG_USEC: '400000' } });
  t.equal(outcome.status, 7);
});
