/** Times, sizes, modes and tables as commands print them. */
import t from 'tap';
import { counted, jsonArray, jsonTime, localTime, modeText, sizeText, table, typeText, userText } from '../../tools/format.js';
import { parseCount, parseInterval, parsePinName } from '../../tools/arguments.js';

t.test('JSON times have nine decimals, before 1970 too', async (t) => {
  t.equal(jsonTime(0n), '1970-01-01T00:00:00.000000000Z');
  t.equal(jsonTime(1_795_330_800_123_456_789n), '2026-11-22T07:00:00.123456789Z');
  t.equal(jsonTime(-1n), '1969-12-31T23:59:59.999999999Z');
});

t.test('people read local time', async (t) => {
  const date = new Date(2026, 10, 22, 8, 5, 9, 42);
  t.equal(localTime(BigInt(date.getTime()) * 1_000_000n + 999_999n), '2026-11-22 08:05:09.042');
});

t.test('sizes', async (t) => {
  t.equal(sizeText(0n), '0 B');
  t.equal(sizeText(1023n), '1023 B');
  t.equal(sizeText(1536n), '1.5 KiB');
  t.equal(sizeText(5n << 40n), '5.0 TiB');
  t.equal(counted(1, 'entry', 'entries'), '1 entry');
  t.equal(counted(1200, 'entry', 'entries'), '1,200 entries');
});

t.test('modes and types as ls shows them', async (t) => {
  t.equal(modeText(0o100644), '-rw-r--r--');
  t.equal(modeText(0o041777), 'drwxrwxrwt');
  t.equal(modeText(0o104755), '-rwsr-xr-x');
  t.equal(modeText(0o102644), '-rw-r-Sr--');
  t.equal(modeText(0o120777), 'lrwxrwxrwx');
  t.equal(typeText(0o010600), 'fifo');
  t.equal(typeText(0o140000), 'socket');
});

t.test('users have names where the system knows them', async (t) => {
  t.equal(userText(0), 'root');
  t.equal(userText(4_123_456_789), '4123456789');
});

t.test('tables and JSON arrays', async (t) => {
  t.equal(table([['a', '1', 'x'], ['bbb', '22', 'yy']], [1]), 'a     1  x\nbbb  22  yy\n');
  t.strictSame(JSON.parse(jsonArray([{ a: 1 }, { a: 2 }])), [{ a: 1 }, { a: 2 }]);
  t.strictSame(JSON.parse(jsonArray([])), []);
});

t.test('option values', async (t) => {
  t.equal(parseInterval('500ms'), 500);
  t.equal(parseInterval('1s'), 1000);
  t.equal(parseInterval('0.5s'), 500);
  t.equal(parseInterval('1m'), 60_000);
  for (const bad of ['', '1', '1h', '5ms', '2m', 's', '-1s']) t.throws(() => parseInterval(bad), { code: 'commander.invalidArgument' }, bad);
  t.equal(parseCount('12'), 12);
  for (const bad of ['0', '-1', '1.5', 'x', '99999999999999999999']) t.throws(() => parseCount(bad), { code: 'commander.invalidArgument' }, bad);
  t.equal(parsePinName('before the upgrade'), 'before the upgrade');
  for (const bad of ['', 'a/b', '@a', 'a\nb', 'x'.repeat(201)]) t.throws(() => parsePinName(bad), { code: 'commander.invalidArgument' }, bad);
});
