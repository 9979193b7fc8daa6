/** Sinks against real programs and servers: each gets the message, is tried again where that helps, and harms no other. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import type { Logger } from 'pino';
import t from 'tap';
import type { Test } from 'tap';
import type { Sink } from '../../tools/alarms/config.js';
import { Courier } from '../../tools/alarms/courier.js';
import { Dispatcher } from '../../tools/alarms/dispatcher.js';
import type { SinkResult } from '../../tools/alarms/dispatcher.js';
import { alarmMessage } from '../../tools/alarms/message.js';
import type { Message } from '../../tools/alarms/message.js';
import { makePlace, removePlace } from '../support/places.js';
import { SmtpServer } from '../support/smtp-server.js';

t.setTimeout(120_000);

const nowMs = Date.UTC(2026, 10, 23);
const message: Message = alarmMessage({ host: 'host', volume: '/srv/$(touch /tmp/tidemark-injected)\n"`x`' }, { event: 'raised', alarm: 'disk', what: 'the disk is full', remedy: 'make room', sinceMs: nowMs }, nowMs);

/** A directory and a dispatcher whose log lands in `lines`. */
function setUp(t: Test): { place: string; logger: Logger; courier: Courier; dispatcher: Dispatcher; lines: Record<string, unknown>[]; send: (sink: Sink) => Promise<SinkResult | undefined> } {
  const place = makePlace();
  t.teardown(() => removePlace(place));
  const lines: Record<string, unknown>[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const courier = new Courier();
  t.teardown(() => { courier.close(); });
  const dispatcher = new Dispatcher(logger, courier);
  return { place, logger, courier, dispatcher, lines, send: async (sink) => (await dispatcher.send([sink], message))[0] };
}

function program(place: string, name: string, script: string): Sink {
  const path = join(place, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { type: 'command', path, digest: false };
}

async function httpServer(t: Test, handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

void t.test('a command gets the message as JSON, no arguments, and nothing of the environment that is not its business', async (t) => {
  process.env['TEST_PASSWORD'] = 'secret';
  t.teardown(() => { delete process.env['TEST_PASSWORD']; });
  const { place, send } = setUp(t);
  const sink = program(place, 'a program', `cd '${place}'; cat > got; echo "$#" > count; env > environment; umask > umask`);
  t.match(await send(sink), { tries: 1 });
  t.same(JSON.parse(readFileSync(join(place, 'got'), 'utf8')), message);
  t.equal(readFileSync(join(place, 'count'), 'utf8'), '0\n');
  t.notMatch(readFileSync(join(place, 'environment'), 'utf8'), /secret|TEST_/);
  t.match(readFileSync(join(place, 'umask'), 'utf8'), /77$/m, 'what it makes is its own');
  t.notOk(existsSync('/tmp/tidemark-injected'), 'no shell has seen the message');
  t.notMatch(message.text, /\n/, 'what it says is one line');
});

void t.test('a command that fails, and one that is not there, are told at once', async (t) => {
  const { place, send, lines } = setUp(t);
  t.match(await send(program(place, 'fails', 'echo one >&2; echo "the pager is off" >&2; exit 3')), { error: /ended with status 3: the pager is off/ });
  t.match(await send({ type: 'command', path: join(place, 'none'), digest: false }), { error: /cannot be started \(ENOENT\)/ });
  mkdirSync(join(place, 'directory'));
  t.match(await send({ type: 'command', path: join(place, 'directory'), digest: false }), { error: /cannot be started \(EACCES\)/ });
  t.equal(lines.filter(({ msg }) => msg === 'alarm not sent').length, 3, 'and said in the log');
});

void t.test('a webhook that fails twice and then answers is tried three times', async (t) => {
  const { send } = setUp(t);
  const bodies: unknown[] = [];
  const times: number[] = [];
  const url = await httpServer(t, (request, response) => {
    times.push(performance.now());
    void text(request).then((body) => {
      bodies.push(JSON.parse(body));
      response.writeHead(bodies.length < 3 ? 503 : 204).end();
    });
  });
  t.match(await send({ type: 'webhook', url: `${url}/hook?key=1`, digest: false }), { tries: 3 });
  t.same(bodies, [message, message, message]);
  t.ok(times[2]! - times[1]! > 2 * (times[1]! - times[0]!), 'with growing pauses');
});

void t.test('a webhook that refuses is not tried again, and its secret path is not in the log', async (t) => {
  const { send, lines } = setUp(t);
  let count = 0;
  const url = await httpServer(t, (request, response) => {
    count += 1;
    response.writeHead(request.url === '/moved' ? 301 : 404, { location: 'https://elsewhere.example/' }).end();
  });
  t.match(await send({ type: 'webhook', url: `${url}/secret`, digest: false }), { error: 'answered 404' });
  t.match(await send({ type: 'webhook', url: `${url}/moved`, digest: false }), { error: /moved to https:\/\/elsewhere/ });
  t.equal(count, 2);
  t.notMatch(JSON.stringify(lines), /secret/);
});

void t.test('mail goes out with the password of a file, or of the environment', async (t) => {
  process.env['TEST_PASSWORD'] = 'hünter2';
  t.teardown(() => { delete process.env['TEST_PASSWORD']; });
  const { place, send, lines } = setUp(t);
  const server = await SmtpServer.start({ user: 'tide mark', password: 'hünter2' });
  t.teardown(() => server.close());
  const file = join(place, 'password');
  writeFileSync(file, 'hünter2\n', { mode: 0o600 });
  const sink = { type: 'mail', to: 'admin@example.org', from: 'tidemark@example.org', smtp: `smtp://tide%20mark@127.0.0.1:${server.port}`, digest: false } as const;
  t.match(await send({ ...sink, passwordFile: file }), { tries: 1 });
  t.match(await send({ ...sink, passwordVariable: 'TEST_PASSWORD' }), { tries: 1 });
  t.equal(server.received.length, 2);
  const [mail] = server.received;
  t.match(mail, { from: /<tidemark@example.org>/, to: /<admin@example.org>/, data: /^Subject: .*tidemark.*host/m });
  t.match(mail?.data, /make room/);
  t.match(mail?.data, /^Auto-Submitted: auto-generated$/m);

  writeFileSync(file, 'wrong');
  t.match(await send({ ...sink, passwordFile: file }), { error: /535 wrong password/ });
  chmodSync(file, 0o644);
  t.match(await send({ ...sink, passwordFile: file }), { error: /can be read by others; chmod 600/ });
  t.match(await send({ ...sink, passwordFile: join(place, 'none') }), { error: /cannot be read \(ENOENT\)/ });
  t.match(await send({ ...sink, passwordVariable: 'NOT_SET_ANYWHERE' }), { error: /NOT_SET_ANYWHERE is set in the daemon's environment/ });
  t.equal(server.received.length, 2);
  t.notMatch(JSON.stringify(lines), /hünter2|h\\u00fcnter2/, 'the password is in no log');
});

void t.test('mail without a password, and to somebody who is not there', async (t) => {
  const { send } = setUp(t);
  const server = await SmtpServer.start();
  t.teardown(() => server.close());
  const sink = { type: 'mail', to: 'admin@example.org', from: 'tidemark@example.org', smtp: `smtp://127.0.0.1:${server.port}`, digest: false } as const;
  t.match(await send(sink), { tries: 1 });
  t.match(await send({ ...sink, to: 'nobody@example.org' }), { error: /550 no such user/ });
  t.equal(server.received.length, 1);
});

void t.test('a sink that hangs delays no other, and a sink gets its messages in order', async (t) => {
  const { place, dispatcher } = setUp(t);
  const slow = program(place, 'slow', 'sleep 5');
  const quick = program(place, 'quick', `cat >> '${place}/got'`);
  let isSlowDone = false;
  const slowly = dispatcher.send([slow], message).finally(() => { isSlowDone = true; });
  const texts = ['one', 'two', 'three', 'four'];
  const results = await Promise.all(texts.map((what) => dispatcher.send([quick], { ...message, text: what })));
  t.notOk(isSlowDone, 'the quick one is done before the slow one');
  t.ok(results.flat().every(({ error }) => error === undefined));
  t.same(readFileSync(join(place, 'got'), 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as Message).text), texts);
  t.match(await slowly, [{ tries: 1 }]);
});

void t.test('too many messages for a sink are dropped, and that is said', async (t) => {
  const { place, lines, logger, courier } = setUp(t);
  const dispatcher = new Dispatcher(logger, courier, 3);
  const slow = program(place, 'slow', 'exit 0');
  const results = (await Promise.all(Array.from({ length: 5 }, () => dispatcher.send([slow], message)))).flat();
  t.equal(results.filter(({ error }) => error !== undefined).length, 2);
  t.match(lines.find(({ msg }) => msg === 'alarm not sent'), { error: /3 messages wait/ });
});
