/**
 * One power cut, examined quickly: mounts the image's file system, lets the addon open the store, which recovers it as a mount does (log, names, intents), and
 * looks at the live tree below. For depth "past" the engine opens it, verifies it and shows its history, which takes some times as long. In: an
 * image, the cut, the witness. Out: complaints; none when all is well. What it leaves out (the daemon, use afterwards) cut.ts examines, in a second for each.
 *
 * Invariants:
 * 1. Opening succeeds, and the log has no damage but a torn end.
 * 2. The live tree is as check-live.ts says. Where the engine looks, verify finds nothing, and the past is as check-snapshots.ts and apps/check-moments.ts say.
 * 3. Nothing stays mounted. The image is changed: it serves for one examination.
 * 4. The addon runs in this process, which it may take along.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadAddon } from '../../engine/native.js';
import { openStore } from '../../engine/opening.js';
import type { RecoveryReport } from '../../engine/types.js';
import { Volume } from '../../engine/volume.js';
import { until } from '../support/processes.js';
import { checkApplications } from './apps/check-application.js';
import { checkMoments } from './apps/check-moments.js';
import { checkLive } from './check-live.js';
import { checkSnapshots } from './check-snapshots.js';
import { pretendReboot } from './cut.js';
import { enginePast } from './engine-past.js';
import { forge } from './forgery.js';
import type { Forgery } from './forgery.js';
import type { Cut } from './journal.js';
import { reachAt } from './witness.js';
import type { Witness } from './witness.js';

export interface QuicklyExamined {
  readonly complaints: readonly string[];
  /** Synced bytes came out of the log into files. */
  readonly isReplayed: boolean;
  readonly snapshotsCompared: number;
  /** The forgery was one of something that recovery needs. */
  readonly isForged: boolean;
}

type Found = { -readonly [key in keyof QuicklyExamined]: QuicklyExamined[key] } & { complaints: string[] };

export interface QuickExamination {
  readonly image: string;
  /** An empty directory. */
  readonly mountpoint: string;
  readonly witness: Witness;
  /** Tells which promises count. */
  readonly promises: Cut;
  readonly forgery: Forgery;
  readonly depth: 'live' | 'past';
}

/** What goes wrong on the way is a complaint, too. */
export async function examineQuickly(examination: QuickExamination): Promise<QuicklyExamined> {
  const found: Found = { complaints: [], isReplayed: false, snapshotsCompared: 0, isForged: false };
  try {
    execFileSync('mount', ['-o', 'loop', examination.image, examination.mountpoint], { stdio: 'pipe' });
    try {
      await examineMounted(examination, found);
    } finally {
      await unmount(examination.mountpoint);
    }
  } catch (error) {
    found.complaints.push(String(error));
  }
  return found;
}

async function examineMounted({ mountpoint, witness, promises, forgery, depth }: QuickExamination, found: Found): Promise<void> {
  const root = join(mountpoint, 'protected');
  mkdirSync(root, { recursive: true });
  found.isForged = await forge(forgery, mountpoint, root);
  if (depth === 'past') await recoverAndLookBack(root, promises, witness, found);
  else await recover(root, found);
  for (const lane of witness.lanes) found.complaints.push(...(await checkLive(lane, reachAt(witness, lane, promises.position), join(root, lane.directory))));
  // At last, as it is done past Tidemark: an application changes what it opens.
  found.complaints.push(...(await checkApplications(witness, promises.position, root)));
}

async function recover(root: string, found: Found): Promise<void> {
  const { files, native } = openStore(root, {}, await loadAddon());
  noteRecovery(native.recovery, found);
  await native.close();
  files.close();
}

async function recoverAndLookBack(root: string, cut: Cut, witness: Witness, found: Found): Promise<void> {
  pretendReboot(root);
  const volume = await Volume.open(root);
  try {
    noteRecovery(volume.native.recovery, found);
    const { faults } = await volume.verify();
    found.complaints.push(...faults.map(({ where, what }) => `verify: ${where}: ${what}`));
    for (const lane of witness.lanes) {
      const { complaints, compared } = await checkSnapshots(lane, cut, witness, enginePast(volume));
      found.complaints.push(...complaints);
      found.snapshotsCompared += compared;
    }
    const { complaints, compared } = await checkMoments(witness, cut, enginePast(volume));
    found.complaints.push(...complaints);
    found.snapshotsCompared += compared;
  } finally {
    await volume.close();
  }
}

function noteRecovery({ damagedAt, replayed }: RecoveryReport, found: Found): void {
  if (damagedAt.length > 0) found.complaints.push(`the log is damaged at ${damagedAt.join(', ')}`);
  found.isReplayed = replayed.length > 0;
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
