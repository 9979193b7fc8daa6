/** The ladder of a backup as users write it, read by the rules of policies. "none": nothing of what is replaced is kept. */
import { defaultPolicyText, readPolicy } from '../../engine/policy.js';
import type { Rung } from '../../engine/retention.js';

export const defaultLadder = '7d:all,30d:1d,1y:1w,forever:1mo';

/** Throws VolumeError for what cannot be read. */
export function ladderOf(text: string): readonly Rung[] | undefined {
  return text === 'none' ? undefined : readPolicy({ ...defaultPolicyText, ladder: text, atLeast: '1s' }).ladder;
}
