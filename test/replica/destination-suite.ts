/**
 * What every destination has to do: the specification of replica/destination.ts. Each implementation's test is a few lines that call `testDestination`.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { DestinationError, faultOf, readWhole, removeTree } from '../../replica/destination.js';
import type { Destination } from '../../replica/destination.js';
import { fromText } from '../../replica/paths.js';
import { encodePath } from '../../replica/stored-name.js';
import { makePlace, removePlace } from '../support/places.js';
import { Random } from '../support/seed.js';

/** What stands behind the destination, where the test can reach it. */
export interface Behind {
  readonly open: () => Promise<Destination>;
}

const hooks = { onBytes: () => undefined };
const awkward = ['with space', ' leading', 'trailing ', '-dash', 'a[b]*?{c}', "quote'\"", 'back\\slash', 'ümlaut €', 'semi;colon', '%41', 'new\nline', '.hidden', '~tilde', '#hash'];

export async function testDestination(t: Test, { open }: Behind): Promise<void> {
  const destination = await open();
  const place = makePlace();
  const local = mkdtempSync(join(place, 'local-'));
  const random = new Random(1);
  const file = (bytes: Buffer): { path: Buffer; size: number; sha256: string } => {
    const path = join(local, `file-${random.below(2 ** 31)}`);
    writeFileSync(path, bytes);
    return { path: Buffer.from(path), size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  };
  const faultIn = async (action: Promise<unknown>): Promise<string | undefined> => action.then(() => 'none', (error: unknown) => (error instanceof DestinationError && !error.message.includes('\n') ? error.fault : String(error)));
  try {
    await t.test('what was sent is there, with its length and its hash', async (t) => {
      for (const length of [0, 1, 70_000, 3_000_000]) {
        const bytes = random.bytes(length);
        const sent = file(bytes);
        t.equal(await destination.send('file', sent, hooks), sent.sha256);
        t.equal(await destination.size('file'), length);
        t.ok((await readWhole(destination, 'file', 10_000_000)).equals(bytes), `${length} bytes`);
      }
      t.equal(await destination.size('none'), undefined);
      t.equal(await faultIn(destination.read('none').then((stream) => readAll(stream))), 'absent');
    });

    await t.test('reading begins where it is told', async (t) => {
      const bytes = random.bytes(200_000);
      await destination.send('part', file(bytes), hooks);
      t.ok((await readAll(await destination.read('part', 150_000))).equals(bytes.subarray(150_000)));
    });

    await t.test('sending goes on with what is there, and replaces what is something else', async (t) => {
      const bytes = random.bytes(2_000_000);
      for (const there of [bytes.subarray(0, 700_000), random.bytes(700_000), Buffer.concat([bytes, random.bytes(5)]), bytes]) {
        await destination.send('resumed', { ...file(there), isNew: true }, hooks);
        const sent = file(bytes);
        t.equal(await destination.send('resumed', sent, hooks), sent.sha256);
        t.ok((await readWhole(destination, 'resumed', 10_000_000)).equals(bytes));
      }
    });

    await t.test('directories are made, listed, moved and removed', async (t) => {
      await destination.makeDirectory('d');
      await destination.makeDirectory('d');
      await destination.makeDirectory('d/e');
      await destination.send('d/e/f', file(Buffer.from('abc')), hooks);
      t.strictSame((await destination.list('d')).map(({ name, type }) => [name, type]), [['e', 'directory']]);
      t.strictSame(await destination.list('d/e'), [{ name: 'f', type: 'file', size: 3 }]);
      t.equal(await faultIn(destination.list('none')), 'absent');
      await destination.rename('d/e', 'moved');
      t.equal((await readWhole(destination, 'moved/f', 10)).toString(), 'abc');
      t.equal(await faultIn(destination.rename('d/e', 'again')), 'absent');
      t.not(await faultIn(destination.removeDirectory('moved')), 'none', 'it is not empty');
      await removeTree(destination, 'moved');
      await destination.removeDirectory('moved');
      t.equal(await faultIn(destination.list('moved')), 'absent');
    });

    await t.test('a file moves over another one, and what is gone is gone', async (t) => {
      await destination.send('old', file(Buffer.from('old')), hooks);
      await destination.send('new', file(Buffer.from('newer')), hooks);
      await destination.rename('new', 'old');
      t.equal((await readWhole(destination, 'old', 10)).toString(), 'newer');
      await destination.remove('old');
      await destination.remove('old');
      t.equal(await destination.size('old'), undefined);
    });

    await t.test('names of every kind come back as they were', async (t) => {
      await destination.makeDirectory('names');
      const stored = [...awkward.map(fromText), 'caf\xe9'].map((name) => encodePath(name, destination.abilities.names));
      for (const name of stored) {
        await destination.send(`names/${name}`, file(Buffer.from(name, 'latin1')), hooks);
        await destination.makeDirectory(`names/${name}-d`);
        await destination.send(`names/${name}-d/x`, file(Buffer.from('x')), hooks);
        t.strictSame((await destination.list(`names/${name}-d`)).map((item) => item.name), ['x'], name);
      }
      const listed = (await destination.list('names')).map(({ name }) => name).sort();
      t.strictSame(listed, stored.flatMap((name) => [name, `${name}-d`]).sort());
      for (const name of stored) t.equal((await readWhole(destination, `names/${name}`, 1000)).toString('latin1'), name);
    });

    await t.test('attributes are kept as far as it says', async (t) => {
      await destination.send('attributes', file(Buffer.from('x')), hooks);
      await destination.setAttributes('attributes', { mode: 0o640, uid: 0, gid: 0, mtimeNs: 1_600_000_000_123_456_789n });
      t.equal(await faultIn(destination.setAttributes('attributes', { mode: 0o600, uid: 0, gid: 0, mtimeNs: 1_700_000_000_000_000_000n })), 'none');
    });

    await t.test('two are independent of each other', async (t) => {
      const other = await open();
      await other.send('other', file(Buffer.from('1')), hooks);
      await destination.remove('file');
      t.equal(await destination.size('other'), 1);
      await other.close();
    });
    t.equal(faultOf(await destination.list('nowhere').catch((error: unknown) => error)), 'absent');
  } finally {
    await destination.close();
    rmSync(local, { recursive: true, force: true });
    removePlace(place);
  }
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
