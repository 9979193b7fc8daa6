/**
 * What `log`, `diff` and the listing of deleted names tell, on small histories whose lines are known.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { directoryType, regularType } from '../../engine/attributes.js';
import { txid as toTxid } from '../../engine/ids.js';
import { nameOperation } from '../../engine/log-bodies.js';
import type { Change, Difference } from '../../engine/types.js';
import { Volume } from '../../engine/volume.js';
import { MemoryNative } from '../support/memory-native.js';
import type { MemoryInode } from '../support/memory-tree.js';
import { makePlace, removePlace } from '../support/places.js';
import { Random } from '../support/seed.js';

class Scene {
  constructor(readonly native: MemoryNative, readonly volume: Volume) {}

  get root(): MemoryInode {
    return this.native.tree.root;
  }

  file(directory: MemoryInode, name: string): MemoryInode {
    const inode = this.native.create(directory, name, regularType | 0o644);
    this.native.barrier('name');
    return inode;
  }

  folder(directory: MemoryInode, name: string): MemoryInode {
    const inode = this.native.create(directory, name, directoryType | 0o755, nameOperation.mkdir);
    this.native.barrier('name');
    return inode;
  }

  write(inode: MemoryInode, text: string, offset = 0): void {
    this.native.write(inode, offset, Buffer.from(text));
    this.native.barrier('close');
  }

  rename(source: MemoryInode, from: string, target: MemoryInode, to: string): void {
    this.native.rename(source, from, target, to);
    this.native.barrier('name');
  }

  async log(path: string, options: { limit?: number } = {}): Promise<string[]> {
    await this.volume.settled();
    return (await this.volume.log({ path: Buffer.from(path), ...options })).map(tell);
  }

  async diff(from: number, to: number, path = '/'): Promise<string[]> {
    await this.volume.settled();
    return (await this.volume.diff(Buffer.from(path), toTxid(from), toTxid(to))).map(tellDifference);
  }
}

function tell({ kind, path, from, size }: Change): string {
  return [kind, path.toString(), ...(from === undefined ? [] : [`from ${from.toString()}`]), ...(size === undefined ? [] : [String(size)])].join(' ');
}

function tellDifference({ kind, path, from, sizeBefore, sizeAfter }: Difference): string {
  const sizes = sizeBefore === undefined && sizeAfter === undefined ? [] : [`${sizeBefore ?? '-'}→${sizeAfter ?? '-'}`];
  return [kind, path.toString(), ...(from === undefined ? [] : [`from ${from.toString()}`]), ...sizes].join(' ');
}

async function scene(t: Test): Promise<Scene> {
  const place = makePlace();
  mkdirSync(join(place, '.tidemark', 'log'), { recursive: true });
  const native = new MemoryNative(join(place, '.tidemark', 'log'), new Random(1), BigInt(Date.now() + 86_400_000) * 1_000_000n);
  const volume = await Volume.open(place, { addon: native.addon(), nowNs: () => native.timeNs + 1n });
  t.teardown(async () => {
    await volume.close();
    removePlace(place);
  });
  return new Scene(native, volume);
}

void t.test('a file: created, written, truncated, its mode changed, deleted', async (t) => {
  const s = await scene(t);
  const file = s.file(s.root, 'report');
  s.write(file, 'one');
  s.write(file, 'two!');
  s.native.truncate(file, 1);
  s.native.barrier('truncate');
  s.native.change(file, 0o600, 0);
  s.native.barrier('sync');
  s.native.setXattr(file, 'user.a', Buffer.from('1'));
  s.native.barrier('sync');
  s.native.unlink(s.root, 'report');
  const lines = ['delete /report', 'xattr /report 1', 'attributes /report 1', 'truncate /report 1', 'write /report 4', 'write /report 3', 'create /report 0'];
  t.same(await s.log('/report'), lines);
  t.same(await s.log('/'), lines, 'the directory above says the same');
  t.same(await s.log('/report', { limit: 2 }), lines.slice(0, 2));
});

void t.test('created and written in one transaction is one line', async (t) => {
  const s = await scene(t);
  const file = s.native.create(s.root, 'f', regularType | 0o644);
  s.native.write(file, 0, Buffer.from('text'));
  s.native.barrier('close');
  t.same(await s.log('/f'), ['create /f 4']);
});

void t.test('a log follows a file through renames, of itself and of its directory', async (t) => {
  const s = await scene(t);
  const folder = s.folder(s.root, 'old');
  const file = s.file(folder, 'a');
  s.write(file, '1');
  s.rename(s.root, 'old', s.root, 'new');
  s.write(file, '22');
  s.rename(folder, 'a', s.root, 'b');
  s.write(file, '333');
  t.same(await s.log('/b'), ['write /b 3', 'rename /b from /new/a 2', 'write /new/a 2', 'write /old/a 1', 'create /old/a 0']);
  t.same(await s.log('/new'), ['rename /b from /new/a 2', 'write /new/a 2', 'rename /new from /old', 'write /old/a 1', 'create /old/a 0', 'mkdir /old']);
});

void t.test('a file saved by replacing keeps one log; the one that was moved away keeps its own', async (t) => {
  const s = await scene(t);
  const first = s.file(s.root, 'text');
  s.write(first, 'v1');
  const second = s.file(s.root, 'text.new');
  s.write(second, 'v2!');
  s.rename(s.root, 'text.new', s.root, 'text');
  const third = s.file(s.root, 'other');
  s.rename(s.root, 'text', s.root, 'text.old');
  s.rename(s.root, 'other', s.root, 'text');
  s.write(second, 'not text any more');
  s.write(third, 'v3');
  t.same(await s.log('/text'), [
    'write /text 2', 'rename /text from /other 0', 'rename /text.old from /text 3', 'create /other 0',
    'rename /text from /text.new 3', 'write /text.new 3', 'create /text.new 0', 'write /text 2', 'create /text 0',
  ]);
  t.equal((await s.log('/text.old'))[0], 'write /text.old 17');
});

void t.test('links, and what is not known', async (t) => {
  const s = await scene(t);
  const file = s.file(s.root, 'a');
  s.native.link(s.root, 'b', file);
  s.native.barrier('name');
  s.native.unlink(s.root, 'a');
  s.native.barrier('name');
  t.same(await s.log('/b'), ['delete /a', 'link /b from /a 0', 'create /a 0']);
  await t.rejects(s.log('/never'), { code: 'ENOENT', message: /nothing is known of \/never/ });
});

void t.test('a directory made again keeps the log of the one before, and is compared with it', async (t) => {
  const s = await scene(t);
  const before = s.folder(s.root, 'd');
  s.write(s.file(before, 'x'), 'xx');
  s.write(s.file(before, 'y'), 'y');
  await s.volume.settled();
  const then = Number((await s.volume.status()).txid);
  for (const [directory, name] of [[before, 'x'], [before, 'y'], [s.root, 'd']] as const) {
    s.native.unlink(directory, name);
    s.native.barrier('name');
  }
  const after = s.folder(s.root, 'd');
  s.write(s.file(after, 'x'), 'new');
  const now = Number((await s.volume.settled()).txid);
  t.same(await s.log('/d/x'), ['write /d/x 3', 'create /d/x 0', 'delete /d/x', 'write /d/x 2', 'create /d/x 0']);
  t.same(await s.log('/d/y'), ['delete /d/y', 'write /d/y 1', 'create /d/y 0']);
  t.same(await s.log('/d'), [
    'write /d/x 3', 'create /d/x 0', 'mkdir /d', 'rmdir /d', 'delete /d/y', 'delete /d/x', 'write /d/y 1', 'create /d/y 0', 'write /d/x 2', 'create /d/x 0', 'mkdir /d',
  ]);
  t.same(await s.diff(then, now, '/d'), await s.diff(then, now));
  t.same(await s.diff(then, now, '/d'), ['changed /d', 'changed /d/x 2→3', 'removed /d/y 1→-']);
});

void t.test('a removed tree is told by name, and so is what was in it', async (t) => {
  const s = await scene(t);
  const folder = s.folder(s.root, 'd');
  s.write(s.file(folder, 'x'), 'xx');
  s.native.unlink(folder, 'x');
  s.native.barrier('name');
  s.native.unlink(s.root, 'd');
  s.native.barrier('name');
  t.same(await s.log('/d'), ['rmdir /d', 'delete /d/x', 'write /d/x 2', 'create /d/x 0', 'mkdir /d']);
  t.same(await s.log('/d/x'), ['delete /d/x', 'write /d/x 2', 'create /d/x 0']);
  const last = await s.volume.settled();
  t.match((await s.volume.deletedEntries(last.txid, s.volume.rootId)).map(({ name, deletedAt }) => [name.toString(), Number(deletedAt)]), [['d', 5]]);
  t.same(await s.volume.deletedEntries(toTxid(4), s.volume.rootId), [], 'not yet deleted then');
});

void t.test('differences between two moments, both ways', async (t) => {
  const s = await scene(t);
  const folder = s.folder(s.root, 'd');
  const kept = s.file(folder, 'kept');
  const moved = s.file(s.root, 'moved');
  const replaced = s.file(folder, 'replaced');
  s.write(replaced, 'old');
  s.file(s.root, 'gone');
  const passing = s.file(s.root, 'moded');
  const from = Number((await s.volume.settled()).txid);
  s.write(kept, '12345');
  s.rename(s.root, 'moved', folder, 'here');
  s.write(moved, 'm');
  s.native.unlink(s.root, 'gone');
  s.native.barrier('name');
  const fresh = s.file(folder, 'replaced.tmp');
  s.write(fresh, 'newer');
  s.rename(folder, 'replaced.tmp', folder, 'replaced');
  s.native.change(passing, 0o600, 0);
  s.native.barrier('sync');
  s.file(folder, 'brief');
  s.native.unlink(folder, 'brief');
  s.native.barrier('name');
  s.write(s.file(folder, 'added'), 'a');
  const to = Number((await s.volume.settled()).txid);
  const differences = ['added /d/added -→1', 'renamed /d/here from /moved 0→1', 'changed /d/kept 0→5', 'changed /d/replaced 3→5', 'removed /gone 0→-', 'attributes /moded 0→0'];
  t.same(await s.diff(from, to), differences);
  t.same(await s.diff(from, to, '/d/kept'), ['changed /d/kept 0→5']);
  t.same(await s.diff(from, to, '/d'), differences.filter((line) => line.includes('/d/')));
  t.same(await s.diff(to, from), ['removed /d/added 1→-', 'changed /d/kept 5→0', 'changed /d/replaced 5→3', 'added /gone -→0', 'attributes /moded 0→0', 'renamed /moved from /d/here 1→0']);
  t.same(await s.diff(from, from), []);
  await t.rejects(s.diff(from, to, '/never'), { code: 'ENOENT' });
});

void t.test('pins name moments, are listed, and go', async (t) => {
  const s = await scene(t);
  s.file(s.root, 'a');
  const { txid, timeNs } = await s.volume.settled();
  s.file(s.root, 'b');
  await s.volume.settled();
  await s.volume.pin('before-upgrade', txid);
  t.match(s.volume.pins(), [{ name: 'before-upgrade', txid, timeNs }]);
  t.equal(s.volume.parseMoment('before-upgrade'), txid);
  t.equal(s.volume.parseMoment('@before-upgrade'), txid);
  t.ok(s.volume.snapshotNames().some(({ name }) => name === 'before-upgrade'));
  await t.rejects(s.volume.pin('before-upgrade', txid), { code: 'EEXIST' });
  for (const name of ['', '5m', 'now', 'txn-1', 'a/b', '.x', '@x', 'x'.repeat(201), '2026-11-22T07-00-00Z']) await t.rejects(s.volume.pin(name, txid), { code: 'EINVAL' }, name);
  await t.rejects(s.volume.pin('later', toTxid(99)), { code: 'ENOENT' });
  await s.volume.unpin('before-upgrade');
  t.same(s.volume.pins(), []);
  t.throws(() => s.volume.parseMoment('before-upgrade'), { code: 'EMOMENT', fault: 'unreadable' });
  await t.rejects(s.volume.unpin('before-upgrade'), { code: 'ENOENT' });
});

void t.test('a pin that hurries nobody is listed when the index gets there, also of a moment that the index has not seen yet', async (t) => {
  const s = await scene(t);
  s.file(s.root, 'a');
  const { txid: seen } = await s.volume.settled();
  s.file(s.root, 'b');
  const { ended: ahead } = await s.native.settle();
  await s.volume.pinAhead('one', toTxid(ahead));
  await t.rejects(s.volume.pinAhead('later', toTxid(99)), { code: 'ENOENT' });
  await s.volume.pinAhead('other', seen);
  await s.volume.caughtUp();
  t.match(s.volume.pins(), [{ name: 'one', txid: ahead }, { name: 'other', txid: seen }]);
  await t.rejects(s.volume.pinAhead('one', seen), { code: 'EEXIST' });
});

void t.test('moments outside the history are refused, those inside lead to the last transaction before', async (t) => {
  const s = await scene(t);
  s.file(s.root, 'a');
  const first = await s.volume.settled();
  s.file(s.root, 'b');
  const second = await s.volume.settled();
  t.equal(s.volume.snapshotAt(first.timeNs), first.txid);
  t.equal(s.volume.snapshotAt(second.timeNs - 1n), first.txid);
  t.equal(s.volume.snapshotAt(first.timeNs - 1n), 0n, 'before the first transaction, but not before the volume');
  t.throws(() => s.volume.snapshotAt(second.timeNs + 10_000_000_000n), { code: 'EMOMENT', fault: 'future' });
  t.throws(() => s.volume.snapshotAt(s.volume.oldestNs() - 1n), { code: 'EMOMENT', fault: 'too-old' });
  t.throws(() => s.volume.parseMoment('txn-3'), { code: 'EMOMENT', fault: 'future' });
  t.throws(() => s.volume.parseMoment('1999-01-01T00:00:00Z'), { code: 'EMOMENT', fault: 'too-old' });
  t.throws(() => s.volume.parseMoment('soon'), { code: 'EMOMENT', fault: 'unreadable' });
  for (const { name, txid } of s.volume.snapshotNames()) t.equal(s.volume.parseMoment(name), txid, name);
});
