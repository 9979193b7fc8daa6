/**
 * Changes that by-pass a mount while it stands: somebody writes to the backing directory itself. In: paths where something was seen to change, whoever did it. Out: one external
 * transaction with what the index cannot explain, or none.
 *
 * Invariants:
 * 1. What is recorded was compared while nobody could change the tree through the mount, and the index knew all that had been.
 * 2. Applications wait for that only when a first look, for which nobody waits, has found something.
 */
import { findExternalChanges, findYounger } from './external-changes.js';
import type { ExternalChangesOptions } from './external-changes.js';
import type { NativeAddon } from './native.js';

export interface ExternalNowOptions extends ExternalChangesOptions {
  readonly addon: NativeAddon;
  /** Resolves when the index is as far as the log. */
  readonly caughtUp: () => Promise<unknown>;
  readonly say: (line: string) => void;
}

/** `paths`: from the root, without a leading slash; undefined: whatever is younger than `sinceNs`. */
export async function recordExternalNow(options: ExternalNowOptions, paths: readonly Buffer[] | undefined): Promise<void> {
  const { native, addon, root, sinceNs, caughtUp, say } = options;
  const seen = paths ?? await findYounger(addon, root, sinceNs);
  await caughtUp();
  if ((await findExternalChanges(options, seen)).records.length === 0) return;
  native.holdChanges();
  try {
    await native.settle();
    await caughtUp();
    const { records, fileCount, timeNs } = await findExternalChanges(options, seen);
    if (records.length === 0) return;
    const txid = await native.appendExternal(records, timeNs);
    const files = fileCount === 1 ? '1 file or directory was' : `${fileCount} files and directories were`;
    say(`${files} changed behind the mount's back: recorded as transaction ${txid}; what they held before is lost`);
  } finally {
    native.releaseChanges();
  }
}
