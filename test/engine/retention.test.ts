/**
 * The rules of retention, each by a table: which of a row of points it holds. Then the rules together, over random histories.
 */
import t from 'tap';
import { FileRules } from '../../engine/file-rules.js';
import { readPolicy, defaultPolicyText, writePolicy } from '../../engine/policy.js';
import { ageRule, cutLadder, goneBelow, keptPoints, ladderRule, newestRule, quality, txidRule, youngRule } from '../../engine/retention.js';
import type { Point, Rule } from '../../engine/retention.js';
import { Random, chooseSeed } from '../support/seed.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const nowMs = Date.UTC(2026, 10, 22, 12);

/** Points by their age in ms, oldest first. */
function pointsOf(ages: readonly number[], qualities: readonly number[] = []): Point[] {
  return ages.map((age, index) => ({ txid: index + 1, timeMs: nowMs - age, quality: qualities[index] ?? quality.any }));
}

const ladder = readPolicy(defaultPolicyText).ladder;
const short = [{ upToMs: hour, every: 'transaction' }, { upToMs: day, every: hour }] as const;

const table: readonly { what: string; rule: Rule; ages: readonly number[]; qualities?: readonly number[]; held: readonly number[] }[] = [
  { what: 'within 24 hours every transaction stays', rule: ladderRule(ladder), ages: [23 * hour, 23 * hour - 1, 5, 4], held: [1, 2, 3, 4] },
  { what: 'then the last of a minute', rule: ladderRule(ladder), ages: [2 * day + 50_000, 2 * day + 10_000, 2 * day + 1, 2 * day - 1], held: [3, 4] },
  { what: 'the last of an hour', rule: ladderRule(ladder), ages: [10 * day + hour - 1, 10 * day + 1, 10 * day], held: [2, 3] },
  { what: 'the last of a day', rule: ladderRule(ladder), ages: [100 * day + 11 * hour, 100 * day + 1, 99 * day], held: [2, 3] },
  { what: 'the last of a month, for ever', rule: ladderRule(ladder), ages: [4000 * day, 4000 * day - 1, 400 * day], held: [2, 3] },
  { what: 'nothing beyond the last rung', rule: ladderRule(short), ages: [2 * day, day + 1, day], held: [3] },
  { what: 'a settled moment goes before a later one', rule: ladderRule(short), ages: [3 * hour - 2, 3 * hour - 3, 3 * hour - 4], qualities: [1, 0, 0], held: [1] },
  { what: 'a quiescent moment goes before a settled one', rule: ladderRule(short), ages: [3 * hour - 2, 3 * hour - 3, 3 * hour - 4], qualities: [2, 1, 0], held: [1] },
  { what: 'of equally good ones the last', rule: ladderRule(short), ages: [3 * hour - 2, 3 * hour - 3, 3 * hour - 4], qualities: [1, 1, 0], held: [2] },
  { what: 'pins stay', rule: txidRule(new Set([1, 3])), ages: [9000 * day, 8000 * day, 7000 * day], held: [1, 3] },
  { what: 'what is young stays', rule: youngRule(hour), ages: [2 * hour, hour, hour - 1, 0], held: [3, 4] },
  { what: 'the newest stays, however old', rule: youngRule(hour), ages: [3 * hour, 2 * hour], held: [2] },
  { what: 'by age', rule: ageRule(hour), ages: [2 * hour, hour, hour - 1, 0], held: [3, 4] },
  { what: 'by number', rule: newestRule(2), ages: [3 * day, 2 * day, day], held: [2, 3] },
  { what: 'more than there are', rule: newestRule(9), ages: [2 * day, day], held: [1, 2] },
  { what: 'none at all', rule: newestRule(0), ages: [2 * day, 0], held: [] },
  { what: 'a ladder that was cut', rule: ladderRule(cutLadder(ladder, 3 * day)), ages: [3 * day + 1, 3 * day, 2 * day], held: [2, 3] },
];

for (const { what, rule, ages, qualities, held } of table) {
  void t.test(what, async (t) => {
    const points = pointsOf(ages, qualities);
    t.strictSame(points.filter((_, index) => rule(points, nowMs)[index]).map(({ txid }) => txid), held);
  });
}

void t.test('of versions only a beginning goes', async (t) => {
  const cuts: readonly { what: string; rules: readonly Rule[]; ages: readonly number[]; minor?: readonly number[]; gone: number }[] = [
    { what: 'the older ones', rules: [ageRule(day)], ages: [3 * day, 2 * day, hour], gone: 2 },
    { what: 'all, where no rule holds one', rules: [newestRule(0), ageRule(hour)], ages: [3 * day, 2 * day], gone: 2 },
    { what: 'what one rule holds stays', rules: [newestRule(1), ageRule(4 * day)], ages: [5 * day, 3 * day, day], gone: 1 },
    { what: 'as many as are too many', rules: [newestRule(2)], ages: [5 * day, 3 * day, day], gone: 1 },
    { what: 'what does not count is between', rules: [newestRule(1)], ages: [5 * day, 4 * day, 3 * day, 2 * day], minor: [2, 4], gone: 2 },
    { what: 'nothing of nothing', rules: [newestRule(2)], ages: [], gone: 0 },
  ];
  for (const { what, rules, ages, minor = [], gone } of cuts) {
    const points = pointsOf(ages).map((point) => ({ ...point, isMinor: minor.includes(point.txid) }));
    t.equal(goneBelow(points, rules, nowMs), gone, what);
  }
});

