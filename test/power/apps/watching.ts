/**
 * What goes on around applications while they are recorded: their past is read and remembered, the kernel writes their files to the disk whenever it likes, and once
 * in a while somebody syncs the whole file system. In: a mount at work. Out: what the witness learns of it.
 *
 * Invariants:
 * 1. A moment is remembered when all of it could be read.
 */
import { mkdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Mount } from '../../support/mount.js';
import type { Random } from '../../support/seed.js';
import type { Surroundings } from '../surroundings.js';
import type { RecordingDisk } from '../recording-disk.js';
import { readTree } from '../trees.js';
import { logSyncBegins } from '../witness.js';
import type { Witness } from '../witness.js';
import type { Application } from './application.js';
import { digestsOf } from './digests.js';
import type { Digests } from './digests.js';

/** Chances of each round, one in so many. */
const remembersIn = 2;
const syncsIn = 40;
const longestPauseMs = 40;

export async function prepareApplication(directory: string, application: Application): Promise<void> {
  const { witness } = application;
  const root = join(directory, witness.directory);
  mkdirSync(root);
  await application.prepare(root);
  witness.initial = digestsOf(await readTree(root));
}

/** Until the work is over. */
export async function watchApplications(mount: Mount, disk: RecordingDisk, around: Surroundings, random: Random, until: Promise<unknown>): Promise<void> {
  let isOver = false;
  void until.then(() => (isOver = true));
  while (!isOver) {
    await writeBackOne(mount, disk, around, random);
    if (random.oneIn(remembersIn)) await remember(mount, around);
    if (random.oneIn(syncsIn)) await syncFileSystem(disk, around.witness);
    await sleep(random.below(longestPauseMs));
  }
  await remember(mount, around);
}

/** All that was done before it is on the disk, with its history. */
export async function syncFileSystem(disk: RecordingDisk, witness: Witness): Promise<void> {
  const began = logSyncBegins(witness);
  await disk.syncAll();
  const sync = { ...began, at: disk.position() };
  witness.logSyncs.push(sync);
  witness.fileSystemSyncs.push(sync);
}

async function writeBackOne(mount: Mount, disk: RecordingDisk, { witness }: Surroundings, random: Random): Promise<void> {
  const directories = [...witness.applications, ...witness.lanes].map(({ directory }) => directory);
  const directory = random.pick(directories);
  const names = await readdir(mount.path(directory), { recursive: true });
  await disk.writeBack(join(directory, random.pick(['', ...names])));
}

async function remember(mount: Mount, { witness, lastTransaction, position }: Surroundings): Promise<void> {
  const { done } = logSyncBegins(witness);
  const { txid, timeNs } = await lastTransaction();
  witness.moment += 1;
  const { moment } = witness;
  const trees = new Map<string, Digests>();
  for (const { directory } of witness.applications) trees.set(directory, digestsOf(await readTree(mount.path('.snapshots', `@txn-${txid}`, directory))));
  witness.moments.push({ txid, timeNs: BigInt(timeNs), at: position(), moment, done, trees });
}
