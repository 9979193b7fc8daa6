/** What is worth an alarm: a table of readings and verdicts for each rule. */
import t from 'tap';
import { alarmNames, defaultLimits, rules } from '../../engine/alarm-rules.js';
import type { AlarmName, Reading } from '../../engine/alarm-rules.js';

const mebibyte = 1 << 20;
const well: Reading = {
  atMs: 1_000_000, logEnd: 1000 * mebibyte, logDurable: 1000 * mebibyte, indexReadUpTo: 1000 * mebibyte, damagedRegions: 0, gaps: 0, externalTransactions: 0, transactions: 0,
  scrubFaults: 0, scrubFailure: undefined, verifyFaults: undefined, massChange: undefined, backups: { complaints: [] }, pair: { complaints: [] }, freeBytes: 500e9, totalBytes: 1000e9, room: 'enough', fullInDays: undefined,
};

type Row = readonly [what: string, rule: AlarmName, reading: Partial<Reading>, before: Partial<Reading> | undefined, state: string, words?: RegExp];

const table: readonly Row[] = [
  ['a lag under the limit that gets smaller', 'index-lag', { indexReadUpTo: 990 * mebibyte }, { indexReadUpTo: 980 * mebibyte }, 'good'],
  ['a lag over the limit, though it gets smaller', 'index-lag', { indexReadUpTo: 700 * mebibyte }, { indexReadUpTo: 600 * mebibyte }, 'bad', /300\.0 MiB of log behind/],
  ['a lag between half the limit and the limit', 'index-lag', { indexReadUpTo: 800 * mebibyte }, { indexReadUpTo: 790 * mebibyte }, 'fair'],
  ['an index that stands still behind the log', 'index-lag', { indexReadUpTo: 999 * mebibyte }, { indexReadUpTo: 999 * mebibyte }, 'bad', /stands still/],
  ['an index that stands still with the log', 'index-lag', {}, {}, 'good'],
  ['an index behind at the first look', 'index-lag', { indexReadUpTo: 999 * mebibyte }, undefined, 'good'],
  ['records that wait, the log going on', 'log-sync', { logDurable: 999 * mebibyte }, { logDurable: 998 * mebibyte }, 'good'],
  ['records that wait, the log standing', 'log-sync', { logDurable: 999 * mebibyte }, { logDurable: 999 * mebibyte }, 'bad', /1\.0 MiB of it wait/],
  ['nothing waits', 'log-sync', {}, {}, 'good'],
  ['no fault found by the scrub', 'scrub', {}, undefined, 'good'],
  ['a fault found by the scrub', 'scrub', { scrubFaults: 1 }, undefined, 'bad', /found 1 fault in/],
  ['a scrub that cannot read', 'scrub', { scrubFailure: 'EIO' }, undefined, 'bad', /cannot go on: EIO/],
  ['no verify yet', 'verify', {}, undefined, 'fair'],
  ['a clean verify', 'verify', { verifyFaults: 0 }, undefined, 'good'],
  ['faults of verify', 'verify', { verifyFaults: 3 }, undefined, 'bad', /found 3 faults/],
  ['damage in the log', 'damage', { damagedRegions: 2 }, undefined, 'bad', /2 damaged regions/],
  ['no damage, as far as an index that is being made anew knows', 'damage', { indexReadUpTo: 10 }, undefined, 'fair'],
  ['no damage', 'damage', {}, undefined, 'good'],
  ['gaps are counted', 'gap', { gaps: 2 }, undefined, 'count', /2 gaps/],
  ['changes past the mount are counted', 'external', { externalTransactions: 4 }, undefined, 'count', /4 such transactions/],
  ['no mass change', 'mass-change', {}, undefined, 'good'],
  ['a mass change an hour ago', 'mass-change', { atMs: 3_600_001, massChange: { serial: 3, atMs: 1, what: 'sixty files', remedy: 'restore' } }, undefined, 'bad', /sixty/],
  ['a mass change a day ago', 'mass-change', { atMs: 86_400_001, massChange: { serial: 3, atMs: 1, what: 'sixty files', remedy: 'restore' } }, undefined, 'good'],
  ['backups without a complaint', 'backup', {}, {}, 'good'],
  ['a standby that lags', 'pair', { pair: { complaints: ['b is 90 s behind'] } }, {}, 'bad', /b is 90 s behind/],
  ['a backup that failed', 'backup', { backups: { complaints: ['the backup d failed: no space'] } }, {}, 'bad', /the backup d failed: no space/],
  ['a disk with room', 'disk', {}, undefined, 'good'],
  ['a disk full in two days', 'disk', { fullInDays: 2 }, undefined, 'bad', /full in 2\.0 days/],
  ['a disk full in eight days, the limit being seven', 'disk', { fullInDays: 8 }, undefined, 'fair'],
  ['a disk full in nine days', 'disk', { fullInDays: 9 }, undefined, 'good'],
  ['a disk with one per cent left, filling or not', 'disk', { freeBytes: 10e9 }, undefined, 'bad', /all but full/],
  ['a disk with a little more than the limit', 'disk', { freeBytes: 22e9 }, undefined, 'fair'],
  ['one per cent of a large disk', 'disk', { freeBytes: 200e9, totalBytes: 20e12 }, undefined, 'good'],
];

t.test('every rule has rows', async (t) => {
  for (const name of alarmNames) t.ok(table.some(([, rule]) => rule === name), name);
});

for (const [what, rule, reading, before, state, words] of table) {
  t.test(`${rule}: ${what}`, async (t) => {
    const verdict = rules[rule].judge({ ...well, ...reading }, before === undefined ? undefined : { ...well, ...before }, defaultLimits);
    t.equal(verdict.state, state);
    if (words !== undefined) t.match('what' in verdict ? verdict.what : '', words);
  });
}
