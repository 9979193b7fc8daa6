/** The control socket: every request is answered once, bad ones harm nobody else, an early end is an error. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import t from 'tap';
import type { Test } from 'tap';
import { ControlClient } from '../../tools/control-client.js';
import { ControlServer } from '../../tools/control-server.js';
import type { Handlers } from '../../tools/control-server.js';
import { LineSplitter } from '../../tools/lines.js';
import type { RegistryEntry } from '../../tools/registry.js';

class Refusal extends Error {
  readonly code = 'EBUSY';
}

const never = (): Promise<never> => Promise.reject(new Error('not asked in these tests'));

const handlers: Handlers = {
  status: never, diff: never, trace: never, deleted: never, pin: never, unpin: never, verify: never, hold: never, hidden: never, release: never, pins: never,
  alarms: never, 'alarms-change': never, 'alarms-test': never, 'alarms-acknowledge': never, 'alarms-release': never, 'alarms-digest': never, policy: never, prune: never, upgrade: never, bin: never, undelete: never, undo: never, pair: never,
  'backup-add': never, 'backup-list': never, 'backup-run': never, 'backup-change': never, 'backup-changes': never,
  moment: async ({ text }) => ({ txid: String(text.length), timeNs: '0' }),
  log: async (request, connection) => {
    for (let index = 0; index < (request.limit ?? 0); index += 1) {
      await connection.emit(request.id, { txid: String(index), timeNs: '0', kind: 'write', path: request.path, uid: 0, pid: 0, command: 'x'.repeat(1000), external: false });
    }
    return {};
  },
  watch: (_request, connection) => new Promise((resolve) => connection.onClose(() => resolve({}))),
  unmount: () => Promise.reject(new Refusal('it is in use')),
};

async function serve(t: Test): Promise<{ entry: RegistryEntry; server: ControlServer; internalErrors: unknown[] }> {
  // Not t.testdir: a socket's path has at most 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-control-'));
  const socket = join(directory, 'socket');
  const internalErrors: unknown[] = [];
  const server = new ControlServer(handlers, (error) => internalErrors.push(error));
  await server.listen(socket);
  t.teardown(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });
  return { entry: { id: '0'.repeat(32), pid: process.pid, startTicks: '0', directory, mountpoint: directory, socket, log: join(directory, 'log') }, server, internalErrors };
}

t.test('only its owner may connect', async (t) => {
  const { entry } = await serve(t);
  t.equal(statSync(entry.socket).mode & 0o777, 0o600);
});

t.test('replies, items and errors come back to whom they belong', async (t) => {
  const { entry, internalErrors } = await serve(t);
  const client = await ControlClient.connect(entry);
  const [short, long, items] = await Promise.all([client.ask('moment', { text: 'a' }), client.ask('moment', { text: 'abc' }), client.askAll('log', { path: '/x', limit: 3000 })]);
  t.equal(short.txid, '1');
  t.equal(long.txid, '3');
  t.equal(items.length, 3000);
  t.strictSame(items.map((item) => item.txid), Array.from({ length: 3000 }, (_, index) => String(index)));
  await t.rejects(client.ask('unmount', {}), { code: 'DAEMON', daemonCode: 'EBUSY', message: 'it is in use' });
  t.equal(internalErrors.length, 0, 'an expected fault is not logged');
  await t.rejects(client.ask('pins', {}), { code: 'DAEMON', daemonCode: 'EINTERNAL' });
  t.equal(internalErrors.length, 1);
  client.close();
});

t.test('an early end is an error, never an empty answer', async (t) => {
  const { entry, server } = await serve(t);
  const client = await ControlClient.connect(entry);
  const asked = client.ask('watch', {});
  const closing = server.close();
  await t.rejects(asked, { code: 'DAEMON', daemonCode: 'ECLOSED' });
  await t.rejects(client.ask('moment', { text: 'a' }), { code: 'DAEMON' });
  await closing;
});

t.test('nobody there', async (t) => {
  const { entry } = await serve(t);
  await t.rejects(ControlClient.connect({ ...entry, socket: `${entry.socket}-none` }), { code: 'COMMAND', message: /does not answer/ });
});

for (const [name, line] of [
  ['no JSON', 'hello\n'],
  ['an unknown method', '{"id":1,"method":"format-disk"}\n'],
  ['a wrong type', '{"id":1,"method":"moment","text":7}\n'],
  ['a parameter too many', '{"id":1,"method":"status","sudo":true}\n'],
  ['a relative path', '{"id":1,"method":"log","path":"etc"}\n'],
  ['a line without an end', `{"id":1,"method":"moment","text":"${'x'.repeat(100_000)}`],
] as const) {
  t.test(`${name} ends its connection and no other`, async (t) => {
    const { entry } = await serve(t);
    const good = await ControlClient.connect(entry);
    const bad = connect(entry.socket);
    await once(bad, 'connect');
    const closed = once(bad, 'close');
    bad.on('error', () => undefined);
    bad.write(line);
    await closed;
    t.equal((await good.ask('moment', { text: 'ab' })).txid, '2');
    good.close();
  });
}

t.test('lines are put together from any pieces', async (t) => {
  const lines: string[] = [];
  const splitter = new LineSplitter(10, (line) => lines.push(line));
  for (const piece of ['a', 'b\nc\n', '\n', 'é'.slice(0), 'f\ng']) splitter.push(Buffer.from(piece));
  t.strictSame(lines, ['ab', 'c', '', 'éf']);
  t.throws(() => splitter.push(Buffer.from('0123456789')), RangeError);
});
