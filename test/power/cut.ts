/**
 * One power cut: mounts the image as it is after the cut, lets Tidemark recover, and checks every promise that had been made by then.
 * In: an image, the cut, the witness. Out: complaints; none when all is well.
 *
 * Invariants:
 * 1. `tidemark mount` works at once, and `tidemark verify` finds nothing.
 * 2. The live tree is as check-live.ts says, the past as check-snapshots.ts and apps/check-moments.ts say; applications find what they were promised.
 * 3. A write through the mount works afterwards, and the past has it.
 * 4. The image is changed by that: it serves for one examination.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Moments } from '../model/moments.js';
import { withDirectory } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { checkApplications } from './apps/check-application.js';
import { checkMoments } from './apps/check-moments.js';
import { checkLive } from './check-live.js';
import { checkSnapshots } from './check-snapshots.js';
import type { CheckedSnapshots, PastReader } from './check-snapshots.js';
import type { Cut } from './journal.js';
import { mountImage } from './recording-disk.js';
import { readTree } from './trees.js';
import { reachAt } from './witness.js';
import type { LaneWitness, Witness } from './witness.js';

export interface Examined {
  readonly complaints: readonly string[];
  readonly snapshotsCompared: number;
  /** Snapshots whose transaction had its END lost with the log's last records. */
  readonly snapshotsLost: number;
  /** Synced bytes came out of the log into files. */
  readonly isReplayed: boolean;
}

/** What goes wrong on the way is a complaint, too. */
export async function examine(t: { comment(...words: unknown[]): void }, image: string, cut: Cut, witness: Witness): Promise<Examined> {
  const examination = new Examination(cut, witness);
  try {
    await withDirectory(t, { prepare: (directory) => mountImage(image, directory) }, async (mount) => {
      await examination.run(mount);
      if (examination.complaints.length > 0) t.comment(mount.daemonLog().slice(-4000));
    });
  } catch (error) {
    examination.complaints.push(String(error));
  }
  return examination;
}

class Examination implements Examined {
  readonly complaints: string[] = [];
  snapshotsCompared = 0;
  snapshotsLost = 0;
  isReplayed = false;
  readonly #cut: Cut;
  readonly #witness: Witness;

  constructor(cut: Cut, witness: Witness) {
    this.#cut = cut;
    this.#witness = witness;
  }

  async run(mount: Mount): Promise<void> {
    pretendReboot(mount.directory);
    await mount.mount();
    const [status] = await mount.json('status', mount.mountpoint);
    this.isReplayed = String(status?.['notices']).includes('out of the log');
    const verified = await mount.cli('verify', mount.mountpoint);
    if (verified.status !== 0) this.complaints.push(`verify: status ${verified.status}: ${verified.stdout}${verified.stderr}`);
    const moments = await Moments.connect(mount);
    try {
      const past = mountPast(mount, moments);
      for (const lane of this.#witness.lanes) await this.#checkLane(lane, mount, past);
      this.#note(await checkMoments(this.#witness, this.#cut, past));
      this.complaints.push(...(await checkApplications(this.#witness, this.#cut.position, mount.mountpoint)));
      this.complaints.push(...(await useAgain(mount, moments)));
    } finally {
      moments.close();
    }
  }

  async #checkLane(lane: LaneWitness, mount: Mount, past: PastReader): Promise<void> {
    this.complaints.push(...(await checkLive(lane, reachAt(this.#witness, lane, this.#cut.position), mount.path(lane.directory))));
    this.#note(await checkSnapshots(lane, this.#cut, this.#witness, past));
  }

  #note({ complaints, compared, lost }: CheckedSnapshots): void {
    this.complaints.push(...complaints);
    this.snapshotsCompared += compared;
    this.snapshotsLost += lost;
  }
}

function mountPast(mount: Mount, moments: Moments): PastReader {
  return {
    timeOf: (txid) => moments.timeOf(txid).catch(() => undefined),
    ofTransaction: (txid, directory) => readTree(mount.path('.snapshots', `@txn-${txid}`, directory)),
    ofTime: (timeNs, directory) => readTree(mount.path('.snapshots', `@${moments.nameOf(timeNs)}`, directory)),
  };
}

/**
 * The index remembers the machine's boot, and is thrown away after another: its pages are not synced. Our machine did not go down, so the store
 * gets the name of another boot; of the same length and in the same place, as a real one would stand there.
 */
export function pretendReboot(directory: string): void {
  const path = join(directory, '.tidemark/index/state.json');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  try {
    const text = readFileSync(path, 'latin1');
    writeFileSync(path, text.replace(boot, boot.replaceAll(/[0-9a-f]/g, '0')), { encoding: 'latin1', flag: 'r+' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Writes once more and looks whether the present and the past have it. */
async function useAgain(mount: Mount, moments: Moments): Promise<string[]> {
  const path = mount.path('afterwards');
  await writeFile(path, 'one', { flush: true });
  const { txid } = await moments.last();
  await writeFile(path, 'two', { flush: true });
  const [past, present] = [await readFile(mount.path('.snapshots', `@txn-${txid}`, 'afterwards'), 'utf8'), await readFile(path, 'utf8')];
  return past === 'one' && present === 'two' ? [] : [`a write afterwards gave "${present}", and "${past}" in the past`];
}
