/** Backups of a mounted volume to an S3 store (Ceph's radosgw), by the command line: the whole way, whatever ends a run in the middle, and each thing that goes wrong with stores. */
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { makePlace, removePlace } from '../support/places.js';
import { runWell } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';
import { S3Store, unlessS3Store } from '../support/s3-store.js';

t.setTimeout(180_000);

const skip = await unlessS3Store();
const place = makePlace();
t.teardown(() => { removePlace(place); });
const store = skip === false ? await S3Store.start(join(place, 'store')) : undefined;
t.teardown(() => store?.stop());
await store?.makeBucket('bucket');

async function described(directory: string): Promise<string> {
  return runWell('sh', ['-c', 'cd "$1" && find . -mindepth 1 -printf "%P %y %m %U %G %T@ %n %l\\n" | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum', 'sh', directory]);
}

await t.test('the tree arrives, follows, and any moment of it comes back, from the bucket alone', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    mkdirSync(mount.path('docs/deep'), { recursive: true });
    for (let index = 0; index < 80; index++) writeFileSync(mount.path('docs', `file ${index}`), `${index}\n`.repeat(index));
    writeFileSync(mount.path('docs/deep/odd\nname*?%41'), 'odd\n');
    linkSync(mount.path('docs/file 7'), mount.path('second name'));
    symlinkSync('docs/file 8', mount.path('link'));
    writeFileSync(mount.path('empty'), '');
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=9'], { stdio: 'ignore' });
    const access = store!.arguments('bucket/way/to', 'tls');
    t.match(await mount.cliWell('backup', 'add', mount.directory, ...access, '--name', 's', '--bandwidth', '500M', '--test', 'Sun 03:00', '--test-path', 'docs', '--test-command', 'grep -q changed "docs/file 1"'), /is backed up to s3:\/\/bucket\/way\/to \(127\.0\.0\.1:\d+\) as "s"/);
    await mount.cliWell('backup', 'run', 's');
    const first = await described(mount.directory);
    const firstTime = new Date().toISOString();
    writeFileSync(mount.path('docs/file 1'), 'changed\n');
    rmSync(mount.path('docs/file 2'));
    renameSync(mount.path('docs/deep'), mount.path('moved'));
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=4k', 'count=1', 'seek=700', 'conv=notrunc'], { stdio: 'ignore' });
    const [report] = await mount.json('backup', 'run', 's');
    t.equal(report?.['bytes'], (1 << 20) + 8, 'of the large file the piece that changed, of the others what is new');
    const second = await described(mount.directory);
    t.match(await mount.cliWell('backup', 'verify', 's'), /83 files well/);
    await mount.cliWell('backup', 'test', 's');
    t.equal((await mount.json('backup', 'history', 's')).length, 4);
    t.match(await mount.json('backup', 'status', 's'), [{ destination: /^s3:\/\/bucket\/way\/to/, files: 84, faults: [] }]);
    t.notMatch(JSON.stringify(await mount.json('backup', 'list')) + mount.daemonLog(), /a-secret-word|KEEPERKEY/, 'keys are in no list and no log');
    await mount.unmount();
    const restore = async (name: string, ...more: string[]): Promise<string> => {
      await mount.cliWell('backup', 'restore', access[0]!, ...more, '--to', join(mount.place, name), ...access.slice(1));
      return described(join(mount.place, name));
    };
    t.equal(await restore('now'), second);
    t.equal(await restore('then', '--at', firstTime), first);
    await restore('one', 'docs/file 1');
    t.strictSame(readdirSync(join(mount.place, 'one')), ['file 1']);
    isRefusal(t, await mount.cli('backup', 'restore', access[0]!, '--at', '2001-01-01', '--to', join(mount.place, 'never'), ...access.slice(1)), /is that old; the oldest is of/);
    t.equal(existsSync(join(mount.place, 'never')), false);
  });
});

