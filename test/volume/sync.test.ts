/** Two-way syncs of a mounted volume, by the command line: what is brought over, conflicts, the guard, and whatever ends one in the middle. */
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';
import { contentsOf } from '../support/two-sides.js';

t.setTimeout(120_000);

function otherOf(mount: Mount): string {
  const other = join(mount.place, 'other');
  mkdirSync(other);
  return other;
}

function areSame(t: Pick<typeof import('tap').default, 'strictSame'>, mount: Mount, other: string): void {
  t.strictSame([...contentsOf(other)], [...contentsOf(mount.mountpoint)], 'both sides are the same');
}

await t.test('what is changed on one side comes to the other, renames as renames, and both versions of what both changed stay', async (t) => {
  await withMount(t, {}, async (mount) => {
    const other = otherOf(mount);
    mkdirSync(mount.path('docs'));
    writeFileSync(mount.path('docs/report.txt'), 'report 1\n');
    chmodSync(mount.path('docs/report.txt'), 0o640);
    utimesSync(mount.path('docs/report.txt'), 1_600_000_000.5, 1_600_000_000.25);
    writeFileSync(mount.path('gone'), 'gone\n');
    symlinkSync('docs', mount.path('link'));
    writeFileSync(join(other, 'from-there'), 'from there\n');
    t.match(await mount.cliWell('sync', 'add', mount.directory, other, '--name', 'stick', '--exclude', '*.tmp'), /are synced as "stick"/);
    t.match(await mount.cliWell('sync', 'run', 'stick'), /here: 1 file written; there: 3 files written/);
    areSame(t, mount, other);
    writeFileSync(mount.path('x.tmp'), 'left out');
    renameSync(join(other, 'docs'), join(other, 'papers'));
    appendFileSync(join(other, 'papers/report.txt'), 'and more\n');
    renameSync(mount.path('from-there'), mount.path('named here'));
    rmSync(join(other, 'gone'));
    const [second] = await mount.json('sync', 'run', 'stick');
    t.match(second, { here: { written: 1 }, there: { written: 0, renamed: 1 }, conflicts: 0 });
    rmSync(mount.path('x.tmp'));
    areSame(t, mount, other);
    t.equal(readFileSync(mount.path('papers/report.txt'), 'utf8'), 'report 1\nand more\n');
    t.match(await mount.cliWell('log', mount.path('papers/report.txt')), /tidemark sync/, 'what was brought here is in the history');

    writeFileSync(mount.path('papers/report.txt'), 'mine\n');
    writeFileSync(join(other, 'papers/report.txt'), 'theirs\n');
    t.match(await mount.cliWell('sync', 'run', 'stick'), /both sides had changed it: papers\/report \(conflict from stick \d{4}-\d\d-\d\d \d{4}\)\.txt/);
    areSame(t, mount, other);
    t.equal(readFileSync(join(other, 'papers/report.txt'), 'utf8'), 'mine\n');
    const aside = readdirSync(mount.path('papers')).find((name) => name.includes('conflict'));
    t.equal(readFileSync(mount.path('papers', aside!), 'utf8'), 'theirs\n');
    t.match(await mount.cliWell('sync', 'run', 'stick'), /here: 0 files written; there: 0 files written/, 'then there is nothing to do');
    t.match((await mount.json('status', mount.directory))[0]?.['syncs'], [{ name: 'stick', conflicts: 0, files: 4, faults: [] }]);
    t.match(await mount.cliWell('metrics', mount.directory), /tidemark_sync_files\{volume="[^"]*",sync="stick"\} 4/);
    t.equal((await mount.json('sync', 'history', 'stick')).length, 4);
  });
});

await t.test('conflicts wait where that was asked for, and more than half of a side never goes by itself', async (t) => {
  await withMount(t, {}, async (mount) => {
    const other = otherOf(mount);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) writeFileSync(mount.path(name), `${name} 1\n`);
    await mount.cliWell('sync', 'add', mount.directory, other, '--name', 's', '--conflict', 'ask');
    await mount.cliWell('sync', 'run', 's');
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(mount.path(name), `${name} here\n`);
      writeFileSync(join(other, name), `${name} there\n`);
    }
    rmSync(mount.path('d'));
    writeFileSync(join(other, 'd'), 'd there\n');
    for (let repeated = 0; repeated < 2; repeated++) t.match(await mount.cliWell('sync', 'run', 's'), /; 4 conflicts to decide/);
    t.match(await mount.json('sync', 'conflicts', 's'), [{ path: 'a', kind: 'both-changed', here: { size: 7 } }, {}, {}, { path: 'd', kind: 'deleted-here', here: null }]);
    isRefusal(t, await mount.cli('sync', 'resolve', 's', 'x', '--keep', 'here'), /no conflict at x.*sync conflicts s/);
    await mount.cliWell('sync', 'resolve', 's', 'a', '--keep', 'here');
    t.equal(readFileSync(join(other, 'a'), 'utf8'), 'a here\n');
    const [own] = readdirSync(join(other, 'tidemark-sync'));
    const [when] = readdirSync(join(other, 'tidemark-sync', own!, 'replaced'));
    t.equal(readFileSync(join(other, 'tidemark-sync', own!, 'replaced', when!, 'a'), 'utf8'), 'a there\n', 'what gave way there is kept there');
    await mount.cliWell('sync', 'resolve', 's', 'b', '--keep', 'there');
    await mount.cliWell('sync', 'resolve', 's', mount.path('c'), '--keep', 'both');
    await mount.cliWell('sync', 'resolve', 's', 'd', '--keep', 'there');
    t.match(await mount.cliWell('sync', 'conflicts', 's'), /no conflict to decide/);
    areSame(t, mount, other);
    t.equal(readFileSync(mount.path('b'), 'utf8'), 'b there\n');

    for (const name of ['a', 'b', 'c', 'e', 'f']) rmSync(join(other, name));
    isRefusal(t, await mount.cli('sync', 'run', 's'), /nothing was done: this would remove 5 of 9 files from the volume.*--force/);
    t.ok(existsSync(mount.path('a')));
    await mount.cliWell('sync', 'run', 's', '--force');
    areSame(t, mount, other);
    t.notOk(existsSync(mount.path('a')));
  });
});

