/** Backups in buckets, against Ceph's radosgw: every kept backup of random trees, objects on conditions, uploads that are gone on with, what stays and what goes. */
import { createHash, hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectsV2Command, UploadPartCommand } from '@aws-sdk/client-s3';
import t from 'tap';
import { bind, openContents } from '../../replica/by-place.js';
import type { run } from '../../replica/by-place.js';
import { faultOf } from '../../replica/destination.js';
import type { S3Place } from '../../replica/place.js';
import { makePlace, removePlace } from '../support/places.js';
import { S3Store, unlessS3Store } from '../support/s3-store.js';
import { Random } from '../support/seed.js';
import { testModel } from './backup-model.js';
import { BucketBackup } from './bucket-backup.js';

t.setTimeout(180_000);

// What no manifest names goes at once. Read when the modules of S3 are loaded, so they are loaded below.
process.env['TIDEMARK_S3_GRACE_MS'] = '0';
const { S3Objects, inParallel } = await import('../../replica/s3/objects.js');
const { PackSender } = await import('../../replica/s3/packs.js');
const { packKey, parseRoot } = await import('../../replica/s3/layout.js');
const { translateS3 } = await import('../../replica/s3/faults.js');

const skip = await unlessS3Store();
const place = makePlace();
t.teardown(() => { removePlace(place); });
const store = skip === false ? await S3Store.start(join(place, 'store')) : undefined;
t.teardown(() => store?.stop());
await store?.makeBucket('bucket');
const backupOf = (name: string): BucketBackup => new BucketBackup(join(place, name), store!.place('bucket', name), name);

await t.test('every backup that the ladder keeps is the tree as it was, and no pack stays that none needs', { skip }, async (t) => {
  await testModel(t, {
    place: () => store!.place('bucket', 'model/deep'),
    after: async (t, _directory, kept) => {
      const keys = [...(await store!.list('bucket', 'model/deep/')).keys()].map((key) => key.slice('model/deep/'.length));
      const manifests = keys.filter((key) => key.startsWith('manifests/'));
      t.equal(manifests.length, kept - 1);
      const named = new Set<string>();
      for (const key of [...manifests, 'tidemark-manifest.json']) {
        const { entries, packs } = parseRoot(await store!.get('bucket', `model/deep/${key}`), key);
        for (const { pack } of [...entries, ...packs]) named.add(pack);
        for (const { pack, offset, length } of packs) for (const name of (await store!.get('bucket', `model/deep/packs/${pack}`)).toString('latin1', offset, offset + length).trim().split('\n')) named.add(name);
      }
      t.strictSame(keys.filter((key) => key.startsWith('packs/')).sort(), [...named].map(packKey).sort());
      for (const name of named) t.equal(hash('sha256', await store!.get('bucket', `model/deep/${packKey(name)}`), 'hex'), name);
    },
  });
});

await t.test('of those who write on a condition one succeeds', { skip }, async (t) => {
  const objects = await S3Objects.open(store!.place('bucket', 'conditions'));
  let count = 10;
  const race = async (condition: Parameters<typeof objects.put>[2]): Promise<string[]> => (await Promise.all(Array.from({ length: 6 }, () => objects.put('one', Buffer.from(String(count++)), condition)))).filter((tag) => tag !== undefined);
  const [first, ...others] = await race('absent');
  t.equal(others.length, 0);
  t.equal((await race('absent')).length, 0);
  t.equal((await race({ tag: first! })).length, 1);
  t.equal((await race({ tag: first! })).length, 0);
  t.match((await objects.get('one')).bytes.toString(), /^2[2-7]$/);
  // The answer to a repetition: what is there is what was to be written.
  t.ok(await objects.put('one', (await objects.get('one')).bytes, 'absent'));
  objects.close();
});

await t.test('objects are listed beyond one page, and read in parts', { skip }, async (t) => {
  const objects = await S3Objects.open(store!.place('bucket', 'many'));
  const keys = Array.from({ length: 1001 }, (_, index) => `packs/${String(index).padStart(4, '0')}`);
  await inParallel(keys, 16, async (key) => { await objects.put(key, Buffer.from(key)); });
  const found: string[] = [];
  for await (const { key, size } of objects.list('packs/')) found.push(`${key} ${size}`);
  t.strictSame(found, keys.map((key) => `${key} ${key.length}`));
  t.equal((await objects.range('packs/0007', 6, 100)).toString(), '0007');
  t.equal(faultOf(await objects.range('packs/none', 0, 1).catch((error: unknown) => error)), 'absent');
  t.equal(await objects.look('packs/none'), undefined);
  objects.close();
});

