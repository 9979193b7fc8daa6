/**
 * Which of very many transactions `.snapshots` lists. In: a way to ask for the last transaction at or before a time. Out: at most
 * `limit` of them, newest first: recent ones dense, old ones sparse. Pure; costs a bounded number of questions.
 *
 * Invariants:
 * 1. At most one transaction of a second: the last one, which is what a whole-second name means.
 * 2. The newest and (when anything is left out) the oldest are always among them.
 * 3. When there are few enough distinct seconds, none is left out.
 */
import { floorSecond, nsPerSecond } from './moments.js';
import type { Moment } from './transactions.js';

export type LastBefore = (timeNs: bigint) => Moment | undefined;

const second = nsPerSecond;
const minute = 60n * second;
const hour = 60n * minute;
const day = 24n * hour;

/**
 * Up to which age moments lie how far apart. With these, the last ten years come to about 450 names, below the 500 that Samba can be
 * given (it reads the list twice a request and shows none at all from 1,310 on).
 */
const tiers: readonly { readonly ageNs: bigint; readonly apartNs: bigint }[] = [
  { ageNs: minute, apartNs: second },
  { ageNs: hour, apartNs: minute },
  { ageNs: day, apartNs: 15n * minute },
  { ageNs: 7n * day, apartNs: 3n * hour },
  { ageNs: 30n * day, apartNs: day },
  { ageNs: 365n * day, apartNs: 7n * day },
  { ageNs: 3650n * day, apartNs: 30n * day },
];
const apartBeyondNs = 365n * day;

/** By how much the distances are divided while everything still fits: a short history is shown whole. */
const densities = [86_400n * 365n, 3600n, 240n, 60n, 15n, 4n, 2n, 1n];

/** The moments to list, newest first. `limit` ≥ 2. */
export function thin(lastBefore: LastBefore, nowNs: bigint, limit: number): Moment[] {
  // Halved, not tried in turn: where there is much to list, each attempt takes as many questions as names fit.
  let fitting: Moment[] | undefined;
  let low = 0;
  let high = densities.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const moments = walk(lastBefore, nowNs, limit, densities[middle]!);
    if (moments === undefined) {
      low = middle + 1;
    } else {
      fitting = moments;
      high = middle;
    }
  }
  return fitting ?? walkToLimit(lastBefore, nowNs, limit);
}

/** Undefined when more than `limit` would be listed. */
function walk(lastBefore: LastBefore, nowNs: bigint, limit: number, density: bigint): Moment[] | undefined {
  const moments: Moment[] = [];
  for (let moment = lastBefore(nowNs); moment !== undefined; moment = before(lastBefore, moment, nowNs, density)) {
    if (moments.length === limit) return undefined;
    moments.push(moment);
  }
  return withOldest(lastBefore, moments, limit);
}

/** History of more than a lifetime: the youngest that fit, and the oldest. */
function walkToLimit(lastBefore: LastBefore, nowNs: bigint, limit: number): Moment[] {
  const moments: Moment[] = [];
  for (let moment = lastBefore(nowNs); moment !== undefined && moments.length < limit; moment = before(lastBefore, moment, nowNs, 1n)) moments.push(moment);
  return withOldest(lastBefore, moments, limit);
}

function before(lastBefore: LastBefore, moment: Moment, nowNs: bigint, density: bigint): Moment | undefined {
  const age = nowNs - moment.timeNs;
  const apart = (tiers.find((tier) => age <= tier.ageNs)?.apartNs ?? apartBeyondNs) / density;
  const step = apart < second ? second : floorSecond(apart);
  // Counted from the epoch, not from now: a name that was listed a moment ago stays listed while its tier lasts.
  const bucketStart = moment.timeNs - moment.timeNs % step;
  return lastBefore(bucketStart - 1n);
}

/** The walk takes the last of each stretch of time, so the very first transaction may be missing. */
function withOldest(lastBefore: LastBefore, moments: Moment[], limit: number): Moment[] {
  const last = moments.at(-1);
  if (last === undefined) return moments;
  const oldest = oldestSecond(lastBefore, last);
  if (oldest.txid === last.txid) return moments;
  return [...moments.slice(0, limit - 1), oldest];
}

/** The last transaction of the first second that has any, found by halving the time between `from` and the epoch. */
function oldestSecond(lastBefore: LastBefore, from: Moment): Moment {
  let found = from;
  let empty = -1n;
  while (floorSecond(found.timeNs) - empty > 1n) {
    const middle = empty + (floorSecond(found.timeNs) - empty) / 2n;
    const earlier = lastBefore(middle);
    if (earlier === undefined) empty = middle;
    else found = earlier;
  }
  return lastBefore(floorSecond(found.timeNs) + second - 1n) ?? found;
}
