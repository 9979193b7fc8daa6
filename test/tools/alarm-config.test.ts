/** The configuration of the alarms: what is accepted, what is refused with nothing changed, and the digest's time and words. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { firstScrubState } from '../../engine/scrub-state.js';
import { changeConfig, changeSchema, defaultConfig, keepConfig, readConfig, sinkLabel, sinkName } from '../../tools/alarms/config.js';
import type { Sink } from '../../tools/alarms/config.js';
import { digestLines, isDigestDue } from '../../tools/alarms/digest.js';
import { keepMemory, readMemory } from '../../tools/alarms/memory.js';
import { durationText } from '../../tools/alarms/shown.js';
import { completeSink, parseSinkName, parseSmtp } from '../../tools/alarms/sink-argument.js';
import { parseDuration, parseListen, parseNumber, parseSize, parseTimeOfDay } from '../../tools/arguments.js';
import { makePlace, removePlace } from '../support/places.js';

const webhook: Sink = { type: 'webhook', url: 'https://hooks.example.org/secret', digest: true };

function store(t: Test): string {
  const place = makePlace();
  t.teardown(() => removePlace(place));
  return place;
}

t.test('changes are kept whole, for the owner alone, and read back', async (t) => {
  const place = store(t);
  t.same(readConfig(place), defaultConfig, 'the defaults where nothing was chosen');
  const config = changeConfig(changeConfig(defaultConfig, { add: webhook }), { limits: { diskDays: 3 }, scrub: { roundMs: 5000 }, digestAt: '23:59' });
  keepConfig(place, config);
  t.same(readConfig(place), config);
  t.equal(statSync(join(place, 'alarms.json')).mode & 0o777, 0o600);
  t.match(config, { limits: { diskDays: 3, diskFreePercent: defaultConfig.limits.diskFreePercent }, scrub: { bytesPerSecond: defaultConfig.scrub.bytesPerSecond } });
});

t.test('a sink of the same name is replaced, one that is not there cannot be removed', async (t) => {
  const twice = changeConfig(changeConfig(defaultConfig, { add: webhook }), { add: { ...webhook, digest: false } });
  t.same(twice.sinks.map(({ type, digest }) => [type, digest]), [['log', false], ['webhook', false]]);
  t.same(changeConfig(twice, { remove: sinkName(webhook) }).sinks.map(({ type }) => type), ['log']);
  t.throws(() => changeConfig(twice, { remove: 'mail:a@b' }), { code: 'EINVAL', message: /no sink mail:a@b; there are: log, webhook:/ });
  t.same(changeConfig(twice, { remove: 'log', add: { type: 'log', digest: true } }).sinks.at(-1), { type: 'log', digest: true });
  let many = defaultConfig;
  for (let index = 1; index < 20; index += 1) many = changeConfig(many, { add: { type: 'command', path: `/${index}`, digest: false } });
  t.throws(() => changeConfig(many, { add: webhook }), { message: /20 sinks already; remove one/ });
  t.equal(sinkLabel(webhook), 'webhook:https://hooks.example.org', 'the log has no secret path');
});

t.test('a file that is no good is refused with its fault, and left alone', async (t) => {
  const place = store(t);
  for (const [text, what] of [
    ['', /not what it should be/], ['{', /not what it should be/], ['{"format":1}', /at checkEveryMs/],
    [JSON.stringify({ ...defaultConfig, format: 2 }), /at format/], [JSON.stringify({ ...defaultConfig, sinks: [{ type: 'pager' }] }), /at sinks\.0\.type/],
    [JSON.stringify({ ...defaultConfig, extra: 1 }), /extra/],
  ] as const) {
    writeFileSync(join(place, 'alarms.json'), text);
    t.throws(() => readConfig(place), { code: 'EINVAL', message: what }, text);
    t.equal(readFileSync(join(place, 'alarms.json'), 'utf8'), text);
  }
});

t.test('what the daemon is asked is checked again', async (t) => {
  for (const change of [
    { add: { type: 'webhook', url: 'ftp://example.org', digest: false } }, { add: { type: 'webhook', url: 'https://a:b@example.org', digest: false } },
    { add: { type: 'command', path: 'relative', digest: false } }, { add: { type: 'mail', to: 'a@b, c@d', from: 'a@b', smtp: 'smtp://x', digest: false } },
    { add: { type: 'mail', to: 'a@b', from: 'a@b\nBcc: c@d', smtp: 'smtp://x', digest: false } }, { add: { type: 'mail', to: 'a@b', from: 'a@b', smtp: 'smtp://u:p@x', digest: false } },
    { limits: { indexLagBytes: 1 } }, { digestAt: '24:00' }, { checkEveryMs: 10 }, { format: 1 },
  ]) t.notOk(changeSchema.safeParse(change).success, JSON.stringify(change));
  t.ok(changeSchema.safeParse({ add: webhook, limits: { diskDays: 0.5 } }).success);
});

t.test('sinks as they are typed', async (t) => {
  t.same(parseSinkName('log'), { type: 'log' });
  t.same(parseSinkName('https://example.org/x'), { type: 'webhook', url: 'https://example.org/x' });
  t.same(parseSinkName('command:/bin/a b'), { type: 'command', path: '/bin/a b' });
  for (const text of ['pager', '', 'mail:', 'mail:x', 'mail:a@b c@d', 'webhook:x', 'webhook:file:///etc/passwd', 'https://u:p@example.org', 'command:']) t.throws(() => parseSinkName(text), { code: 'commander.invalidArgument' }, text);
  for (const text of ['http://x', 'smtp://', 'smtp://u:p@x', 'mail.example.org']) t.throws(() => parseSmtp(text), { code: 'commander.invalidArgument' }, text);
});

t.test('what a sink names is looked at before it is accepted', async (t) => {
  const place = store(t);
  const file = (name: string, mode: number): string => {
    writeFileSync(join(place, name), 'x', { mode });
    return join(place, name);
  };
  const password = file('password', 0o600);
  mkdirSync(join(place, 'directory'));
  const mail = { type: 'mail', to: 'a@b' } as const;
  t.match(completeSink(mail, { smtp: 'smtp://u@h', passwordFile: password, digest: true }), { to: 'a@b', passwordFile: password, digest: true });
  t.match(completeSink(mail, {}), { smtp: 'smtp://localhost', from: /^tidemark@/ });
  t.throws(() => completeSink(mail, { smtp: 'smtp://u@h' }), { message: /where the password is/ });
  t.throws(() => completeSink(mail, { smtp: 'smtp://h', passwordEnv: 'X' }), { message: /no use without a user/ });
  t.throws(() => completeSink(mail, { smtp: 'smtp://u@h', passwordEnv: 'X', passwordFile: password }), { message: /exclude each other/ });
  t.throws(() => completeSink(mail, { smtp: 'smtp://u@h', passwordFile: file('open', 0o644) }), { message: /can be read by others/, remedy: /chmod 600/ });
  t.throws(() => completeSink(mail, { smtp: 'smtp://u@h', passwordFile: join(place, 'none') }), { message: /cannot be found \(ENOENT\)/ });
  t.throws(() => completeSink({ type: 'log' }, { from: 'a@b' }), { message: /belong to --add-sink mail/ });
  t.throws(() => completeSink({ type: 'command', path: file('plain', 0o644) }, {}), { message: /cannot be executed/, remedy: /chmod \+x/ });
  t.throws(() => completeSink({ type: 'command', path: join(place, 'directory') }, {}), { message: /is not a file/ });
});

t.test('arguments with units', async (t) => {
  t.same([parseDuration('30s'), parseDuration('1.5h'), parseDuration('7d')], [30_000, 5_400_000, 604_800_000]);
  for (const text of ['7', '0.1s', 'x', '-5m', '9999d']) t.throws(() => parseDuration(text), { code: 'commander.invalidArgument' }, text);
  t.same([parseSize('512K'), parseSize('1.5M'), parseSize('2G')], [524_288, 1_572_864, 2 ** 31]);
  for (const text of ['7', '1MB', '', '99999999T']) t.throws(() => parseSize(text), { code: 'commander.invalidArgument' }, text);
  t.same(parseListen('9464'), { address: '127.0.0.1', port: 9464 });
  t.same(parseListen('[::1]:80'), { address: '::1', port: 80 });
  for (const text of ['0', '65536', 'x:80', '1.2.3:80', ':80', '[::1]', '::1']) t.throws(() => parseListen(text), { code: 'commander.invalidArgument' }, text);
  t.throws(() => parseNumber('-1'));
  t.throws(() => parseTimeOfDay('7:00'));
  t.same([90_000, 300_000, 604_800_000, 1500].map(durationText), ['90s', '5m', '7d', '1.5s']);
});

t.test('the digest is due once a day at its time', async (t) => {
  const at = (day: number, hour: number, minute = 0): number => new Date(2026, 10, day, hour, minute).getTime();
  for (const [last, now, due] of [
    [at(22, 7), at(22, 23), false], [at(22, 7), at(23, 6, 59), false], [at(22, 7), at(23, 7), true], [at(22, 6, 59), at(22, 7), true],
    [at(22, 12), at(23, 7, 5), true], [at(1, 7), at(22, 3), true], [at(22, 7, 1), at(22, 7, 2), false], [at(23, 7), at(22, 9), false],
  ] as const) t.equal(isDigestDue(last, now, '07:00'), due, `${new Date(last).toISOString()} → ${new Date(now).toISOString()}`);
});

t.test('the digest says what has changed', async (t) => {
  const facts = { nowMs: 0, transactions: 1300, historyBytes: 3 << 20, freeBytes: 5e9, fullInDays: 12.3, scrub: firstScrubState(0), scrubProgress: 0.5, raised: ['the disk'] };
  t.match(digestLines(facts, { atMs: 0, transactions: 60, historyBytes: 1 << 20, told: ['then: raised: the disk'] }), [
    /: 1,240 transactions$/, 'history: 3.0 MiB (+2.0 MiB)', /full in 12 days/, 'scrub: 50 % of this round, no whole round yet, no faults', 'alarm: the disk', 'told: then: raised: the disk',
  ]);
  t.match(digestLines({ ...facts, raised: [], fullInDays: undefined }, { atMs: 0, transactions: 1300, historyBytes: 4 << 20, told: [] }), [/: 0 transactions$/, /\(-1\.0 MiB\)/, /not filling/, /^scrub/, 'alarms: none']);
  t.equal(digestLines(facts, { atMs: 0, transactions: 0, told: [] })[1], 'history: 3.0 MiB', 'the first one knows of no growth');
});

t.test('what is remembered is read back; what cannot be read is forgotten', async (t) => {
  const place = store(t);
  t.same(readMemory(place), { alarms: {}, samples: [] });
  const memory = { alarms: { disk: { raisedAtMs: 1, toldAtMs: 2, weight: 0, what: 'x', goodSinceMs: undefined } }, samples: [{ atMs: 1, freeBytes: 2 }], digest: { atMs: 1, transactions: 2, historyBytes: 3, told: ['x'] } };
  await keepMemory(place, memory);
  t.match(readMemory(place), { alarms: { disk: { raisedAtMs: 1, what: 'x' } }, samples: memory.samples, digest: memory.digest });
  for (const text of ['', '{"format":1}', '{"format":1,"alarms":{"x":{}},"samples":[]}']) {
    writeFileSync(join(place, 'alarm-state.json'), text);
    t.same(readMemory(place), { alarms: {}, samples: [] }, text);
  }
});
