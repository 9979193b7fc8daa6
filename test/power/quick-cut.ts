/**
 * One power cut, examined quickly: mounts the image's file system, lets the addon open the store, which recovers it as a mount does (log, names, intents), and
 * looks at the live tree below. In: an image, the cut, the witness. Out: complaints; none when all is well. What it leaves out (the daemon, verify,
 * snapshots, use afterwards) cut.ts examines. It takes a twentieth of the time.
 *
 * Invariants:
 * 1. Opening succeeds, and the log has no damage but a torn end.
 * 2. The live tree is as check-live.ts says.
 * 3. Nothing stays mounted. The image is changed: it serves for one examination.
 * 4. The addon runs in this process, which it may take along.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadAddon } from '../../engine/native.js';
import { openStore } from '../../engine/opening.js';
import { until } from '../support/processes.js';
import { checkLive } from './check-live.js';
import { forge } from './forgery.js';
import type { Forgery } from './forgery.js';
import type { Cut } from './journal.js';
import { reachAt } from './witness.js';
import type { Witness } from './witness.js';

export interface QuicklyExamined {
  readonly complaints: readonly string[];
  /** Synced bytes came out of the log into files. */
  readonly isReplayed: boolean;
}

export interface QuickExamination {
  readonly image: string;
  /** An empty directory. */
  readonly mountpoint: string;
  readonly witness: Witness;
  /** Tells which promises count. */
  readonly promises: Cut;
  readonly forgery: Forgery;
}

/** What goes wrong on the way is a complaint, too. */
export async function examineQuickly(examination: QuickExamination): Promise<QuicklyExamined> {
  const { image, mountpoint, witness, promises, forgery } = examination;
  const complaints: string[] = [];
  let isReplayed = false;
  try {
    execFileSync('mount', ['-o', 'loop', image, mountpoint], { stdio: 'pipe' });
    try {
      const root = join(mountpoint, 'protected');
      mkdirSync(root, { recursive: true });
      await forge(forgery, mountpoint, root);
      isReplayed = await recover(root, complaints);
      for (const lane of witness.lanes) complaints.push(...(await checkLive(lane, reachAt(witness, lane, promises.position), join(root, lane.directory))));
    } finally {
      await unmount(mountpoint);
    }
  } catch (error) {
    complaints.push(String(error));
  }
  return { complaints, isReplayed };
}

/** Tells whether bytes came out of the log. */
async function recover(root: string, complaints: string[]): Promise<boolean> {
  const { files, native } = openStore(root, {}, await loadAddon());
  try {
    const { damagedAt, replayed } = native.recovery;
    if (damagedAt.length > 0) complaints.push(`the log is damaged at ${damagedAt.join(', ')}`);
    return replayed.length > 0;
  } finally {
    await native.close();
    files.close();
  }
}

/** The addon's descriptors go when its objects are collected. */
async function unmount(mountpoint: string): Promise<void> {
  await until(async () => {
    globalThis.gc?.();
    await nextTurn();
    try {
      execFileSync('umount', [mountpoint], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  }, `${mountpoint} not to be busy`);
}
