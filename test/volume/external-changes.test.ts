/**
 * Changes made while nothing was mounted: the next mount notices them, records them as one external transaction and flags it; old
 * snapshots of files that were not touched stay exact.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';

t.setTimeout(120_000);

void t.test('changes made while nothing was mounted are one external transaction', async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('folder'));
    for (const name of ['kept', 'written', 'removed', 'moved', 'mode', 'folder/inside']) writeFileSync(mount.path(name), `${name}\n`);
    await mount.cliWell('pin', mount.mountpoint, 'before');
    const before = Number((await mount.json('status', mount.mountpoint))[0]?.['txid']);
    await mount.unmount();
    const bare = (name: string): string => join(mount.directory, name);
    writeFileSync(bare('written'), 'written outside\n');
    rmSync(bare('removed'));
    renameSync(bare('moved'), bare('folder/moved'));
    chmodSync(bare('mode'), 0o600);
    writeFileSync(bare('new'), 'new\n');
    await mount.mount();

    const external = (await mount.json('log', mount.mountpoint)).filter((change) => change['external'] === true);
    t.equal(new Set(external.map(({ txid }) => txid)).size, 1, 'one transaction');
    const paths = external.map(({ path }) => String(path));
    for (const name of ['written', 'removed', 'new', 'mode']) t.ok(paths.some((path) => path.endsWith(`/${name}`)), `${name} is in the log`);
    t.notOk(paths.some((path) => path.endsWith('/kept') || path.endsWith('/inside')), 'what was not touched is not');
    t.equal((await mount.json('status', mount.mountpoint))[0]?.['externalTransactions'], 1);

    const then = (name: string): string => mount.path('.snapshots', '@before', name);
    for (const name of ['kept', 'folder/inside', 'mode', 'moved']) t.equal(readFileSync(then(name), 'utf8'), `${name}\n`, `${name} as it was`);
    t.throws(() => statSync(then('new')), { code: 'ENOENT' });
    t.ok(external.every(({ txid }) => Number(txid) > before));
    await mount.cliWell('verify', mount.directory);
  });
});

void t.test('an untouched tree gives no external transaction, whatever its times', async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('folder'));
    writeFileSync(mount.path('folder', 'file'), 'text');
    utimesSync(mount.path('folder', 'file'), 1, 1);
    await mount.remount();
    await mount.remount();
    t.equal((await mount.json('status', mount.mountpoint))[0]?.['externalTransactions'], 0);
  });
});

void t.test('what has no history has no external changes, also for commands that open the volume without a mount', async (t) => {
  await withMount(t, { arguments: ['--exclude=*.tmp', '--exclude=cache/objects'] }, async (mount) => {
    mkdirSync(mount.path('cache'));
    mkdirSync(mount.path('cache', 'objects'));
    for (const name of ['kept', 'old.tmp', 'cache/objects/old']) writeFileSync(mount.path(name), `${name}\n`);
    await mount.unmount();
    const bare = (name: string): string => join(mount.directory, name);
    writeFileSync(bare('old.tmp'), 'written outside\n');
    rmSync(bare('cache/objects/old'));
    writeFileSync(bare('cache/objects/new'), 'new\n');
    t.equal((await mount.json('status', mount.directory))[0]?.['externalTransactions'], 0, 'status without a mount');
    await mount.cliWell('verify', mount.directory);
    await mount.mount();
    t.equal((await mount.json('status', mount.mountpoint))[0]?.['externalTransactions'], 0, 'the next mount');
    const paths = (await mount.json('log', mount.mountpoint)).map(({ path }) => String(path));
    t.notOk(paths.some((path) => path.endsWith('.tmp') || path.includes('objects/')), paths.join(' '));
  });
});

void t.test('changes made after a crash and before the next mount are external too', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'one\n');
    writeFileSync(mount.path('other'), 'other\n');
    await mount.cliWell('pin', mount.mountpoint, 'before');
    await mount.kill9();
    await mount.cli('unmount', mount.directory);
    writeFileSync(join(mount.directory, 'file'), 'outside\n');
    await mount.mount();
    t.equal((await mount.json('status', mount.mountpoint))[0]?.['externalTransactions'], 1);
    t.equal(readFileSync(mount.path('.snapshots', '@before', 'other'), 'utf8'), 'other\n');
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'outside\n');
  });
});

void t.test('a directory that had files before its first mount shows them from the start', async (t) => {
  const prepare = (directory: string): void => writeFileSync(join(directory, 'old'), 'from before\n');
  await withMount(t, { prepare }, async (mount) => {
    writeFileSync(mount.path('old'), 'changed\n');
    t.equal(await mount.cliWell('cat', mount.path('old'), '--at', 'txn-0'), 'from before\n');
    t.equal(readFileSync(mount.path('.snapshots', '@txn-0', 'old'), 'utf8'), 'from before\n');
  });
});