await t.test('a daemon or a run that is killed, a drive that is pulled: the next run makes it good', async (t) => {
  await withMount(t, { environment: { TIDEMARK_BACKUP_FAILPOINT: '6' } }, async (mount) => {
    const other = otherOf(mount);
    for (const name of ['a', 'b', 'c']) {
      writeFileSync(mount.path(name), `${name} here\n`);
      writeFileSync(join(other, `${name}-there`), `${name} there\n`);
    }
    writeFileSync(join(other, 'a'), 'a here\n');
    await mount.cliWell('sync', 'add', mount.directory, other, '--name', 's', '--conflict', 'ask');
    isRefusal(t, await mount.cli('sync', 'run', 's'), /was ended \(SIGKILL\)/);
    await mount.kill9();
    await mount.mount({ TIDEMARK_BACKUP_FAILPOINT: '0' });
    // Somebody goes on with what was, or was not, brought over.
    for (const name of readdirSync(other).filter((each) => each.length === 1)) writeFileSync(mount.path(name), `${name} later\n`);
    t.notMatch(await mount.cliWell('sync', 'run', 's'), /conflict/);
    areSame(t, mount, other);
    // Its mountpoint is an empty directory then.
    renameSync(other, `${other}-away`);
    mkdirSync(other);
    isRefusal(t, await mount.cli('sync', 'run', 's'), /is empty or something else: the drive may not be plugged in/);
    t.ok(existsSync(mount.path('a')) && readdirSync(other).length === 0);
    isRefusal(t, await mount.cli('sync', 'add', mount.directory, mount.path('c')), /is not a directory/);
    isRefusal(t, await mount.cli('sync', 'add', mount.directory, mount.mountpoint), /lies in the volume itself/, 2);
    isRefusal(t, await mount.cli('sync', 'add', mount.directory, mount.place), /the volume lies in/, 2);
    isRefusal(t, await mount.cli('sync', 'add', mount.directory, 'ftp://me@host/x'), /a sync is with a directory/, 2);
    isRefusal(t, await mount.cli('sync', 'add', mount.directory, `${other}-away`, '--name', 's'), /there is a sync "s" already/);
    isRefusal(t, await mount.cli('backup', 'add', mount.directory, other, '--name', 'b'), /is where the sync "s" goes/);
    isRefusal(t, await mount.cli('backup', 'run', 's'), /no mounted volume has a backup "s"/);
    await mount.cliWell('sync', 'remove', 's');
    t.strictSame(await mount.json('pins', mount.directory), []);
  });
});

await t.test('a continuous sync follows both sides, and rests when nothing changes', async (t) => {
  await withMount(t, {}, async (mount) => {
    const other = otherOf(mount);
    writeFileSync(mount.path('first'), 'first');
    await mount.cliWell('sync', 'add', mount.directory, other, '--name', 'c', '--schedule', 'continuous');
    await until(() => existsSync(join(other, 'first')), 'the first run');
    writeFileSync(join(other, 'there'), 'there');
    await until(() => existsSync(mount.path('there')), 'what was made there');
    await mount.cliWell('sync', 'pause', 'c');
    t.match(await mount.cliWell('sync', 'status', 'c'), /PAUSED/);
  });
});