await t.test('an upload in parts is gone on with, and a part that is another one is sent again', { skip }, async (t) => {
  const objects = await S3Objects.open(store!.place('bucket', 'parts'));
  const bytes = new Random(7).bytes(20 << 20);
  const name = hash('sha256', bytes, 'hex');
  const begun = await objects.beginUpload(packKey(name));
  await objects.putPart(begun, 1, bytes.subarray(0, 8 << 20));
  await objects.putPart(begun, 2, Buffer.alloc(8 << 20, 'x'));
  let sent = 0;
  await new PackSender(objects, new Set(), { onBytes: (count) => { sent += count; return undefined; } }).send(name, bytes);
  t.equal(sent, 12 << 20, 'the second part and the third');
  t.ok((await store!.get('bucket', `parts/${packKey(name)}`)).equals(bytes));
  t.strictSame(await objects.uploads(''), []);
  await t.rejects(store!.client.send(new UploadPartCommand({ Bucket: 'bucket', Key: `parts/${packKey(name)}`, UploadId: begun.id, PartNumber: 1, Body: 'x' })), 'it is over');
  objects.close();
});

await t.test('what is there already is not sent twice: other names, the same bytes, a few bytes in a large file', { skip }, async (t) => {
  const backup = backupOf('twice');
  const random = new Random(3);
  const large = random.bytes((5 << 20) + 17);
  backup.put('large', large);
  await bind(backup.place, backup.owner, backup.local);
  t.equal((await backup.run()).sentBytes, large.length);
  backup.put('copy', large);
  t.equal((await backup.run()).sentBytes, 0);
  large.write('changed', 3 << 20);
  backup.put('large', large);
  t.equal((await backup.run()).sentBytes, 1 << 20);
  t.match(await backup.verify(), { files: 2, readFiles: 2, missing: [], damaged: [], notes: [] });
});

await t.test('of two machines with one backup the second finds the first, and changes nothing', { skip }, async (t) => {
  const [one, other] = [backupOf('two'), backupOf('two')];
  one.put('file', Buffer.from('1'));
  await bind(one.place, one.owner, one.local);
  await one.run();
  const before = await store!.get('bucket', 'two/tidemark-manifest.json');
  let published: Buffer | undefined;
  const race = other.run({
    txid: '20',
    // The other one is in the middle of its run.
    root: Buffer.from(one.tree), changesSince: async () => {
      await one.run({ txid: '10' });
      published = await store!.get('bucket', 'two/tidemark-manifest.json');
      return undefined;
    },
  });
  t.match(await race.catch((error: unknown) => error), { fault: 'foreign', message: /somebody else has written a backup of this name .* meanwhile; theirs was left as it is/ });
  t.notOk(published!.equals(before));
  t.ok((await store!.get('bucket', 'two/tidemark-manifest.json')).equals(published!));
  t.match(await one.verify(), { missing: [], damaged: [] });
});

await t.test('a bucket that is another\'s, or whose binding was removed, is refused; keys of a wrong form, too', { skip }, async (t) => {
  const mine = backupOf('mine');
  await bind(mine.place, mine.owner, mine.local);
  await bind(mine.place, mine.owner, mine.local);
  mine.put('file', Buffer.from('x'));
  await mine.run();
  const stranger = { ...mine.owner, volume: 'w' };
  t.match(await bind(mine.place, stranger, mine.local).catch((error: unknown) => error), { fault: 'foreign', message: /belongs to the backup "mine" of .*choose another place/ });
  await store!.remove('bucket', 'mine/tidemark-destination.json');
  t.match(await bind(mine.place, stranger, mine.local).catch((error: unknown) => error), { fault: 'foreign' });
  t.match(await mine.run().catch((error: unknown) => error), { fault: 'gone', message: /was emptied/ });
  writeFileSync(join(place, 'keyring'), `other@127.0.0.1 X Y\nbucket@127.0.0.1 ${readFileSync(store!.passwordFile, 'utf8')}`, { mode: 0o600 });
  process.env['TIDEMARK_KEYRING'] = join(place, 'keyring');
  await bind({ ...mine.place, password: {} }, mine.owner, mine.local);
  await mine.run();
  writeFileSync(join(place, 'one-word'), 'word\n', { mode: 0o600 });
  t.match(await bind({ ...mine.place, password: { file: join(place, 'one-word') } }, mine.owner, mine.local).catch((error: unknown) => error), { fault: 'denied', message: /not an access key and a secret key, divided by a space/ });
});

