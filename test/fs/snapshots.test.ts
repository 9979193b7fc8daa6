/** What `.snapshots` shows, asked for as the kernel asks. */
import t from 'tap';
import type { FileId } from '../../native/types.js';
import { compileExcludes } from '../../engine/excludes.js';
import { SnapshotRequests } from '../../fs/requests.js';
import { Kernel, root } from './kernel.js';
import { MemoryVolume, nameOfTime, rootId } from './memory-volume.js';
import { connect, secondNs, sevenNs } from './setup.js';

const dayMs = 86_400_000;
const name = (text: string): Buffer => Buffer.from(text, 'latin1');
const mtimeOf = (attributes: Buffer): bigint => attributes.readBigInt64LE(48) * secondNs + BigInt(attributes.readUInt32LE(68));

t.test('.snapshots is a read-only directory whose time is the last transaction', async (t) => {
  const { volume, kernel } = connect();
  volume.commit(sevenNs + 5n);
  const list = await kernel.node({ op: 'root', directory: rootId, caller: root });
  t.equal(list.attributes.readUInt32LE(0), 0o040555);
  t.equal(mtimeOf(list.attributes), sevenNs + 5n);
  t.equal((await kernel.node({ op: 'root', directory: rootId, caller: root })).node, list.node);
  t.same(await kernel.node({ op: 'getattr', node: list.node, caller: root }), list);
});

t.test('listed names resolve to the node they were listed with, their time as modification time', async (t) => {
  const { volume, kernel } = connect();
  volume.commit(sevenNs);
  volume.commit(sevenNs + 60n * secondNs);
  const list = await kernel.walk(rootId, []);
  const listed = await kernel.listing(list.node);
  t.same(listed.map((entry) => entry.name.toString()), ['@2026-11-22T07-01-00Z', '@2026-11-22T07-00-00Z']);
  for (const entry of listed) {
    const found = await kernel.node({ op: 'lookup', node: list.node, name: entry.name, caller: root });
    t.equal(found.node, entry.node);
    t.equal(found.ino, entry.ino);
    t.same(found.attributes, entry.attributes);
    t.equal(`@${nameOfTime(mtimeOf(found.attributes))}`, entry.name.toString());
    t.same((await kernel.node({ op: 'getattr', node: found.node, caller: root })).attributes, found.attributes);
  }
});

t.test('files read as they were: listing, attributes, contents, links, attributes by name', async (t) => {
  const { volume, kernel } = connect();
  const sub = volume.addDirectory(rootId, 'sub', 0o750, 7);
  const file = volume.addFile(sub, 'file', 'old');
  volume.addLink(sub, 'link', '../target');
  volume.live(file).xattrs.set('user.note', Buffer.from('then'));
  volume.live(file).xattrs.set('security.capability', Buffer.from('cap'));
  volume.commit(sevenNs);
  volume.live(file).data = 'newer bytes';
  volume.live(file).xattrs.set('user.note', Buffer.from('now'));
  volume.remove(sub, 'link');
  volume.commit(sevenNs + secondNs);

  const then = await kernel.walk(rootId, ['@txn-1', 'sub']);
  t.equal(then.attributes.readUInt32LE(0), 0o040750);
  const listed = await kernel.listing(then.node);
  t.same(listed.map((entry) => entry.name.toString()).sort(), ['file', 'link']);
  const found = await kernel.node({ op: 'lookup', node: then.node, name: name('file'), caller: root });
  t.equal(found.node, listed.find((entry) => entry.name.equals(name('file')))?.node);
  t.equal(found.attributes.readBigUInt64LE(24), 3n);
  t.equal(found.timeoutMs, 10_000);
  const plan = await kernel.ask({ op: 'open', node: found.node, caller: root });
  t.ok(plan.kind === 'plan' && plan.plan.size === 3n);
  const again = await kernel.ask({ op: 'replan', node: found.node });
  t.ok(again.kind === 'plan' && again.plan.size === 3n);
  const link = await kernel.walk(rootId, ['@txn-1', 'sub', 'link']);
  t.same(await kernel.ask({ op: 'readlink', node: link.node, caller: root }), { kind: 'data', data: Buffer.from('../target') });
  t.same(await kernel.ask({ op: 'getxattr', node: found.node, name: name('user.note'), caller: root }), { kind: 'data', data: Buffer.from('then') });
  t.equal(await kernel.errno({ op: 'getxattr', node: found.node, name: name('user.other'), caller: root }), 'ENODATA');
  t.same(await kernel.ask({ op: 'listxattr', node: found.node, caller: root }), { kind: 'data', data: Buffer.from('user.note\0security.capability\0') });
  t.equal(await kernel.errno({ op: 'lookup', node: (await kernel.walk(rootId, ['@txn-2', 'sub'])).node, name: name('link'), caller: root }), 'ENOENT');
});