void t.test('random histories', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  for (let history = 0; history < 200; history++) {
    const ages = Array.from({ length: 1 + random.below(300) }, () => random.below(3) === 0 ? random.below(day) : random.below(900 * day)).sort((a, b) => b - a);
    const points = pointsOf(ages, ages.map(() => random.below(3)));
    const rules = [ladderRule(ladder), txidRule(new Set([1 + random.below(points.length)])), youngRule(hour)];
    const once = keptPoints(points, rules, nowMs);
    if (keptPoints(once, rules, nowMs).length !== once.length) t.fail(`more goes the second time: history ${history}, seed ${seed}`);
    for (const [index, point] of points.entries()) {
      const isHeld = rules.some((rule) => rule(points, nowMs)[index]);
      if (isHeld !== once.includes(point)) t.fail(`point ${point.txid} of history ${history}, seed ${seed}`);
    }
  }
  t.pass('a point goes only if every rule lets it go, and the second time none goes');
});

void t.test('policies', async (t) => {
  for (const text of ['24h:all,7d:1m,30d:1h,1y:1d,forever:1mo', '90s:all', '1h:all,forever:2w', '2w:1m']) {
    const policy = readPolicy({ ladder: text, diskShare: '12.5%', atLeast: '60s', versions: 'all', keep: [] });
    t.strictSame(readPolicy(writePolicy(policy)), policy, text);
  }
  const faults: readonly (readonly [Partial<typeof defaultPolicyText>, RegExp])[] = [
    [{ ladder: '' }, /no rung/], [{ ladder: '7d' }, /no rung/], [{ ladder: '7d:1m:2' }, /no rung/], [{ ladder: 'x:all' }, /no time/], [{ ladder: '0h:all' }, /no time/],
    [{ ladder: '7d:1h,24h:all' }, /goes back in age/], [{ ladder: '24h:1h,7d:1m' }, /keeps more of what is older/], [{ ladder: 'forever:all,7d:1m' }, /goes back in age/],
    [{ diskShare: '0%' }, /no share/], [{ diskShare: '101%' }, /no share/], [{ diskShare: '30' }, /no share/],
    [{ versions: '0' }, /no number of versions/], [{ versions: 'many' }, /no number of versions/], [{ keep: ['/db'] }, /no rule/], [{ keep: ['=3d'] }, /no rule/], [{ keep: ['/=3d'] }, /whole volume/],
    [{ keep: ['/db=soon'] }, /no time/], [{ keep: ['/db=0 versions'] }, /no number of versions/], [{ keep: ['a/../b=3d'] }, /matches no path/],
    [{ keep: ['/db=3d', '/db/=none'] }, /speak of the same files/], [{ keep: ['a/b=3d', '/a/b=3d'] }, /speak of the same files/], [{ keep: ['*.log=none', '/db/*.log=3d'] }, /never counts/],
    [{ keep: ['/db=30m'] }, /at-least keeps all/], [{ ladder: '7d:all', keep: ['/db=8d'] }, /keeps nothing that old/], [{ atLeast: 'soon' }, /no time/], [{ ladder: '1h:all', atLeast: '2h' }, /keeps nothing that old/],
  ];
  for (const [part, message] of faults) t.throws(() => readPolicy({ ...defaultPolicyText, ...part }), { code: 'EINVAL', message }, JSON.stringify(part));
});

void t.test('rules of files', async (t) => {
  const keep = ['*.tmp=none', '/db=3d', '/a=b/c=2h', '*.log=20 versions', '[ab]?=1y', '?.log=5d'];
  const policy = readPolicy({ ...defaultPolicyText, versions: '100', keep });
  t.strictSame(writePolicy(policy).keep, keep, 'are written as they were read');
  t.equal(writePolicy(policy).versions, '100');
  t.strictSame(readPolicy({ ...defaultPolicyText, keep: ['//db//=3d', 'x.log=1 version', 'y=7v'] }).rules.map(({ glob }) => glob), ['/db', 'x.log', 'y'], 'whatever makes no difference goes');
  const rules = new FileRules(policy.rules);
  for (const [path, found] of [
    ['x.tmp', ['*.tmp']], ['deep/below/x.tmp', ['*.tmp']], ['cache.tmp/file', ['*.tmp']], ['db', ['/db']], ['db/a/b', ['/db']], ['db/xy.log', ['/db', '*.log']],
    ['other/db', []], ['db2', []], ['a=b/c', ['/a=b/c']], ['ax', ['[ab]?']], ['a.log', ['*.log', '?.log']], ['x', []],
  ] as const) t.strictSame(rules.of(path).map(({ glob }) => glob), found, path);
});
