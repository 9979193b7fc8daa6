/**
 * Rounds of power cuts for the intent log, most of them examined quickly (quick-cut.ts). In: a seed and how much of each. Out: what was found.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../support/seed.js';
import { commitOnly, commitSmall } from './commits.js';
import { chooseAnyCuts, chooseCuts } from './cuts.js';
import { readEntries } from './journal.js';
import { examineCutsQuickly } from './quick-cuts.js';
import type { QuickResult } from './quick-cuts.js';
import { withRecording } from './recording.js';
import type { Recording } from './recording.js';
import { withRecovery } from './round.js';

interface Listener {
  comment(...words: unknown[]): void;
}

export interface CommitRoundOptions {
  readonly seed: number;
  readonly lanes: number;
  /** Of each part of the workload. */
  readonly steps: number;
  /** As in RecordingOptions. */
  readonly arguments?: readonly string[];
}

/** Records databases at work, then runs the body. */
export async function withCommits(t: Listener, options: CommitRoundOptions, body: (recording: Recording, random: Random) => Promise<void>): Promise<void> {
  const random = new Random(options.seed);
  const work = { ...options, seed: random.below(2 ** 32), sessions: 1, writesBackIn: 6 };
  await withRecording(t, { ...work, work: (lane, own) => commitSmall(lane, own, options.steps) }, async (recording) => {
    t.comment(`${recording.witness.lanes.reduce((sum, { operations }) => sum + operations.length, 0)} operations`);
    await body(recording, random);
  });
}

export async function cutQuickly(recording: Recording, count: number, random: Random): Promise<QuickResult[]> {
  return examineCutsQuickly(recording, chooseCuts(recording, readEntries(recording.journal), count, random));
}

/** Cuts while Tidemark recovers from another cut. */
export async function cutRecoveryQuickly(t: Listener, recording: Recording, count: number, random: Random): Promise<QuickResult[]> {
  const [first] = chooseCuts(recording, readEntries(recording.journal), 1, random);
  if (first === undefined) return [];
  const results: QuickResult[] = [];
  await withRecovery(t, recording, first, async (again) => {
    results.push(...(await examineCutsQuickly(again, chooseAnyCuts(readEntries(again.journal), count, random), { promises: first })));
  });
  return results;
}

/** A segment of the log (native/src/log.h), and how often files are retired (native/src/session.h). */
const segmentBytes = 64 * 2 ** 20;
const retireEveryMs = 5000;
const bulkBytes = 4 * 2 ** 20;

/**
 * Records commits, and beside them so many bytes overwritten that the log goes through a whole segment within the time that intents are outstanding: then
 * only the floor that a segment tells leads recovery back to them.
 */
export async function withRolls(t: Listener, seed: number, body: (recording: Recording, random: Random) => Promise<void>): Promise<void> {
  const random = new Random(seed);
  let isOver = false;
  let rolledAt = 0;
  const beside = async (root: string, position: () => number): Promise<void> => {
    const start = performance.now();
    await overwrite(join(root, 'bulk'), segmentBytes * 3 / 4);
    // The retirer has just been there then: what is committed now stays outstanding.
    await sleep(retireEveryMs - ((performance.now() - start) % retireEveryMs) + 500);
    await overwrite(join(root, 'bulk'), segmentBytes * 5 / 4);
    rolledAt = position();
    await sleep(200);
    isOver = true;
  };
  // What the kernel writes by itself needs no intent any more.
  const options = { seed: random.below(2 ** 32), lanes: 2, sessions: 1, writesBackIn: Infinity, beside };
  await withRecording(t, { ...options, work: (lane, own) => commitOnly(lane, own, () => isOver) }, (recording) => body({ ...recording, start: rolledAt }, random));
}

/** Has so many bytes of history written, a transaction for each time that the file is overwritten. */
async function overwrite(path: string, byteCount: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let written = 0; written <= byteCount; written += bulkBytes) {
      // The first time it is new, and nothing is destroyed.
      await file.write(Buffer.alloc(bulkBytes, 1 + (written / bulkBytes) % 255), 0, bulkBytes, 0);
      await file.datasync();
    }
  } finally {
    await file.close();
  }
}
