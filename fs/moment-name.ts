/**
 * What kind of name follows the "@": does it mean the same moment whenever it is asked, and is that moment over? In: the
 * name and the clock. Out: how long the kernel may remember the answer, and whether the open transaction matters to it. Which snapshot
 * the name means is the engine's to say.
 *
 * Invariants:
 * 1. A name is remembered for long only if no later transaction can change its meaning: its moment lies before now, or it is a transaction that has ended.
 */
import { readMoment } from '../engine/moments.js';

/** How a name relates to the clock. */
export type NameKind =
  /** One moment that is over: the same snapshot for ever. */
  | 'past'
  /** A moment that is not over yet: what has been written up to now belongs to it. */
  | 'present'
  /** Another moment each time it is asked ("5m", "yesterday"), or a name given by a user. */
  | 'moving';

/** Far enough for every relative name to mean something else: "today" changes once a day. */
const laterNs = 400n * 86_400_000_000_000n;

/** The kind of a name (without "@") at the time `nowNs` (ns since the epoch). */
export function kindOfName(text: string, nowNs: bigint): NameKind {
  const moment = readMoment(text, nowNs);
  if (moment === undefined) return 'moving';
  if ('txid' in moment) return 'past';
  if (moment.timeNs >= nowNs) return 'present';
  const later = readMoment(text, nowNs + laterNs);
  const isFixed = later !== undefined && 'timeNs' in later && later.timeNs === moment.timeNs;
  return isFixed ? 'past' : 'moving';
}
