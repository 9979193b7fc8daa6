/**
 * One round of power cuts: a recording, cuts of it, and cuts of the recovery from one of them. In: a seed and how much of each. Out: what was found.
 *
 * Invariants:
 * 1. A round that has little time leaves out whole batches of cuts; each batch has cuts from all of the recording.
 */
import { withMount } from '../support/mount.js';
import { Random } from '../support/seed.js';
import { Moments } from '../model/moments.js';
import { pretendReboot } from './cut.js';
import { chooseAnyCuts, chooseCuts, examineCuts, keepImage } from './cuts.js';
import type { CutResult } from './cuts.js';
import { CutImages, readEntries } from './journal.js';
import type { Cut } from './journal.js';
import { RecordingDisk } from './recording-disk.js';
import type { FileSystem } from './recording-disk.js';
import { withRecording } from './recording.js';
import type { Recording } from './recording.js';
import { work } from './workload.js';

export interface RoundOptions {
  readonly seed: number;
  readonly lanes: number;
  /** What each lane does in each of two sessions. */
  readonly steps: number;
  readonly batches: number;
  readonly cutsEach: number;
  /** Cuts while Tidemark recovers from another cut. */
  readonly cutsOfRecovery: number;
  /** As in RecordingOptions. */
  readonly fileSystem?: FileSystem;
  /** Of `tidemark mount`. */
  readonly arguments?: readonly string[];
  /** No further batch is begun then. */
  readonly isLate?: () => boolean;
}

interface Listener {
  comment(...words: unknown[]): void;
}

export async function runRound(t: Listener, options: RoundOptions): Promise<CutResult[]> {
  const random = new Random(options.seed);
  const results: CutResult[] = [];
  const { steps, batches, cutsEach, cutsOfRecovery } = options;
  await withRecording(t, { ...options, seed: random.below(2 ** 32), sessions: 2, work: (lane, own) => work(lane, own, steps) }, async (recording) => {
    const entries = readEntries(recording.journal);
    t.comment(`${recording.witness.lanes.reduce((sum, { operations }) => sum + operations.length, 0)} operations, ${entries.length} records`);
    for (let batch = 0; batch < batches && options.isLate?.() !== true; batch += 1) {
      results.push(...(await examineCuts(t, recording, chooseCuts(recording, entries, cutsEach, random), { keep: keepImage })));
    }
    const [first] = chooseCuts(recording, entries, 1, random);
    if (first !== undefined && cutsOfRecovery > 0) results.push(...(await cutRecovery(t, recording, first, cutsOfRecovery, random)));
  });
  return results;
}

/** A line for people. */
export function summary(results: readonly CutResult[]): string {
  const sum = (count: (result: CutResult) => number): number => results.reduce((total, result) => total + count(result), 0);
  return `${results.length} cuts took ${sum(({ writesLost }) => writesLost)} writes; ${sum(({ snapshotsCompared }) => snapshotsCompared)} snapshots are as they were, ${sum(({ snapshotsLost }) => snapshotsLost)} of the last moment are gone`;
}

/** Recovers from a cut on a disk that records, and cuts that. */
async function cutRecovery(t: Listener, recording: Recording, first: Cut, count: number, random: Random): Promise<CutResult[]> {
  const results: CutResult[] = [];
  await withRecovery(t, recording, first, async (again) => {
    results.push(...(await examineCuts(t, again, chooseAnyCuts(readEntries(again.journal), count, random), { promises: first, keep: keepImage })));
  });
  return results;
}

/** Records how Tidemark recovers from a cut, until it is unmounted again; then runs the body. What counts as promised is what was at that cut. */
export async function withRecovery(t: Listener, recording: Recording, first: Cut, body: (again: Recording) => Promise<void>): Promise<void> {
  const { base, journal, memory, witness } = recording;
  const image = `${memory}/recovered`;
  const images = CutImages.open(readEntries(journal), { base, journal, rolling: `${memory}/rolling` });
  images.make(first, image);
  images.close();
  let disk: RecordingDisk | undefined;
  const prepare = async (directory: string): Promise<void> => {
    disk = new RecordingDisk(directory);
    await disk.start(image);
    pretendReboot(directory);
  };
  await withMount(t, { prepare }, async (mount) => {
    if (disk === undefined) throw new Error('the disk was prepared');
    const moments = await Moments.connect(mount);
    await moments.last();
    moments.close();
    await mount.unmount();
    await disk.stop();
    await body({ witness, base: disk.base, journal: disk.journal, memory: disk.memory, start: 0 });
  });
}
