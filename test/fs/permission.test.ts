/** Reading the past needs the permission of then (the kernel's to check, by the modes shown) and of now (checked here). */
import t from 'tap';
import type { Caller } from '../../native/types.js';
import { root } from './kernel.js';
import { rootId } from './memory-volume.js';
import { connect, sevenNs } from './setup.js';
import type { Setup } from './setup.js';

const dayMs = 86_400_000;
const tenSecondsMs = 10_000;
const owner: Caller = { uid: 7, gid: 7, pid: 70 };
const stranger: Caller = { uid: 8, gid: 8, pid: 80 };
const name = (text: string): Buffer => Buffer.from(text, 'latin1');

/** open/door/file, everything readable for all, and one snapshot of it. */
function house(access: 'then-and-now' | 'then' = 'then-and-now') {
  const setup: Setup = connect({ access });
  const { volume } = setup;
  const open = volume.addDirectory(rootId, 'open');
  const door = volume.addDirectory(open, 'door', 0o755, owner.uid);
  const file = volume.addFile(door, 'file', 'secret', 0o644, owner.uid);
  volume.live(file).xattrs.set('user.note', Buffer.from('x'));
  volume.commit(sevenNs);
  return { ...setup, open, door, file };
}

t.test('what is open now as it was then is open to all, and the kernel may remember it', async (t) => {
  const { kernel } = house();
  const file = await kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'], stranger);
  t.equal(file.timeoutMs, tenSecondsMs);
  t.equal((await kernel.ask({ op: 'open', node: file.node, caller: stranger })).kind, 'plan');
});

t.test('a file that was closed later is closed in the past, but not for its owner and root', async (t) => {
  const { kernel, volume, file } = house();
  const { node } = await kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'], stranger);
  volume.live(file).mode = 0o100600;
  t.equal(await kernel.errno({ op: 'open', node, caller: stranger }), 'EACCES');
  t.equal(await kernel.errno({ op: 'getxattr', node, name: name('user.note'), caller: stranger }), 'EACCES');
  t.equal(await kernel.errno({ op: 'listxattr', node, caller: stranger }), 'EACCES');
  t.equal((await kernel.ask({ op: 'open', node, caller: owner })).kind, 'plan');
  t.equal((await kernel.ask({ op: 'open', node, caller: root })).kind, 'plan');
});

t.test('the kernel may read an ACL in the name of someone who may not read the file', async (t) => {
  const { kernel, volume, file } = house();
  const { node } = await kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file']);
  volume.live(file).mode = 0o100600;
  t.equal(await kernel.errno({ op: 'getxattr', node, name: name('system.posix_acl_access'), caller: stranger }), 'ENODATA');
});

t.test('a directory that was closed later closes all below it in the past', async (t) => {
  const { kernel, requests, volume, door } = house();
  const then = await kernel.walk(rootId, ['@txn-1', 'open', 'door'], stranger);
  const file = await kernel.node({ op: 'lookup', node: then.node, name: name('file'), caller: stranger });
  volume.live(door).mode = 0o040700;
  requests.accessChanged();
  t.equal(kernel.invalidations, 1);
  t.equal(await kernel.errno({ op: 'list', node: then.node, caller: stranger }), 'EACCES');
  t.equal(await kernel.errno({ op: 'lookup', node: then.node, name: name('file'), caller: stranger }), 'EACCES');
  t.equal(await kernel.errno({ op: 'open', node: file.node, caller: stranger }), 'EACCES');
  t.equal((await kernel.ask({ op: 'open', node: file.node, caller: owner })).kind, 'plan');
});

t.test('a deleted file keeps its own permissions, and those of the directory it was in', async (t) => {
  const { kernel, requests, volume, door, file } = house();
  const { node } = await kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'], stranger);
  volume.remove(door, 'file');
  t.equal((await kernel.ask({ op: 'open', node, caller: stranger })).kind, 'plan');
  volume.live(door).mode = 0o040700;
  requests.accessChanged();
  t.equal(await kernel.errno({ op: 'open', node, caller: stranger }), 'EACCES');
  volume.live(door).mode = 0o040755;
  volume.live(file).mode = 0o100600;
  t.equal(await kernel.errno({ op: 'open', node, caller: stranger }), 'EACCES');
});

t.test('a file moved into a closed directory is closed where it was', async (t) => {
  const { kernel, volume, door } = house();
  const { node } = await kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'], stranger);
  const safe = volume.addDirectory(rootId, 'safe', 0o700, owner.uid);
  volume.rename(door, 'file', safe, 'file');
  t.equal(await kernel.errno({ op: 'open', node, caller: stranger }), 'EACCES');
  t.equal((await kernel.ask({ op: 'open', node, caller: owner })).kind, 'plan');
});

