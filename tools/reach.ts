/**
 * How far back history reaches at the present rate, as `status` tells it. In: the volume, what was measured of it. Out: days.
 */
import { VolumeError } from '../engine/errors.js';
import { historyReach } from '../engine/forecast.js';
import { readPolicy } from '../engine/policy.js';
import type { Volume } from '../engine/volume.js';
import type { Measured } from './alarms/alarms.js';
import type { StatusReply } from './protocol.js';

const dayMs = 86_400_000;

/** Nothing while it is not known, or the policy cannot be read. */
export function reachOf(volume: Volume, measured: Measured | undefined, historyBytes: number): Pick<StatusReply, 'reachDays'> {
  if (measured === undefined) return {};
  try {
    const { ladder, diskShare } = readPolicy(volume.reclaim.policyText());
    const { samples, totalBytes } = measured;
    const reachMs = historyReach({
      samples, historyBytes, nowMs: Date.now(), oldestMs: Number(volume.oldestNs() / 1_000_000n), mostBytes: totalBytes * diskShare, ladderEndMs: ladder.at(-1)!.upToMs,
    });
    return reachMs === undefined ? {} : { reachDays: reachMs === Infinity ? 'forever' : reachMs / dayMs };
  } catch (error) {
    if (error instanceof VolumeError) return {};
    throw error;
  }
}

/** A line of `status`. */
export function reachText(reachDays: StatusReply['reachDays']): string {
  if (reachDays === undefined) return 'not known yet how far back history will reach: its growth is measured for 6 hours first';
  if (reachDays === 'forever') return 'history reaches back for ever at the present rate';
  return `history reaches back ${reachDays < 10 ? reachDays.toFixed(1) : Math.round(reachDays).toString()} days at the present rate`;
}