await t.test('without its copy on this machine, without its root, with an altered one: the next run has all again', { skip }, async (t) => {
  const backup = backupOf('harmed');
  const bytes = new Random(9).bytes(50_000);
  backup.put('file', bytes);
  await bind(backup.place, backup.owner, backup.local);
  await backup.run();
  backup.put('other', Buffer.from('other'));
  await backup.run();
  const key = 'harmed/tidemark-manifest.json';
  const root = await store!.get('bucket', key);
  const restored = async (): Promise<string> => {
    const view = await openContents(backup.place);
    const entries = await view.entries(view.last, '');
    for (const found of entries) await view.copy(found, undefined, () => undefined);
    await view.close();
    return entries.map(({ entry }) => entry.path).join();
  };
  const harms: readonly (readonly [what: string, harm: () => Promise<void>, says: RegExp])[] = [
    ['altered', async () => store!.put('bucket', key, Buffer.from(root.toString().replace('"files":2', '"files":3'))), /was altered \(its checksum is wrong\)/],
    ['cut off', async () => store!.put('bucket', key, root.subarray(0, 100)), /was altered/],
    ['gone', async () => store!.remove('bucket', key), /is gone from/],
    ['a list gone', async () => { for (const { pack } of parseRoot(await store!.get('bucket', key), key).entries) await store!.remove('bucket', `harmed/${packKey(pack)}`); }, /is not there/],
  ];
  for (const [what, harm, says] of harms) {
    await harm();
    const refusal = await backup.verify().then(() => 'nothing', (error: Error) => error.message);
    t.match(refusal, /was altered|is gone|not there/, what);
    const { notes } = await backup.run();
    t.match(notes.join('; '), says, what);
    t.equal(await restored(), 'file,other');
    t.match(await backup.verify(), { missing: [], damaged: [], notes: [] }, what);
  }
  // Of another machine, which has no copy.
  const elsewhere = backupOf('harmed-copy');
  const moved = { place: backup.place, owner: backup.owner, root: Buffer.from(backup.tree) };
  t.match(await elsewhere.run({ ...moved, txid: '90' }), { sentFiles: 0, notes: [] });
});

await t.test('a pack that is altered or gone is noticed, and its files are sent again', { skip }, async (t) => {
  const backup = backupOf('packs');
  const bytes = new Random(5).bytes(3_000_000);
  backup.put('a', bytes);
  await bind(backup.place, backup.owner, backup.local);
  await backup.run();
  backup.put('b', Buffer.from('small'));
  await backup.run();
  const sizes = await store!.list('bucket', 'packs/packs/');
  const [large = ''] = [...sizes].find(([, size]) => size === bytes.length)!;
  const [small = ''] = [...sizes].find(([, size]) => size === 5)!;
  await store!.put('bucket', large, Buffer.concat([bytes.subarray(0, 2_000_000), Buffer.alloc(1_000_000, 'x')]));
  await store!.remove('bucket', small);
  const found = await backup.verify();
  t.match(found, { files: 2, missing: ['b'], damaged: ['a'] });
  t.match(await backup.run({ again: ['a'] }), { sentFiles: 1 });
  t.match(await backup.verify(), { missing: ['b'], damaged: [] });
  t.match(await backup.run({ again: ['b'] }), { sentFiles: 1 });
  t.match(await backup.verify(), { missing: [], damaged: [] });
  t.equal(createHash('sha256').update(await store!.get('bucket', large)).digest('hex'), large.slice(-64), 'the pack is again what it is called');
});

