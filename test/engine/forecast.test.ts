/** When the disk will be full: a table of what was free and what follows from it. */
import t from 'tap';
import { daysUntilFull, historyReach, samplesMax, withSample } from '../../engine/forecast.js';
import type { SpaceSample } from '../../engine/forecast.js';

const hourMs = 3_600_000;
const gigabyte = 1e9;
const start = Date.UTC(2026, 10, 22);

/** One sample an hour; the last one is now. */
function hourly(count: number, freeAt: (hour: number) => number): { samples: SpaceSample[]; now: SpaceSample } {
  const all = Array.from({ length: count }, (_, hour) => ({ atMs: start + hour * hourMs, freeBytes: freeAt(hour) }));
  return { samples: all.slice(0, -1), now: all.at(-1)! };
}

for (const [what, count, freeAt, days] of [
  ['24 GB a day with 48 GB left', 25, (hour: number) => (72 - hour) * gigabyte, 2],
  ['the same, with room for a year', 25, (hour: number) => (8784 - hour) * gigabyte, 365],
  ['a night\'s backup each day', 169, (hour: number) => (400 - 20 * Math.floor(hour / 24)) * gigabyte, 13],
  ['nothing changes', 100, () => 50 * gigabyte, undefined],
  ['it becomes emptier', 100, (hour: number) => (50 + hour) * gigabyte, undefined],
  ['noise around nothing', 169, (hour: number) => (500 + (hour % 2)) * gigabyte, undefined],
  ['too short a time to know', 6, (hour: number) => (10 - hour) * gigabyte, undefined],
  ['further than ten years ahead', 25, (hour: number) => 1e15 - hour * 1e3, undefined],
  ['full', 25, (hour: number) => (24 - hour) * gigabyte, 0],
] as const) {
  t.test(`forecast: ${what}`, async (t) => {
    const { samples, now } = hourly(count, freeAt);
    const found = daysUntilFull(samples, now);
    if (days === undefined) t.equal(found, undefined);
    else t.ok(found !== undefined && Math.abs(found - days) <= days * 0.15 + 1e-9, `${found} days, ${days} expected`);
  });
}

const dayMs = 24 * hourMs;
for (const [what, count, bytesAt, ageDays, mostBytes, ladderDays, days] of [
  ['it grows into its share: 70 GB more at 1 GB a day', 25, (hour: number) => (30 + hour / 24) * gigabyte, 31, 101 * gigabyte, Infinity, 101],
  ['the ladder ends before', 25, (hour: number) => (30 + hour / 24) * gigabyte, 31, 101 * gigabyte, 90, 90],
  ['it has its share already', 25, (hour: number) => (101 + hour) * gigabyte, 31, 101 * gigabyte, Infinity, 31],
  ['that is known at once', 1, () => 101 * gigabyte, 3, 101 * gigabyte, Infinity, 3],
  ['it does not grow', 100, () => 5 * gigabyte, 31, 101 * gigabyte, Infinity, Infinity],
  ['it becomes less', 100, (hour: number) => (500 - hour) * 1e6, 31, 101 * gigabyte, 365, 365],
  ['too short a time to know', 6, (hour: number) => hour * gigabyte, 1, 101 * gigabyte, Infinity, undefined],
] as const) {
  t.test(`history: ${what}`, async (t) => {
    const all = Array.from({ length: count }, (_, hour) => ({ atMs: start + hour * hourMs, freeBytes: 0, historyBytes: bytesAt(hour) }));
    const { atMs: nowMs, historyBytes } = all.at(-1)!;
    const uncounted = { atMs: start - hourMs, freeBytes: 0 };
    const samples = [uncounted, ...all.slice(0, -1)];
    const found = historyReach({ samples, nowMs, historyBytes, oldestMs: nowMs - ageDays * dayMs, mostBytes, ladderEndMs: ladderDays * dayMs });
    if (days === undefined || found === undefined || days === Infinity) t.equal(found, days);
    else t.ok(Math.abs(found / dayMs - days) < 1e-6, `${found / dayMs} days, ${days} expected`);
  });
}

t.test('samples are one an hour, of a week, however often somebody looks', async (t) => {
  let samples: readonly SpaceSample[] = [];
  for (let minute = 0; minute < 60 * 24 * 10; minute += 5) samples = withSample(samples, { atMs: start + minute * 60_000, freeBytes: minute });
  t.ok(samples.length <= samplesMax && samples.length >= samplesMax - 1, `${samples.length} samples`);
  t.ok(samples.every(({ atMs }, index) => index === 0 || atMs - samples[index - 1]!.atMs === hourMs));
  t.equal(withSample(samples, { atMs: samples.at(-1)!.atMs + 60_000, freeBytes: 1 }), samples, 'nothing is copied between');
});

t.test('a clock that was set back takes the samples of the future with it', async (t) => {
  const { samples } = hourly(10, () => gigabyte);
  const back = withSample(samples, { atMs: start + 3.5 * hourMs, freeBytes: 7 });
  t.same(back.map(({ atMs }) => (atMs - start) / hourMs), [0, 1, 2, 3]);
  t.same(withSample(samples, { atMs: start - hourMs, freeBytes: 7 }), [{ atMs: start - hourMs, freeBytes: 7 }]);
});