await t.test('a run that is cut off anywhere leaves the last good backup whole, and the next one goes on with what has arrived', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('small'), 'x');
    const access = store!.arguments('bucket/cut');
    await mount.cliWell('backup', 'add', mount.directory, ...access, '--name', 's', '--keep', 'none', '--connections', '1');
    await mount.cliWell('backup', 'run', 's');
    const before = await described(mount.directory);
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=20'], { stdio: 'ignore' });
    const after = await described(mount.directory);
    await mount.cliWell('backup', 'pause', 's');
    await mount.unmount();
    // Each run goes on where the one before was killed: after its second part; after the third, the pack and the lists; when the new manifest is there.
    for (const [steps, isNew] of [[2, false], [3, false], [2, true], [0, true]] as const) {
      await mount.mount({ TIDEMARK_BACKUP_FAILPOINT: String(steps) });
      const outcome = await mount.cli('backup', 'run', 's');
      await mount.unmount();
      t.equal(outcome.status, steps === 0 ? 0 : 1, outcome.stderr);
      const target = join(mount.place, `restored-${t.counts.total}`);
      await mount.cliWell('backup', 'restore', access[0]!, '--to', target, ...access.slice(1));
      t.equal(await described(target), isNew ? after : before, `${steps} steps on`);
    }
    t.equal((await store!.list('bucket', 'cut/manifests/')).size, 0, '--keep none');
    t.equal((await store!.list('bucket', 'cut/packs/')).size, 4, 'of each backup the bytes and the lists, once; what no manifest names any more is young, and stays');
  });
});

await t.test('what is wrong with a store is said in one line', { skip }, async (t) => {
  await withMount(t, { environment: { TIDEMARK_KEYRING: '/nowhere/keyring' } }, async (mount) => {
    const [address = '', ...access] = store!.arguments('bucket/wrong');
    const secure = ['--endpoint', `https://127.0.0.1:${store!.tlsPort}`];
    const keyFile = ['--password-file', store!.passwordFile];
    const refused = async (says: RegExp, status: 1 | 2, where: string, ...more: string[]): Promise<void> => isRefusal(t, await mount.cli('backup', 'add', mount.directory, where, '--name', 'w', ...more), says, status);
    const clear = access.slice(0, -2);
    writeFileSync(join(mount.place, 'wrong'), 'KEEPERKEY wrong\n', { mode: 0o600 });
    await refused(/refuses the keys \(SignatureDoesNotMatch.*check access key and secret key/, 1, address, ...clear, '--password-file', join(mount.place, 'wrong'));
    await refused(/there is no \/nowhere\/keyring with the access key and the secret key of bucket@127\.0\.0\.1/, 1, address, ...clear);
    await refused(/http:\/\/ is no TLS.*--clear-text/, 2, address, '--endpoint', `http://127.0.0.1:${store!.port}`, ...keyFile);
    await refused(/keys on the command line are seen by everybody/, 2, 's3://KEY:secret@bucket/x', ...access);
    await refused(/--tls belongs to ftp/, 2, address, ...access, '--tls', 'explicit');
    await refused(/on-plug is for drives/, 2, address, ...access, '--schedule', 'on-plug');
    const fingerprint = (await runWell('sh', ['-c', 'openssl x509 -noout -fingerprint -sha256 < "$1"', 'sh', join(place, 'store/server.crt')])).split('=')[1]!.trim();
    await mount.cliWell('backup', 'add', mount.directory, address, '--name', 'pinned', ...secure, ...keyFile, '--pin', fingerprint);
    writeFileSync(mount.path('good'), 'good\n');
    await mount.cliWell('backup', 'run', 'pinned');

    // A quota, while it runs: the last good backup stays.
    await store!.admin('quota', 'set', '--quota-scope=bucket', '--uid=keeper', '--max-size=1M');
    await store!.admin('quota', 'enable', '--quota-scope=bucket', '--uid=keeper');
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=3'], { stdio: 'ignore' });
    isRefusal(t, await mount.cli('backup', 'run', 'pinned'), /has no room left.*make room or raise the quota there/);
    await mount.cliWell('backup', 'restore', address, '--to', join(mount.place, 'back'), ...access);
    t.strictSame(readdirSync(join(mount.place, 'back')), ['good']);
    t.match((await mount.json('status', mount.directory))[0]?.['backups'], [{ faults: [/no room left/], interrupted: true }]);
    await store!.admin('quota', 'disable', '--quota-scope=bucket', '--uid=keeper');
    await mount.cliWell('backup', 'run', 'pinned');

    // A pack that goes is noticed by verify, and sent again by the next run.
    const [gone = ''] = [...await store!.list('bucket', 'wrong/packs/')].find(([, size]) => size === 3 << 20)!;
    await store!.remove('bucket', gone);
    isRefusal(t, await mount.cli('backup', 'verify', 'pinned'), /1 of 2 files are missing \(large\); `tidemark backup run pinned` sends them again/);
    await mount.cliWell('backup', 'run', 'pinned');
    await mount.cliWell('backup', 'verify', 'pinned');
  });
});
