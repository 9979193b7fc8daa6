/**
 * What the daemon does about retention: the policy, and what it gives up. In: control requests, the volume, the mount. Out: replies in the words of protocol.ts.
 *
 * Invariants:
 * 1. What somebody is looking at below `.snapshots` stays.
 * 2. After moments were given up the kernel is told to forget what it knows of the past.
 */
import { VolumeError } from '../engine/errors.js';
import { checkFileRules, readFileRule, sameGlob, tidyGlob, writeFileRule } from '../engine/file-rules.js';
import type { RuleEffect } from '../engine/floor-plan.js';
import { ages, defaultPolicyText, readPolicy } from '../engine/policy.js';
import type { PolicyText } from '../engine/policy.js';
import type { PruningOutcome, Reclaim } from '../engine/reclaim.js';
import type { Volume } from '../engine/volume.js';
import type { Mounted } from '../fs/mount.js';
import type { Handlers } from './control-server.js';
import { defined } from './defined.js';
import { nsOfMs } from './format.js';
import type { FloorItem, Parameters } from './protocol.js';

type PolicyChange = Exclude<Parameters<'policy'>['change'], 'reset' | undefined>;

export interface Prunable {
  readonly volume: Volume;
  readonly mounted: Mounted;
}

/** Gives up what the policy no longer keeps. Throws VolumeError EBUSY while that is being done already. */
export async function pruneServed({ volume, mounted }: Prunable): Promise<PruningOutcome> {
  await volume.settled();
  const result = await volume.reclaim.prune(() => mounted.snapshotsInUse(), Date.now());
  if (result.plan.gone > 0 || result.floors.groups.length > 0) mounted.invalidateSnapshots();
  return result;
}

export function retentionHandlers(served: Prunable): Pick<Handlers, 'policy' | 'prune'> {
  const { volume, mounted } = served;
  const { reclaim } = volume;
  return {
    policy: async ({ change }) => {
      const before = change === 'reset' ? defaultPolicyText : reclaim.policyText();
      const after = change === 'reset' || change === undefined ? before : await changed(reclaim, before, change);
      if (change !== undefined) reclaim.setPolicy(change === 'reset' ? undefined : after);
      if (change !== undefined) volume.room.retry();
      return { ...after, notes: notYet(after, volume.excludes) };
    },
    prune: async ({ dryRun }) => {
      const { plan, bytes, floors, takesTooMuch } = await (dryRun ? reclaim.preview(mounted.snapshotsInUse(), Date.now()) : pruneServed(served));
      return { judged: plan.judged, gone: plan.gone, takesTooMuch, oldestNs: String(nsOfMs(plan.oldestMs)), floors: floors.effects.map(floorItem), bytes: String(bytes) };
    },
  };
}

/** Throws VolumeError EINVAL for a rule that is taken back and was not there, and for one of a pattern that matches nothing, unless that is meant. */
async function changed(reclaim: Reclaim, before: PolicyText, { keep = [], unkeep = [], files, ...parts }: PolicyChange): Promise<PolicyText> {
  const given = keep.map((rule) => readFileRule(rule, ages));
  checkFileRules(given, ages);
  const gone = new Set(unkeep.map((glob) => sameGlob(tidyGlob(glob))));
  const known = before.keep.map((rule) => readFileRule(rule, ages));
  for (const glob of gone) if (!known.some((rule) => sameGlob(rule.glob) === glob)) throw new VolumeError('EINVAL', `there is no rule for ${glob}; tidemark policy DIR shows those there are`);
  for (const { glob } of given) gone.add(sameGlob(glob));
  const rules = [...known.filter(({ glob }) => !gone.has(sameGlob(glob))), ...given];
  const after: PolicyText = { ...before, ...defined(parts), keep: rules.map((rule) => writeFileRule(rule, ages)) };
  readPolicy(after);
  if (files === 'later') return after;
  for (const { glob } of given) {
    if (!await reclaim.knowsPattern(glob)) throw new VolumeError('EINVAL', `${glob} matches no file, neither now nor in the past; correct it, or say --for-later if such files are still to come`);
  }
  return after;
}

/** What is captured, or not, is decided when the volume is mounted. */
function notYet({ keep }: PolicyText, excludes: readonly string[]): string[] {
  const none = keep.map((rule) => readFileRule(rule, ages)).filter(({ limit }) => limit.kind === 'none');
  return none.filter(({ glob }) => !excludes.includes(glob)).map(({ glob }) => `${glob} is still captured: from the next mount on it has no history`);
}

function floorItem({ rules, files, youngerThanMs, objects, objectBytes }: RuleEffect): FloorItem {
  return { rules, files, objects, objectBytes: String(objectBytes), ...(youngerThanMs === undefined ? {} : { youngerThanNs: String(nsOfMs(youngerThanMs)) }) };
}
