/** Names of moments, names that are hidden, names of faults. */
import { constants } from 'node:os';
import t from 'tap';
import { MomentError } from '../../engine/errors.js';
import { ErrnoError, errnoName, errnoOf } from '../../fs/errno.js';
import { compileExcludes } from '../../engine/excludes.js';
import { FaultLog } from '../../fs/fault-log.js';
import { kindOfName } from '../../fs/moment-name.js';
import { secondNs, sevenNs } from './setup.js';

t.test('a whole-second name is over when its second is', async (t) => {
  for (const name of ['2026-11-22T07-00-00Z', '2026-11-22T07:00:00Z', 'GMT-2026.11.22-07.00.00']) {
    t.equal(kindOfName(name, sevenNs), 'present', name);
    t.equal(kindOfName(name, sevenNs + secondNs - 1n), 'present', name);
    t.equal(kindOfName(name, sevenNs + secondNs), 'past', name);
  }
});

t.test('a name with a fraction is over right after it', async (t) => {
  t.equal(kindOfName('2026-11-22T07-00-00.5Z', sevenNs + secondNs / 2n), 'present');
  t.equal(kindOfName('2026-11-22T07-00-00.5Z', sevenNs + secondNs / 2n + 1n), 'past');
  t.equal(kindOfName('2026-11-22T07:00:00.000000001Z', sevenNs + 2n), 'past');
});

t.test('a name without Z is local time', async (t) => {
  const local = BigInt(new Date(2026, 10, 22, 7).getTime()) * 1_000_000n;
  t.equal(kindOfName('2026-11-22T07-00-00', local), 'present');
  t.equal(kindOfName('2026-11-22T07-00-00', local + secondNs), 'past');
});

t.test('relative names and pins move, a transaction does not, now is now', async (t) => {
  for (const name of ['5m', '2h30m', 'yesterday', 'today', 'before-upgrade', '', '1ms']) t.equal(kindOfName(name, sevenNs), 'moving', name);
  t.equal(kindOfName('txn-12', sevenNs), 'past');
  for (const name of ['now', '0s']) t.equal(kindOfName(name, sevenNs), 'present', name);
});

t.test('globs without a slash match names, those with one match paths', async (t) => {
  const excludes = compileExcludes(['*.tmp', 'cache[0-9]?', '/build/*.o', 'a\\*b', '[!x]y', 'naïve']);
  const hidden = (path: string): boolean => {
    const bytes = Buffer.from(path).toString('latin1');
    return excludes.hides(bytes.slice(bytes.lastIndexOf('/') + 1), bytes);
  };
  for (const path of ['a.tmp', 'deep/er/.tmp', 'cache1x', 'build/main.o', 'a*b', 'zy', 'naïve']) t.ok(hidden(path), path);
  for (const path of ['a.tmp2', 'cachexx', 'cache1', 'build/sub/main.o', 'x/build/main.o', 'aXb', 'xy', 'naive']) t.notOk(hidden(path), path);
});

t.test('classes are those of the shell', async (t) => {
  const cases: [string, string, boolean][] = [
    ['[[:digit:]]x', '7x', true], ['[[:digit:]]x', 'ax', false], ['[![:digit:]_]', 'a', true], ['[![:digit:]_]', '_', false],
    ['[]x]', ']', true], ['[]x]', 'y', false], ['[!]]', ']', false], ['[a-c]', 'b', true], ['[a-c]', '-', false], ['[[:punct:]]', ']', true], ['[^a]', 'b', true],
  ];
  for (const [glob, text, hides] of cases) t.equal(compileExcludes([glob]).hides(text, text), hides, `${glob} ${text}`);
});

t.test('no globs hide nothing, an open bracket is a bracket', async (t) => {
  t.notOk(compileExcludes([]).hides('a', 'a'));
  t.ok(compileExcludes(['a[b']).hides('a[b', 'a[b'));
  t.notOk(compileExcludes(['a.b']).hides('axb', 'axb'));
});

t.test('every fault has an errno, and only faults of the store are logged', async (t) => {
  t.same(errnoOf(new MomentError('unreadable', 'never')), { code: 'ENOENT', isFault: false });
  t.same(errnoOf(new ErrnoError('EACCES', 'no')), { code: 'EACCES', isFault: false });
  t.same(errnoOf(Object.assign(new Error('gone'), { code: 'ENOENT' })), { code: 'ENOENT', isFault: false });
  t.same(errnoOf(Object.assign(new Error('full'), { code: 'ENOSPC' })), { code: 'ENOSPC', isFault: true });
  t.same(errnoOf(Object.assign(new Error('crc'), { code: 'EDAMAGED' })), { code: 'EIO', isFault: true });
  t.same(errnoOf(new TypeError('a mistake')), { code: 'EIO', isFault: true });
  t.same(errnoOf('a string'), { code: 'EIO', isFault: true });
  t.same(errnoOf(undefined), { code: 'EIO', isFault: true });
});

t.test('errno numbers have names', async (t) => {
  t.equal(errnoName(constants.errno.EACCES), 'EACCES');
  t.equal(errnoName(99_999), 'EIO');
});

t.test('the same fault is told once a minute', async (t) => {
  const lines: string[] = [];
  let nowMs = 0;
  const faults = new FaultLog((line) => lines.push(line), () => nowMs);
  faults.tell('a');
  faults.tell('a');
  faults.tell('b');
  nowMs = 60_000;
  faults.tell('a');
  t.same(lines, ['a', 'b', 'a']);
});
