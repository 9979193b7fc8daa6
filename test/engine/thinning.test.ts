/**
 * Which moments are listed: tables of histories, from an empty one to millions of transactions over decades.
 */
import t from 'tap';
import { thin } from '../../engine/thinning.js';
import type { Moment } from '../../engine/transactions.js';
import { Random, chooseSeed } from '../support/seed.js';

const second = 1_000_000_000n;
const day = 86_400n * second;
const nowNs = 1_795_330_800n * second;

/** The last at or before, in a sorted list, as the index finds it. */
function lastBeforeIn(times: readonly bigint[]): (timeNs: bigint) => Moment | undefined {
  return (timeNs) => {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[middle]! <= timeNs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : { txid: low, timeNs: times[low - 1]! };
  };
}

/** `count` times, `apartNs` apart, the last one now. */
function evenly(count: number, apartNs: bigint): bigint[] {
  return Array.from({ length: count }, (_, index) => nowNs - BigInt(count - 1 - index) * apartNs);
}

function secondsOf(times: readonly bigint[]): bigint[] {
  return [...new Set(times.map((time) => time / second))];
}

const histories: readonly [string, bigint[]][] = [
  ['nothing', []],
  ['one transaction', evenly(1, 1n)],
  ['many in one second', evenly(1000, 1000n)],
  ['300 seconds', evenly(300, second)],
  ['a burst long ago', evenly(400, second).map((time) => time - 3000n * day)],
  ['500 days', evenly(500, day)],
  ['a day, each second', evenly(86_400, second)],
  ['a month, each minute', evenly(43_200, 60n * second)],
  ['ten years, each hour', evenly(87_600, 3600n * second)],
  ['fifty years, each day', evenly(18_250, day)],
  ['ten a second for a day', evenly(864_000, second / 10n)],
];

void t.test('never more than the limit, newest first, one a second, the ends always', async (t) => {
  for (const [what, times] of histories) {
    for (const limit of [500, 490, 20, 2]) {
      const listed = thin(lastBeforeIn(times), nowNs, limit);
      t.ok(listed.length <= limit, `${what}: ${listed.length} of at most ${limit}`);
      t.ok(listed.every((moment, index) => index === 0 || moment.timeNs < listed[index - 1]!.timeNs), `${what}: newest first`);
      t.equal(secondsOf(listed.map(({ timeNs }) => timeNs)).length, listed.length, `${what}: one a second`);
      t.equal(listed[0]?.timeNs, times.at(-1), `${what}: the newest`);
      if (listed.length > 1) t.equal(listed.at(-1)!.timeNs / second, times[0]! / second, `${what}: the oldest`);
      if (secondsOf(times).length <= limit) t.equal(listed.length, secondsOf(times).length, `${what}: all, since they fit`);
    }
  }
});

void t.test('recent moments lie close together, old ones far apart', async (t) => {
  const listed = thin(lastBeforeIn(evenly(864_000, second * 60n)), nowNs, 500);
  t.ok(listed.length > 200, `${listed.length} names make use of the room`);
  const newest = listed[0]!.timeNs - listed[10]!.timeNs;
  const oldest = listed.at(-12)!.timeNs - listed.at(-2)!.timeNs;
  t.ok(newest * 20n < oldest, `${newest} ns over the newest ten, ${oldest} ns over the oldest`);
});

void t.test('each is the last transaction of its second, whatever the history', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  for (let round = 0; round < 30; round++) {
    const times: bigint[] = [];
    let time = nowNs;
    for (let index = random.below(3000); index > 0; index--) {
      times.unshift(time);
      time -= BigInt(1 + random.below(random.pick([1000, 2_000_000_000])) * random.pick([1, 1, 100, 1_000_000]));
    }
    const lastBefore = lastBeforeIn(times);
    for (const { txid, timeNs } of thin(lastBefore, nowNs, 500)) {
      const endOfSecond = timeNs - timeNs % second + second - 1n;
      const last = lastBefore(endOfSecond);
      if (last?.txid !== txid) return t.fail(`seed ${seed}: ${txid} is listed, its second ends with ${last?.txid}`);
    }
  }
  return t.pass('thirty random histories');
});

void t.test('a list costs a bounded number of questions, however long the history is', async (t) => {
  for (const [what, times] of histories) {
    let questions = 0;
    const lastBefore = lastBeforeIn(times);
    thin((timeNs) => (questions++, lastBefore(timeNs)), nowNs, 500);
    t.ok(questions <= 4 * 500 + 200, `${what}: ${questions}`);
  }
});
