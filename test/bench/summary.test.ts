/** The benchmark's judgements: what it says of samples must be true, above all where it says "yes". */
import t from 'tap';
import type { Row } from '../../bench/rows.js';
import { isAhead, medianOf, summarize, verdict } from '../../bench/summary.js';

const row: Row = { id: 'work', group: 'work', title: 'work', unit: 'seconds', bar: { kind: 'bare', atLeast: 0.5 } };

t.test('a median of an even count lies between the middle two', async (t) => {
  t.equal(medianOf([4, 1, 3, 2]), 2.5);
  t.equal(medianOf([9, 1, 5]), 5);
});

t.test('a ratio is of throughput, from medians, with the spread of the rounds', async (t) => {
  const samples = { work: { bare: [1, 2, 3], tidemark: [2, 8, 4] } };
  t.same(summarize(row, 'tidemark', samples), { median: 4, sampleCount: 3, ratio: { median: 0.5, least: 0.25, greatest: 0.75 }, reached: true });
});

t.test('a bar that is just missed is not reached', async (t) => {
  t.equal(summarize(row, 'tidemark', { work: { bare: [1], tidemark: [2.01] } })?.reached, false);
});

t.test('failed rounds count for nothing, and a row without samples has no summary', async (t) => {
  t.same(summarize(row, 'tidemark', { work: { bare: [1, 1], tidemark: [null, 4] } })?.ratio, { median: 0.25, least: 0.25, greatest: 0.25 });
  t.equal(summarize(row, 'tidemark', { work: { bare: [1], tidemark: [null] } }), undefined);
  t.equal(summarize(row, 'tidemark', { work: { bare: [null], tidemark: [1] } })?.reached, false, 'no reference, no yes');
});

t.test('a row against another row compares within the same target', async (t) => {
  const against: Row = { ...row, id: 'past', bar: { kind: 'row', row: 'live', atLeast: 0.6 } };
  const samples = { live: { tidemark: [3, 3] }, past: { tidemark: [4, 4] } };
  t.match(summarize(against, 'tidemark', samples), { ratio: { median: 0.75 }, reached: true });
});

t.test('absolute bars are upper limits', async (t) => {
  const limit: Row = { ...row, bar: { kind: 'seconds', below: 0.002 } };
  t.equal(summarize(limit, 'tidemark', { work: { tidemark: [0.0019] } })?.reached, true);
  t.equal(summarize(limit, 'tidemark', { work: { tidemark: [0.002] } })?.reached, false);
});

t.test('who is faster is ahead', async (t) => {
  t.equal(isAhead(row, 'tidemark', 'bindfs', { work: { tidemark: [1], bindfs: [2] } }), true);
  t.equal(isAhead(row, 'tidemark', 'bindfs', { work: { tidemark: [2], bindfs: [2] } }), false);
  t.equal(isAhead(row, 'tidemark', 'bindfs', { work: { tidemark: [1] } }), undefined);
});

t.test('only rounds that both have measured are compared', async (t) => {
  const samples = { work: { bare: [9, 9, 9, 1, 1], bindfs: [null, null, null, 2, 2], tidemark: [9, 9, 9, 1, 1] } };
  t.same(summarize(row, 'bindfs', samples)?.ratio, { median: 0.5, least: 0.5, greatest: 0.5 });
  t.equal(isAhead(row, 'tidemark', 'bindfs', samples), true, 'though its median of all rounds is 9');
});

t.test('the verdict is yes only when the bar is reached and every peer is beaten', async (t) => {
  const judge = (tidemark: number | null, peers: Record<string, (number | null)[]>): string =>
    verdict(row, 'tidemark', ['one', 'two'], { work: { bare: [1], tidemark: [tidemark], ...peers } });
  t.equal(judge(2, { one: [3], two: [2.1] }), 'yes');
  t.equal(judge(2, {}), 'yes', 'peers that did not run take nothing away');
  t.equal(judge(2, { one: [null], two: [3] }), 'yes', 'nor do those that failed');
  t.equal(judge(2, { one: [3], two: [2] }), 'behind two', 'as fast is not faster');
  t.equal(judge(3, { one: [2], two: [2] }), 'falls short, behind one and two');
  t.equal(judge(3, { one: [4] }), 'falls short');
  t.equal(judge(null, { one: [4] }), 'failed');
});

t.test('rows without a bar get no verdict', async (t) => {
  t.equal(verdict({ ...row, bar: undefined }, 'tidemark', [], { work: { bare: [1], tidemark: [1] } }), '');
});
