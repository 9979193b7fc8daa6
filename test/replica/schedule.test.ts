/** When backups run: forms of schedules, time zones, clock changes, silence, windows. */
import t from 'tap';
import { isInWindow, nextAfter, parseSchedule, ScheduleError, silentFrom } from '../../replica/schedule.js';

const at = (text: string): number => Date.parse(text);
const next = (schedule: string, zone: string, after: string): string => new Date(nextAfter(parseSchedule(schedule, zone), at(after))!).toISOString();

await t.test('every form comes when it says', async (t) => {
  const table: readonly (readonly [schedule: string, zone: string, after: string, expected: string])[] = [
    ['0 0 * * *', 'UTC', '2026-11-22T07:00:00Z', '2026-11-23T00:00:00.000Z'],
    ['Mon 06:00', 'Europe/Berlin', '2026-11-22T07:00:00Z', '2026-11-23T05:00:00.000Z'],
    ['mon,Thu 6:30', 'UTC', '2026-11-23T06:30:00Z', '2026-11-26T06:30:00.000Z'],
    ['Mon-Fri 18:00', 'UTC', '2026-11-20T18:00:00Z', '2026-11-23T18:00:00.000Z'],
    ['06:00', 'UTC', '2026-11-22T07:00:00Z', '2026-11-23T06:00:00.000Z'],
    ['daily 23:59', 'UTC', '2026-11-22T07:00:00Z', '2026-11-22T23:59:00.000Z'],
    ['hourly', 'UTC', '2026-11-22T07:00:00Z', '2026-11-22T08:00:00.000Z'],
    // Clocks go forward: 02:30 is not there, and comes right after. They go back: 02:30 comes once.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-29T01:00:00.000Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00.000Z'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00.000Z'],
    // The same time of day before and after.
    ['06:00', 'Europe/Berlin', '2026-03-28T12:00:00Z', '2026-03-29T04:00:00.000Z'],
    ['06:00', 'Europe/Berlin', '2026-03-27T12:00:00Z', '2026-03-28T05:00:00.000Z'],
  ];
  for (const [schedule, zone, after, expected] of table) t.equal(next(schedule, zone, after), expected, `${schedule} in ${zone} after ${after}`);
  t.equal(nextAfter(parseSchedule('continuous'), 0), undefined);
  t.equal(nextAfter(parseSchedule('on-plug'), 0), undefined);
});

await t.test('what cannot be read is refused, with what can', async (t) => {
  for (const text of ['', 'sometimes', '99 0 * * *', 'Mun 06:00', 'Mon 25:00', '0 0 31 2 *']) {
    try {
      parseSchedule(text);
      t.fail(`"${text}" was taken`);
    } catch (error) {
      t.ok(error instanceof ScheduleError, String(error));
      t.match((error as Error).message, /cannot be read.*write it like "0 0 \* \* \*", "Mon 06:00"/);
    }
  }
  t.throws(() => parseSchedule('06:00', 'Europe/Nowhere'), /is no time zone/);
});

await t.test('silence begins at twice the interval, and not over a weekend', async (t) => {
  const silent = (schedule: string, last: string): string => new Date(silentFrom(parseSchedule(schedule, 'UTC'), at(last))!).toISOString();
  t.equal(silent('hourly', '2026-11-22T07:00:00Z'), '2026-11-22T09:00:00.000Z');
  t.equal(silent('06:00', '2026-11-22T06:00:00Z'), '2026-11-24T06:00:00.000Z');
  t.equal(silent('Mon-Fri 18:00', '2026-11-20T18:00:00Z'), '2026-11-24T18:00:00.000Z');
  t.equal(silentFrom(parseSchedule('on-plug'), 0), undefined);
});

await t.test('a window may go over midnight', async (t) => {
  const inside = (window: string, time: string): boolean => isInWindow(window, at(time), 'UTC');
  t.strictSame(['21:59', '22:00', '23:59', '00:00', '05:59', '06:00', '12:00'].map((time) => inside('22:00-06:00', `2026-11-22T${time}:00Z`)), [false, true, true, true, true, false, false]);
  t.strictSame(['07:59', '08:00', '16:59', '17:00'].map((time) => inside('08:00-17:00', `2026-11-22T${time}:00Z`)), [false, true, true, false]);
});
