/**
 * When an alarm is told: once when it begins, at most daily while it lasts, once when it ends. In: verdicts of a rule over time. Out: what is remembered of the alarm, and
 * what is to be told. Pure.
 *
 * Invariants:
 * 1. Between 'raised' and 'ended' of one alarm lies no second 'raised', and nothing but 'worse' and 'repeated'.
 * 2. What is acknowledged is told no more until it gets worse or has ended.
 * 3. What is remembered survives the daemon: a restart tells nothing twice.
 */
import type { AlarmLimits, Rule, Verdict } from './alarm-rules.js';

export interface AlarmMemory {
  /** Since when it has been bad, or good, without a break; ms since the epoch. */
  readonly badSinceMs?: number | undefined;
  readonly goodSinceMs?: number | undefined;
  /** While it is raised: since when, when it was told last, and the last words. */
  readonly raisedAtMs?: number | undefined;
  readonly toldAtMs?: number | undefined;
  readonly what?: string | undefined;
  /** Where it is not the rule's. */
  readonly remedy?: string | undefined;
  /** As told last; of things counted also when the alarm has ended. */
  readonly weight: number;
  readonly isAcknowledged?: boolean | undefined;
}

export type AlarmEvent = 'raised' | 'worse' | 'repeated' | 'ended';

export interface Step {
  readonly memory: AlarmMemory;
  readonly event?: AlarmEvent;
}

export const firstMemory: AlarmMemory = { weight: 0 };

const repeatMs = 24 * 3_600_000;
/** What gets worse and worse is told no more often than this, unless the rule says otherwise. */
const usualWorseMs = 3_600_000;

export function step(memory: AlarmMemory, verdict: Verdict, rule: Rule, at: { readonly nowMs: number; readonly limits: AlarmLimits }): Step {
  const plain = verdict.state === 'count' ? asPlain(memory, verdict) : { memory, verdict };
  return memory.raisedAtMs === undefined ? whileQuiet(plain.memory, plain.verdict, rule, at) : whileRaised(plain.memory, plain.verdict, rule, at.nowMs);
}

export function acknowledge(memory: AlarmMemory): AlarmMemory {
  return memory.raisedAtMs === undefined ? memory : { ...memory, isAcknowledged: true };
}

/** A count is bad when it has grown since it was told. */
function asPlain(memory: AlarmMemory, verdict: Extract<Verdict, { state: 'count' }>): { memory: AlarmMemory; verdict: Verdict } {
  if (verdict.count > memory.weight) return { memory, verdict: { state: 'bad', what: verdict.what, weight: verdict.count } };
  return { memory: verdict.isSure ? { ...memory, weight: verdict.count } : memory, verdict: { state: 'good' } };
}

function whileQuiet(memory: AlarmMemory, verdict: Verdict, rule: Rule, at: { readonly nowMs: number; readonly limits: AlarmLimits }): Step {
  if (verdict.state !== 'bad') return { memory: { weight: memory.weight } };
  const badSinceMs = Math.min(memory.badSinceMs ?? at.nowMs, at.nowMs);
  if (at.nowMs - badSinceMs < rule.badForMs(at.limits)) return { memory: { weight: memory.weight, badSinceMs } };
  return { memory: { raisedAtMs: at.nowMs, toldAtMs: at.nowMs, ...words(verdict), weight: verdict.weight }, event: 'raised' };
}

function whileRaised(memory: AlarmMemory, verdict: Verdict, rule: Rule, nowMs: number): Step {
  if (verdict.state === 'good') {
    const goodSinceMs = Math.min(memory.goodSinceMs ?? nowMs, nowMs);
    if (nowMs - goodSinceMs >= rule.goodForMs) return { memory: { weight: memory.weight, what: memory.what }, event: 'ended' };
    return { memory: { ...memory, goodSinceMs } };
  }
  const lasting: AlarmMemory = { ...memory, goodSinceMs: undefined, ...(verdict.state === 'bad' ? words(verdict) : {}) };
  const sinceToldMs = Math.abs(nowMs - (memory.toldAtMs ?? 0));
  if (verdict.state === 'bad' && verdict.weight > memory.weight && sinceToldMs >= (rule.worseAfterMs ?? usualWorseMs)) {
    return { memory: { ...lasting, weight: verdict.weight, toldAtMs: nowMs, isAcknowledged: undefined }, event: 'worse' };
  }
  if (memory.isAcknowledged !== true && sinceToldMs >= repeatMs) return { memory: { ...lasting, toldAtMs: nowMs }, event: 'repeated' };
  return { memory: lasting };
}

function words({ what, remedy }: Extract<Verdict, { state: 'bad' }>): Pick<AlarmMemory, 'what' | 'remedy'> {
  return { what, ...(remedy === undefined ? {} : { remedy }) };
}
