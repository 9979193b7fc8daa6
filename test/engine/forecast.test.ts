/** When the disk will be full: a table of what was free and what follows from it. */
import t from 'tap';
import { daysUntilFull, samplesMax, withSample } from '../../engine/forecast.js';
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
