/**
 * What a policy gives up now. In: the index's transactions, pins, the policy, the clock. Out: the moments that stay, and what the others hold.
 *
 * Invariants:
 * 1. Nothing is changed here.
 * 2. What is younger than the ladder's first rung of every transaction is not even looked at, unless it was judged before.
 * 3. What is judged never becomes less.
 */
import { table, txidAtEnd } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { txidBytes } from './ids.js';
import { Kept } from './kept.js';
import { recordHeaderBytes } from './log-format.js';
import { pacer } from './pacer.js';
import type { Policy } from './policy.js';
import { keptPoints, ladderRule, quality, txidRule, youngRule } from './retention.js';
import type { Point } from './retention.js';
import type { Transactions } from './transactions.js';
import type { Transaction } from './types.js';

export interface PruningPlan {
  /** Moments that were looked at, and how many of them go. */
  readonly judged: number;
  readonly gone: number;
  /** The kept ones, up to the first behind the last that goes; empty when nothing goes. */
  readonly kept: Float64Array;
  /** Time of the oldest moment afterwards, ms since the epoch. */
  readonly oldestMs: number;
}

export interface PlanOptions {
  readonly transactions: Pick<Transactions, 'horizon'> & { all(): Iterable<Transaction> };
  /** Pinned or in use. */
  readonly held: ReadonlySet<number>;
  readonly policy: Policy;
  readonly nowMs: number;
}

const settledReasons = new Set(['sync', 'close']);
const noPoint: Point = { txid: 0, timeMs: 0, quality: quality.any };

export async function planPruning({ transactions, held, policy, nowMs }: PlanOptions): Promise<PruningPlan> {
  const points = await oldPoints(transactions, policy, nowMs);
  const rules = [ladderRule(policy.ladder), txidRule(held), youngRule(policy.atLeastMs)];
  const stay = keptPoints(points, rules, nowMs);
  const gone = points.length - stay.length;
  const oldestMs = (stay[0] ?? noPoint).timeMs;
  if (gone === 0) return { judged: points.length, gone, kept: new Float64Array(0), oldestMs };
  const staying = new Set(stay.map(({ txid }) => txid));
  const lastGone = points.findLast(({ txid }) => !staying.has(txid))!.txid;
  // Never less than was judged before: what is gone already must not count as not judged, and come back.
  const horizon = transactions.horizon();
  const end = stay.findIndex(({ txid }) => txid > lastGone && txid >= horizon);
  return { judged: points.length, gone, kept: Float64Array.from(stay.slice(0, end + 1), ({ txid }) => txid), oldestMs };
}

/** The same plan, but these stay as well. */
export function withHeld(plan: PruningPlan, txids: Iterable<number>): PruningPlan {
  if (plan.gone === 0) return plan;
  const kept = new Kept(plan.kept);
  const more = [...txids].filter((txid) => txid < plan.kept.at(-1)! && !kept.has(txid));
  return more.length === 0 ? plan : { ...plan, gone: plan.gone - more.length, kept: Float64Array.from([...plan.kept, ...more]).sort() };
}

/** Bytes of pre-images in the log that nobody needs once only `kept` is kept: by all of the index's data entries, or those from `start` on that share so many bytes. */
export async function bytesFreed(index: IndexStore, kept: Pick<Kept, 'atOrAfter' | 'before'>, start: Buffer = Buffer.of(table.data), prefixLength = 1): Promise<number> {
  const pause = pacer();
  let bytes = 0;
  let last: { readonly key: Buffer; readonly shownBy: number } | undefined;
  for (const { key, value } of index.scan(start, prefixLength)) {
    await pause();
    const txid = txidAtEnd(key);
    const isSameThing = last !== undefined && key.compare(last.key, 0, last.key.length - txidBytes, 0, key.length - txidBytes) === 0;
    if ((isSameThing && txid <= last!.shownBy) || kept.before(txid) === undefined) bytes += recordHeaderBytes + (value[12] === 1 ? 0 : value.readUInt32BE(8));
    if (!isSameThing || txid > last!.shownBy) last = { key, shownBy: kept.atOrAfter(txid) };
  }
  return bytes;
}

/** All moments that are older than what is kept whole, and the first that is not. */
async function oldPoints(transactions: PlanOptions['transactions'], policy: Policy, nowMs: number): Promise<Point[]> {
  const pause = pacer();
  const [first] = policy.ladder;
  const wholeFromMs = first?.every === 'transaction' ? nowMs - first.upToMs : Infinity;
  const points: Point[] = [];
  for (const { txid, timeNs, reason, quiescent } of transactions.all()) {
    await pause();
    const timeMs = Number(timeNs / 1_000_000n);
    points.push({ txid: Number(txid), timeMs, quality: quiescent ? quality.quiescent : settledReasons.has(reason) ? quality.settled : quality.any });
    if (timeMs > wholeFromMs && Number(txid) >= transactions.horizon()) break;
  }
  return points;
}
