/**
 * Moments as people write them, as a table; and the way back.
 */
import t from 'tap';
import { formatMoment, localTime, readMoment } from '../../engine/moments.js';
import type { Moment } from '../../engine/moments.js';

const second = 1_000_000_000n;
/** 2026-11-22T07:00:00.5Z */
const nowNs = 1_795_330_800_500_000_000n;
const noon = 1_795_330_800n * second;

function whole(startNs: bigint): Moment {
  return { startNs, timeNs: startNs + second - 1n };
}

function exact(timeNs: bigint): Moment {
  return { startNs: timeNs, timeNs };
}

function local(...parts: [number, number, number, number, number, number]): bigint {
  const [year, month, ...rest] = parts;
  return BigInt(new Date(year, month - 1, ...rest).getTime()) * 1_000_000n;
}

const readable: readonly [string, Moment][] = [
  ['2026-11-22T07-00-00Z', whole(noon)],
  ['2026-11-22T07:00:00Z', whole(noon)],
  ['2026-11-22 07:00:00z', whole(noon)],
  ['2026-11-22T07-00-00.123456Z', exact(noon + 123_456_000n)],
  ['2026-11-22T07:00:00.000000001Z', exact(noon + 1n)],
  ['2026-11-22T07:00:00,5Z', exact(noon + 500_000_000n)],
  ['2026-11-22T08:00:00+01:00', whole(noon)],
  ['2026-11-22T01:30:00-0530', whole(noon)],
  ['2026-11-22T07:00Z', whole(noon)],
  ['2026-11-22T07-00-00', whole(local(2026, 11, 22, 7, 0, 0))],
  ['2026-11-22 07:00', whole(local(2026, 11, 22, 7, 0, 0))],
  ['2026-11-22', whole(local(2026, 11, 22, 0, 0, 0))],
  ['2024-02-29T00:00:00Z', whole(1_709_164_800n * second)],
  ['GMT-2026.11.22-07.00.00', whole(noon)],
  ['5m', exact(nowNs - 300n * second)],
  ['2h30m', exact(nowNs - 9000n * second)],
  ['1.5h', exact(nowNs - 5400n * second)],
  ['90s', exact(nowNs - 90n * second)],
  ['250ms', exact(nowNs - 250_000_000n)],
  ['1w2d', exact(nowNs - 9n * 86_400n * second)],
  ['0s', exact(nowNs)],
  ['now', exact(nowNs)],
  ['txn-1234', { txid: 1234n }],
  ['txn-0', { txid: 0n }],
];

const unreadable = [
  '', '5', 'm', '5x', '5m ', '-5m', 'tomorrow', 'Yesterday', 'txn-', 'txn--1', 'txn-1.5', '2026-13-01T00:00:00Z', '2026-02-30T00:00:00Z', '2025-02-29T00:00:00Z',
  '2026-11-22T24:00:00Z', '2026-11-22T07:60:00Z', '2026-11-22T07:00:60Z', '2026-11-22T07:00:00.Z', '2026-11-22T07:00:00.0000000001Z', '2026-11-22T07', '26-11-22',
  'GMT-2026.13.22-07.00.00', 'GMT-2026.11.22', '2026-11-22T07:00:00ZZ', 'before-upgrade', '..', '@5m',
];

void t.test('readable moments', async (t) => {
  for (const [text, moment] of readable) t.same(readMoment(text, nowNs), moment, text);
});

void t.test('unreadable moments', async (t) => {
  for (const text of unreadable) t.equal(readMoment(text, nowNs), undefined, JSON.stringify(text));
});

void t.test('yesterday is the same time of the day before, today its beginning, in local time', async (t) => {
  const yesterday = readMoment('yesterday', nowNs);
  const today = readMoment('today', nowNs);
  if (yesterday === undefined || today === undefined || 'txid' in yesterday || 'txid' in today) return t.fail('both are readable');
  const then = new Date(Number(yesterday.timeNs / 1_000_000n));
  const now = new Date(Number(nowNs / 1_000_000n));
  t.same([then.getHours(), then.getMinutes(), then.getMilliseconds()], [now.getHours(), now.getMinutes(), now.getMilliseconds()]);
  t.not(then.getDate(), now.getDate());
  t.equal(new Date(Number(today.timeNs / 1_000_000n)).getHours(), 0);
  return undefined;
});

void t.test('a moment that was written is read again', async (t) => {
  for (const timeNs of [0n, 1n, noon, noon + 999_999_999n, noon + 5n]) {
    t.same(readMoment(formatMoment(timeNs, 'nanosecond'), nowNs), exact(timeNs));
    const read = readMoment(formatMoment(timeNs, 'second'), nowNs);
    t.ok(read !== undefined && 'timeNs' in read && read.startNs <= timeNs && timeNs <= read.timeNs, `${timeNs}`);
    t.notMatch(formatMoment(timeNs, 'second'), ':', 'no colon: SMB clients mangle it');
  }
  t.same(readMoment(localTime(noon + 5_000_000n), nowNs), exact(noon + 5_000_000n), 'what people are told they can write');
});