t.test('a directory that was closed later closes what has been moved out of it since', async (t) => {
  const { kernel, requests, volume, open, door } = house();
  const path = ['@txn-1', 'open', 'door', 'file'];
  const { node } = await kernel.walk(rootId, path, stranger);
  volume.rename(door, 'file', rootId, 'free');
  t.equal((await kernel.ask({ op: 'open', node, caller: stranger })).kind, 'plan');
  volume.rename(open, 'door', rootId, 'door');
  t.equal((await kernel.ask({ op: 'open', node, caller: stranger })).kind, 'plan');
  volume.live(open).mode = 0o040700;
  requests.accessChanged();
  t.equal(await kernel.errno({ op: 'open', node, caller: stranger }), 'EACCES');
});

t.test('names below a directory that differs from then are asked for each time', async (t) => {
  const changes: [string, (setup: ReturnType<typeof house>) => void][] = [
    ['mode', ({ volume, door }) => void (volume.live(door).mode = 0o040750)],
    ['owner', ({ volume, door }) => void (volume.live(door).uid = 9)],
    ['group', ({ volume, door }) => void (volume.live(door).gid = 9)],
    ['ACL', ({ volume, door }) => void volume.live(door).xattrs.set('system.posix_acl_access', Buffer.from('acl'))],
    ['name', ({ volume, open }) => volume.rename(open, 'door', open, 'elsewhere')],
  ];
  for (const [what, change] of changes) {
    const setup = house();
    const path = ['@txn-1', 'open', 'door', 'file'];
    t.equal((await setup.kernel.walk(rootId, path)).timeoutMs, tenSecondsMs);
    change(setup);
    setup.requests.accessChanged();
    t.equal((await setup.kernel.walk(rootId, path)).timeoutMs, 0, what);
    const then = await setup.kernel.walk(rootId, path.slice(0, 3));
    t.same((await setup.kernel.listing(then.node)).map((entry) => entry.timeoutMs), [0], `${what}, listed`);
  }
});

t.test('below a directory that differs, the first name is asked for each time, and so decides about all below it', async (t) => {
  const { kernel, requests, volume, open } = house();
  volume.live(open).mode = 0o040700;
  requests.accessChanged();
  t.equal((await kernel.walk(rootId, ['@txn-1', 'open', 'door'])).timeoutMs, 0);
  const then = await kernel.walk(rootId, ['@txn-1', 'open']);
  t.equal(await kernel.errno({ op: 'lookup', node: then.node, name: name('door'), caller: stranger }), 'EACCES');
});

t.test('a change of other attributes, or the removal of a directory, guards nothing', async (t) => {
  const setup = house();
  setup.volume.live(setup.door).xattrs.set('user.colour', Buffer.from('blue'));
  setup.volume.addFile(setup.door, 'another', '');
  setup.requests.accessChanged();
  t.equal((await setup.kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'])).timeoutMs, tenSecondsMs);
  setup.volume.remove(setup.door, 'file');
  setup.volume.remove(setup.open, 'door');
  setup.requests.accessChanged();
  t.equal((await setup.kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'])).timeoutMs, tenSecondsMs);
});

t.test('a change in the middle of a lookup is not remembered past it', async (t) => {
  const { kernel, requests, volume } = house();
  const then = await kernel.walk(rootId, ['@txn-1', 'open', 'door']);
  requests.accessChanged();
  let isFirst = true;
  volume.onQuery = (query) => {
    if (query !== 'xattrs' || !isFirst) return;
    isFirst = false;
    requests.accessChanged();
  };
  const question = { op: 'lookup', node: then.node, name: name('file'), caller: root } as const;
  t.equal((await kernel.node(question)).timeoutMs, 0);
  t.equal((await kernel.node(question)).timeoutMs, tenSecondsMs);
});

t.test('with the permission of then alone, nothing of now is asked', async (t) => {
  const { kernel, requests, volume, door, file } = house('then');
  volume.live(file).mode = 0o100600;
  volume.live(door).mode = 0o040700;
  requests.accessChanged();
  const found = await kernel.walk(rootId, ['@txn-1', 'open', 'door', 'file'], stranger);
  t.equal(found.timeoutMs, dayMs);
  t.equal((await kernel.ask({ op: 'open', node: found.node, caller: stranger })).kind, 'plan');
});

t.test('consents further up the path are asked for once, refusals each time', async (t) => {
  const { kernel, volume, open, door } = house();
  const deep = volume.addDirectory(door, 'deep');
  volume.addFile(deep, 'leaf', 'x');
  volume.commit(sevenNs + 1n);
  const { node } = await kernel.walk(rootId, ['@txn-2', 'open', 'door', 'deep', 'leaf'], stranger);
  const asked: bigint[] = [];
  const access = volume.access.bind(volume);
  volume.access = (file, path, caller, mask) => {
    asked.push(file);
    return access(file, path, caller, mask);
  };
  await kernel.ask({ op: 'open', node, caller: stranger });
  t.notOk(asked.includes(open), 'remembered since the walk');
  t.ok(asked.includes(deep), 'the directory it was in is asked about anew');
});