await t.test('while an earlier manifest cannot be read, no pack goes', { skip }, async (t) => {
  const backup = backupOf('unread');
  await bind(backup.place, backup.owner, backup.local);
  const hourMs = 3_600_000;
  const ladder = [{ upToMs: 2.5 * hourMs, every: 'transaction' }] as const;
  const runAt = (hoursAgo: number): ReturnType<typeof run> => {
    backup.put('file', Buffer.from(`${hoursAgo} hours ago`));
    return backup.run({ timeNs: BigInt(Date.now() - hoursAgo * hourMs) * 1_000_000n, ladder });
  };
  for (const hoursAgo of [4, 3, 2, 1]) await runAt(hoursAgo);
  const [earlier = '', ...others] = (await store!.list('bucket', 'unread/manifests/')).keys();
  t.strictSame(others, [], 'the one of two hours ago');
  const root = await store!.get('bucket', earlier);
  await store!.put('bucket', earlier, root.subarray(1));
  const packs = (await store!.list('bucket', 'unread/packs/')).size;
  // One more that goes, for nothing is swept otherwise.
  await store!.put('bucket', 'unread/manifests/@2001-01-01T00-00-00.000000000Z.json', root);
  t.match((await runAt(0)).notes, [/no packs were removed, for it cannot be told which are needed: manifests\/.* was altered/]);
  t.equal((await store!.list('bucket', 'unread/packs/')).size, packs + 2);
  await store!.put('bucket', earlier, root);
  await store!.put('bucket', 'unread/manifests/@2001-01-01T00-00-00.000000000Z.json', root);
  t.strictSame((await runAt(0)).notes, []);
  const view = await openContents(backup.place);
  for (const moment of view.moments) for (const found of await view.entries(moment, '')) await view.copy(found, undefined, () => undefined);
  t.equal(view.moments.length, 4);
  await view.close();
});

await t.test('what is wrong with a store, or the way to it, is one line', { skip }, async (t) => {
  const { place: good, owner, local } = backupOf('faults');
  const file = (name: string, text: string, mode = 0o600): { password: { file: string } } => {
    writeFileSync(join(place, name), text, { mode });
    return { password: { file: join(place, name) } };
  };
  const secure = { endpoint: `https://127.0.0.1:${store!.tlsPort}` };
  const faults: readonly (readonly [change: Partial<S3Place>, fault: string, says: RegExp])[] = [
    [file('secret', 'KEEPERKEY wrong\n'), 'denied', /refuses the keys \(SignatureDoesNotMatch.*check access key and secret key/],
    [file('key', 'NOBODY wrong\n'), 'denied', /refuses the keys \(InvalidAccessKeyId/],
    [file('open', 'KEEPERKEY a-secret-word\n', 0o644), 'denied', /may be read by others; chmod 600/],
    [{ password: { environment: 'TIDEMARK_NO_KEYS' } }, 'denied', /the variable TIDEMARK_NO_KEYS with the access key and the secret key of bucket@127\.0\.0\.1 is not in the environment/],
    [{ bucket: 'no-such-bucket' }, 'gone', /there is no bucket no-such-bucket at .*make it, or check its name/],
    [secure, 'untrusted', /the certificate of .* is not trusted.*--ca.*--pin/],
    [{ ...secure, pin: '0'.repeat(64) }, 'untrusted', /is not the pinned one: it has the SHA-256 [0-9a-f]{64}/],
    [{ endpoint: `https://127.0.0.1:${store!.port}` }, 'gone', /TLS with .* failed.*http:\/\/ or https:\/\/ in --endpoint/],
    [{ endpoint: 'https://no-such-host.invalid' }, 'gone', /the host of .* is not known/],
  ];
  for (const [change, fault, says] of faults) {
    const error = await bind({ ...good, ...change }, owner, local).then(() => new Error('no fault'), (each: Error) => each);
    t.match(error, { fault, message: says });
    t.notMatch(error.message, /\n|a-secret-word/);
  }
});

await t.test('a clock that is wrong is said', { skip }, async (t) => {
  const late = store!.clientWith({ systemClockOffset: -3_600_000, maxAttempts: 1 });
  const error: unknown = await late.send(new ListObjectsV2Command({ Bucket: 'bucket' })).catch((each: unknown) => each);
  t.match(translateS3(error, store!.place('bucket', '')), { fault: 'denied', message: /the clock of this machine and the clock of .* are more than 15 minutes apart.*set the clock/ });
  late.destroy();
});
