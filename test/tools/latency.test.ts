/** Percentiles and counts out of the buckets of a latency histogram. */
import t from 'tap';
import type { LatencyBucket, OperationLatency } from '../../native/types.js';
import { countBelow, countOf, summarize } from '../../tools/latency.js';

const latency = (maxUs: number, totalUs: number, ...pairs: readonly (readonly [belowUs: number, count: number])[]): OperationLatency => ({
  operation: 'fsync', totalUs, maxUs, buckets: pairs.map(([belowUs, count]): LatencyBucket => ({ belowUs, count })),
});

t.test('a percentile is the end of the bucket in which that share is reached', async (t) => {
  const summary = summarize(latency(5000, 12_000, [2, 500], [4, 400], [1024, 90], [2048, 9], [5120, 1]));
  t.strictSame(summary, { count: 1000, meanUs: 12, p50Us: 2, p90Us: 4, p99Us: 1024, p999Us: 2048, maxUs: 5000 });
});

t.test('one more than a share falls into the next bucket', async (t) => {
  t.equal(summarize(latency(60, 0, [2, 5], [64, 5])).p50Us, 2, 'five of ten');
  t.equal(summarize(latency(60, 0, [2, 5], [64, 6])).p50Us, 60, 'five of eleven are no half');
});

t.test('no percentile is above the longest', async (t) => {
  t.strictSame(summarize(latency(3.1, 3.1, [3.25, 1])), { count: 1, meanUs: 3.1, p50Us: 3.1, p90Us: 3.1, p99Us: 3.1, p999Us: 3.1, maxUs: 3.1 });
  t.equal(summarize(latency(3e8, 3e8, [2 ** 26, 1])).p50Us, 3e8, 'longer than the last bucket reaches');
});

t.test('nothing recorded is zeros', async (t) => {
  t.strictSame(summarize(latency(0, 0)), { count: 0, meanUs: 0, p50Us: 0, p90Us: 0, p99Us: 0, p999Us: 0, maxUs: 0 });
});

t.test('counts up to a bound are whole buckets', async (t) => {
  const some = latency(9, 0, [1, 1], [2, 10], [4, 100], [8.5, 1000]);
  t.equal(countBelow(some, 0.5), 0);
  t.equal(countBelow(some, 2), 11);
  t.equal(countBelow(some, 8), 111, 'a bucket that reaches beyond the bound does not count');
  t.equal(countOf(some), 1111);
});
