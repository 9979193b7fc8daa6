/** When an alarm is told: tables of verdicts over time and the events that follow. */
import t from 'tap';
import { defaultLimits, rules } from '../../engine/alarm-rules.js';
import type { AlarmName, Verdict } from '../../engine/alarm-rules.js';
import { acknowledge, firstMemory, step } from '../../engine/alarm-states.js';
import type { AlarmMemory } from '../../engine/alarm-states.js';

const minute = 60_000;
const hour = 60 * minute;
const bad = (weight = 0): Verdict => ({ state: 'bad', what: `weight ${weight}`, weight });
const good: Verdict = { state: 'good' };
const fair: Verdict = { state: 'fair' };
const count = (number: number, isSure = true): Verdict => ({ state: 'count', what: `${number} of them`, count: number, isSure });

/** Plays verdicts at times; gives "time:event" for each event, times in minutes. Each step survives a restart. */
function play(name: AlarmName, verdicts: readonly (readonly [atMinutes: number, verdict: Verdict | 'acknowledge'])[]): string[] {
  const events: string[] = [];
  let memory: AlarmMemory = firstMemory;
  for (const [atMinutes, verdict] of verdicts) {
    if (verdict === 'acknowledge') {
      memory = acknowledge(memory);
      continue;
    }
    const done = step(memory, verdict, rules[name], { nowMs: 1e12 + atMinutes * minute, limits: defaultLimits });
    memory = JSON.parse(JSON.stringify(done.memory)) as AlarmMemory;
    if (done.event !== undefined) events.push(`${atMinutes}:${done.event}`);
  }
  return events;
}

/** A verdict each minute. */
const each = (from: number, to: number, verdict: Verdict): [number, Verdict][] => Array.from({ length: to - from }, (_, index) => [from + index, verdict]);

t.test('what is bad for a short time is no alarm', async (t) => {
  t.same(play('index-lag', [...each(0, 4, bad()), ...each(4, 20, good)]), []);
  t.same(play('index-lag', [...each(0, 4, bad()), [4, fair], ...each(5, 9, bad())]), [], 'it must last');
});

t.test('what lasts is told once, and its end once it has lasted', async (t) => {
  t.same(play('index-lag', [...each(0, 60, bad()), ...each(60, 90, good)]), ['5:raised', '61:ended']);
});

t.test('what goes to and fro is one alarm', async (t) => {
  const flapping = Array.from({ length: 600 }, (_, index): [number, Verdict] => [10 + index / 2, index % 2 === 0 ? good : bad()]);
  t.same(play('index-lag', [...each(0, 10, bad()), ...flapping, ...each(320, 330, good)]), ['5:raised', '321:ended']);
  t.same(play('disk', [[0, bad()], ...each(1, 500, fair), [501, bad()], ...each(502, 520, good)]), ['0:raised', '512:ended'], 'between bad and good it stays');
});

t.test('it is repeated daily while it lasts', async (t) => {
  t.same(play('scrub', each(0, 3 * 24 * 60, bad(1))), ['0:raised', '1440:repeated', '2880:repeated']);
});

t.test('what is acknowledged is not repeated, but told when it gets worse, and its end', async (t) => {
  t.same(play('scrub', [[0, bad(1)], [1, 'acknowledge'], ...each(2, 2000, bad(1)), [2001, bad(2)], [2002, bad(3)], ...each(2003, 2080, bad(3)), [2080, good]]), ['0:raised', '2001:worse', '2061:worse', '2080:ended']);
  t.same(play('scrub', [[0, 'acknowledge'], [1, bad(1)]]), ['1:raised'], 'what is not raised cannot be acknowledged');
});

t.test('what is counted is told when it grows, and ends after a quiet day', async (t) => {
  t.same(play('external', [[0, count(0)], [1, count(2)], [2, count(2)], [3, count(3)], [70, count(3)], ...each(71, 1520, count(3)), [1600, count(3)]]), ['1:raised', '70:worse', '1511:ended']);
  t.same(play('external', [[0, count(2)], ...each(1, 1500, count(2)), [1600, count(2)], [1700, count(3)]]), ['0:raised', '1441:ended', '1700:raised']);
});

t.test('an index that is made anew counts from zero, and tells nothing twice', async (t) => {
  t.same(play('gap', [[0, count(2)], ...each(1, 1500, count(2)), [1501, count(0, false)], [1502, count(1, false)], [1503, count(2)]]), ['0:raised', '1441:ended']);
});

t.test('a clock that is set back neither raises nor loses an alarm', async (t) => {
  t.same(play('index-lag', [[100, bad()], [0, bad()], [4, bad()], [5, bad()]]), ['5:raised']);
  t.same(play('index-lag', [[0, bad()], [5, bad()], [6, good], [-100, good], [-99, good]]), ['5:raised', '-99:ended']);
});

t.test('an hour lies between two words about what gets worse', async (t) => {
  const told = play('scrub', Array.from({ length: 200 }, (_, index): [number, Verdict] => [index, bad(index + 1)]));
  t.same(told, ['0:raised', '60:worse', '120:worse', '180:worse']);
  t.equal(hour, 3_600_000);
});