t.test('capabilities of a file of then are root\'s to copy and nobody\'s to use', async (t) => {
  const { volume, kernel } = connect();
  const file = volume.addFile(rootId, 'tool', 'x', 0o755);
  volume.live(file).xattrs.set('security.capability', Buffer.from('cap'));
  volume.commit(sevenNs);
  const { node } = await kernel.walk(rootId, ['@txn-1', 'tool']);
  t.same(await kernel.ask({ op: 'getxattr', node, name: name('security.capability'), caller: root }), { kind: 'data', data: Buffer.from('cap') });
  t.equal(await kernel.errno({ op: 'getxattr', node, name: name('security.capability'), caller: { uid: 7, gid: 7, pid: 1 } }), 'ENODATA');
});

t.test('.snapshots of a directory shows that directory, wherever it was', async (t) => {
  const { volume, kernel } = connect();
  volume.commit(sevenNs);
  const sub = volume.addDirectory(rootId, 'old-name');
  volume.addFile(sub, 'inside', 'x');
  volume.commit(sevenNs + secondNs);
  volume.rename(rootId, 'old-name', rootId, 'new-name');
  volume.commit(sevenNs + 2n * secondNs);
  t.equal((await kernel.walk(sub, ['@txn-2', 'inside'])).attributes.readBigUInt64LE(24), 1n);
  const list = await kernel.walk(sub, []);
  t.equal(await kernel.errno({ op: 'lookup', node: list.node, name: name('@txn-1'), caller: root }), 'ENOENT', 'it did not exist then');
});

t.test('names that are no moments are absent', async (t) => {
  const { volume, kernel, lines } = connect();
  volume.commit(sevenNs);
  const list = await kernel.walk(rootId, []);
  for (const text of ['x', '@', '@nonsense', '@txn-99', '@1999-01-01T00-00-00Z', '2026-11-22T07-00-00Z', '@\xff']) {
    t.equal(await kernel.errno({ op: 'lookup', node: list.node, name: name(text), caller: root }), 'ENOENT', text);
  }
  t.same(lines, [], 'asking is no fault');
});

t.test('all names of one snapshot lead to one node', async (t) => {
  const { volume, kernel } = connect();
  const txid = volume.commit(sevenNs);
  volume.pinned.push({ name: 'release', txid, timeNs: sevenNs, madeAtNs: sevenNs });
  const list = await kernel.walk(rootId, []);
  const numbers = new Set<number>();
  for (const text of ['@txn-1', '@2026-11-22T07-00-00Z', '@2026-11-22T07:00:00Z', '@release', '@5m']) {
    numbers.add((await kernel.node({ op: 'lookup', node: list.node, name: name(text), caller: root })).node);
  }
  t.equal(numbers.size, 1);
});

t.test('the kernel may remember moments that are over, asks again for names that move', async (t) => {
  const { volume, kernel } = connect();
  const txid = volume.commit(sevenNs);
  volume.pinned.push({ name: 'release', txid, timeNs: sevenNs, madeAtNs: sevenNs });
  const timeoutOf = async (text: string): Promise<number> => (await kernel.walk(rootId, [text])).timeoutMs;
  const now = BigInt(Date.now()) * 1_000_000n;
  volume.commit(now - 10n * secondNs);
  t.equal(await timeoutOf(`@${nameOfTime(now - 10n * secondNs)}`), dayMs);
  t.equal(await timeoutOf('@txn-1'), dayMs);
  t.equal(await timeoutOf('@5m'), 0);
  t.ok((await timeoutOf('@release')) <= 1000);
  t.equal(await timeoutOf(`@${nameOfTime(now + 3600n * secondNs)}`), 0);
});

t.test('a moment that is not over ends the open transaction first, others leave it alone', async (t) => {
  const { volume, kernel } = connect();
  volume.commit(sevenNs);
  volume.addFile(rootId, 'just-written', 'x');
  await kernel.walk(rootId, ['@txn-1']);
  await kernel.walk(rootId, ['@5m']);
  t.equal(volume.settledCount, 0);
  await kernel.walk(rootId, [`@${nameOfTime(BigInt(Date.now() + 5000) * 1_000_000n)}`, 'just-written']);
  t.equal(volume.settledCount, 1);
});

t.test('a listing shows what has just been written', async (t) => {
  const { volume, kernel } = connect();
  volume.commit(sevenNs);
  volume.addFile(rootId, 'just-written', 'x');
  const [newest] = await kernel.listing((await kernel.walk(rootId, [])).node);
  t.ok(newest !== undefined);
  const found = await kernel.node({ op: 'lookup', node: newest?.node ?? 0, name: name('just-written'), caller: root });
  t.equal(found.attributes.readBigUInt64LE(24), 1n);
});

