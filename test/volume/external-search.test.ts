/**
 * The search for changes made while nothing was mounted goes on behind the mount: who changes something waits for it, who reads does not, and what it finds comes before
 * everything that is changed then.
 */
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { withDirectory, withMount } from '../support/mount.js';
import { repositoryRoot } from '../support/places.js';
import { run, runWell, start } from '../support/processes.js';

t.setTimeout(120_000);

/** The mount does not wait for the search at all. */
const environment = { TIDEMARK_PATIENCE_MS: '0' };

void t.test('what it finds comes before what is changed in the meantime', async (t) => {
  await withMount(t, { environment }, async (mount) => {
    mkdirSync(mount.path('folder'));
    for (const name of ['written', 'removed', 'moved', 'kept']) writeFileSync(mount.path('folder', name), `${name}\n`);
    await mount.cliWell('pin', mount.mountpoint, 'before');
    await mount.unmount();
    writeFileSync(join(mount.directory, 'folder/written'), 'written outside\n');
    rmSync(join(mount.directory, 'folder/removed'));
    renameSync(join(mount.directory, 'folder/moved'), join(mount.directory, 'moved'));
    await mount.mount();
    t.equal(readFileSync(mount.path('folder', 'written'), 'utf8'), 'written outside\n');
    writeFileSync(mount.path('folder', 'written'), 'written inside\n');
    writeFileSync(mount.path('moved'), 'changed\n');

    const changes = await mount.json('log', mount.mountpoint);
    const external = changes.filter((change) => change['external'] === true).map(({ txid }) => Number(txid));
    t.equal(new Set(external).size, 1, 'one external transaction');
    const later = changes.filter((change) => change['external'] !== true && Number(change['txid']) > external[0]!);
    t.strictSame([...new Set(later.map(({ path }) => String(path)))].sort(), ['/folder/written', '/moved'], 'what was changed behind it');
    const then = (moment: string, ...names: string[]): string => readFileSync(mount.path('.snapshots', moment, ...names), 'utf8');
    t.equal(then(`@txn-${external[0]!}`, 'folder', 'written'), 'written outside\n', 'as it was found');
    t.equal(then('@before', 'folder', 'kept'), 'kept\n');
    t.equal(then('@before', 'folder', 'moved'), 'moved\n', 'a moment before it knows the old name');
    await mount.cliWell('verify', mount.mountpoint);
  });
});

void t.test('a daemon killed at the search leaves it to the next one', async (t) => {
  await withMount(t, { environment }, async (mount) => {
    writeFileSync(mount.path('file'), 'text\n');
    await mount.unmount();
    writeFileSync(join(mount.directory, 'file'), 'written outside\n');
    // Dies when the external transaction is about to be written.
    // In the middle of what it writes of the external transaction.
    const outcome = await mount.tryMount({ TIDEMARK_FAILPOINT: 'log-append:2', TIDEMARK_PATIENCE_MS: '60000' });
    t.not(outcome.status, 0, 'it did not get there');
    await mount.mount();
    t.equal((await mount.json('status', mount.mountpoint))[0]?.['externalTransactions'], 1, 'found again');
  });
});

void t.test('while changes are held back everything can be read, and what waits is done afterwards', async (t) => {
  await withDirectory(t, { apart: true }, async (mount) => {
    mkdirSync(join(mount.directory, 'folder'));
    mkdirSync(join(mount.directory, 'other'));
    for (const name of ['folder/a', 'folder/b', 'folder/c', 'other/file']) writeFileSync(join(mount.directory, name), `${name}\n`);
    const daemon = start(process.execPath, [join(repositoryRoot, 'dist/test/volume/holding-daemon.js'), mount.directory, mount.mountpoint]);
    daemon.stderr?.pipe(process.stderr);
    try {
      const lines = createInterface(daemon.stdout!)[Symbol.asyncIterator]();
      t.equal((await lines.next()).value, 'ready');
      const at = (name: string): string => mount.path('folder', name);
      let done = 0;
      const changes = [['rm', at('a')], ['mv', at('b'), at('d')], ['chmod', '600', at('c')], ['mkdir', at('e')], ['sh', '-c', `echo more >> ${at('c')}; sync ${at('c')}`]]
        .map(([command = '', ...words]) => run(command, words).then((outcome) => { done++; return outcome.status; }));
      await sleep(300);
      // Elsewhere: the kernel lets nobody into a directory while a name in it is being changed.
      for (let count = 0; count < 5; count++) t.equal(await runWell('cat', [mount.path('other', 'file')], { limitMs: 20_000 }), 'other/file\n', 'a file is read');
      t.equal(await runWell('ls', [join(mount.directory, 'folder')]), 'a\nb\nc\n', 'nothing has changed');
      t.equal(done, 0, 'who would change something waits');
      daemon.stdin?.write('release\n');
      t.strictSame(await Promise.all(changes), [0, 0, 0, 0, 0], 'and is served then');
      t.equal(await runWell('ls', [mount.path('folder')]), 'c\nd\ne\n');
      daemon.stdin?.end();
      await once(daemon, 'exit');
    } finally {
      daemon.kill('SIGKILL');
    }
  });
});
