/**
 * What the daemon does about retention: the policy, and what it gives up. In: control requests, the volume, the mount. Out: replies in the words of protocol.ts.
 *
 * Invariants:
 * 1. What somebody is looking at below `.snapshots` stays.
 * 2. After moments were given up the kernel is told to forget what it knows of the past.
 */
import type { PruningResult } from '../engine/reclaim.js';
import type { Volume } from '../engine/volume.js';
import type { Mounted } from '../fs/mount.js';
import type { Handlers } from './control-server.js';

export interface Prunable {
  readonly volume: Volume;
  readonly mounted: Mounted;
}

/** Gives up what the policy no longer keeps. Throws VolumeError EBUSY while that is being done already. */
export async function pruneServed({ volume, mounted }: Prunable): Promise<PruningResult> {
  await volume.settled();
  const result = await volume.reclaim.prune(mounted.snapshotsInUse(), Date.now());
  if (result.plan.gone > 0) mounted.invalidateSnapshots();
  return result;
}

export function retentionHandlers(served: Prunable): Pick<Handlers, 'policy' | 'prune'> {
  const { volume, mounted } = served;
  const { reclaim } = volume;
  return {
    policy: async ({ change }) => {
      if (change === 'reset') reclaim.setPolicy(undefined);
      else if (change !== undefined) reclaim.setPolicy({ ...reclaim.policyText(), ...given(change) });
      return reclaim.policyText();
    },
    prune: async ({ dryRun }) => {
      const { plan, bytes } = await (dryRun ? reclaim.preview(mounted.snapshotsInUse(), Date.now()) : pruneServed(served));
      const takesTooMuch = await reclaim.takesTooMuch();
      return { judged: plan.judged, gone: plan.gone, takesTooMuch, oldestNs: String(BigInt(plan.oldestMs) * 1_000_000n), bytes: String(bytes) };
    },
  };
}

function given(change: Partial<Record<string, string | undefined>>): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const [name, text] of Object.entries(change)) if (text !== undefined) parts[name] = text;
  return parts;
}