t.test('excluded names are not shown', async (t) => {
  const { volume, kernel } = connect({ excludes: ['*.tmp', 'build/out'] });
  const build = volume.addDirectory(rootId, 'build');
  for (const text of ['a.tmp', 'out', 'kept']) volume.addFile(build, text, 'x');
  volume.commit(sevenNs);
  const then = await kernel.walk(rootId, ['@txn-1', 'build']);
  t.same((await kernel.listing(then.node)).map((entry) => entry.name.toString()), ['kept']);
  t.equal(await kernel.errno({ op: 'lookup', node: then.node, name: name('a.tmp'), caller: root }), 'ENOENT');
  const below = await kernel.walk(build, ['@txn-1']);
  t.same((await kernel.listing(below.node)).map((entry) => entry.name.toString()), ['kept'], 'the path counts from the root');
});

t.test('names of any bytes pass unchanged', async (t) => {
  const { volume, kernel } = connect();
  const odd = Buffer.from([0xff, 0x20, 0x0a, 0xc3]);
  volume.addFile(rootId, odd.toString('latin1'), 'x');
  volume.commit(sevenNs);
  const then = await kernel.walk(rootId, ['@txn-1']);
  const [entry] = await kernel.listing(then.node);
  t.same(entry?.name, odd);
  t.equal((await kernel.node({ op: 'lookup', node: then.node, name: odd, caller: root })).node, entry?.node);
});

t.test('each request is answered once, also when something throws, and faults are logged', async (t) => {
  const { volume, kernel, lines } = connect();
  const file = volume.addFile(rootId, 'file', 'x');
  volume.commit(sevenNs);
  const { node } = await kernel.walk(rootId, ['@txn-1', 'file']);
  volume.onQuery = (query) => {
    if (query === 'plan') throw Object.assign(new Error(`record of file ${file} is damaged`), { code: 'EDAMAGED' });
  };
  t.equal(await kernel.errno({ op: 'open', node, caller: root }), 'EIO');
  t.match(lines, [/open answered with EIO: record of file \d+ is damaged/]);
  kernel.refuseNext = true;
  t.equal(await kernel.errno({ op: 'getattr', node, caller: root }), 'EIO');
  const before = kernel.answered;
  t.equal(await kernel.errno({ op: 'getattr', node: 9999, caller: root }), 'ESTALE');
  const list = await kernel.walk(rootId, []);
  t.equal(await kernel.errno({ op: 'open', node: list.node, caller: root }), 'EISDIR');
  t.equal(await kernel.errno({ op: 'getxattr', node: list.node, name: name('user.x'), caller: root }), 'ENODATA');
  t.same(await kernel.ask({ op: 'listxattr', node: list.node, caller: root }), { kind: 'data', data: Buffer.alloc(0) });
  t.equal(kernel.answered - before, 5);
});

t.test('requests that come before the mount is there are answered when it is', async (t) => {
  const volume = new MemoryVolume();
  volume.commit(sevenNs);
  const requests = new SnapshotRequests(volume, volume, { access: 'then', owner: { uid: 0, gid: 0 }, excludes: compileExcludes([]), log: () => undefined });
  const kernel = new Kernel(requests);
  const early = kernel.node({ op: 'root', directory: rootId, caller: root });
  t.equal(kernel.answered, 0);
  requests.attach(kernel);
  t.equal((await early).attributes.readUInt32LE(0), 0o040555);
});

t.test('a listing of 10,000 entries holds a node each until they are forgotten', async (t) => {
  const { volume, kernel, requests } = connect();
  for (let index = 0; index < 10_000; index++) {
    const id = (1000n + BigInt(index)) as FileId;
    volume.tree.set(id, { mode: 0o100644, uid: 0, gid: 0, xattrs: new Map(), entries: new Map(), data: '' });
    volume.live(rootId).entries.set(`f${index}`, id);
  }
  volume.commit(sevenNs);
  const then = await kernel.walk(rootId, ['@txn-1']);
  const listed = await kernel.listing(then.node);
  t.equal(listed.length, 10_000);
  t.equal(requests.nodeCount, 10_002);
  t.equal(new Set(listed.map((entry) => entry.ino)).size, 10_000);
  kernel.forget(listed.map((entry) => entry.node));
  t.equal(requests.nodeCount, 2);
  kernel.forget([then.node, (await kernel.walk(rootId, [])).node]);
  t.equal(requests.nodeCount, 0);
});

t.test('a listing does not wait until all that was deleted is known', async (t) => {
  const { volume, kernel } = connect();
  volume.commit(sevenNs);
  const list = await kernel.walk(rootId, []);
  t.same((await kernel.listing(list.node)).map((entry) => entry.name.toString()), ['@2026-11-22T07-00-00Z'], 'nothing was');
  volume.bin.deletedIn = () => new Promise(() => undefined);
  t.same((await kernel.listing(list.node)).map((entry) => entry.name.toString()), ['@2026-11-22T07-00-00Z', '@deleted']);
});
