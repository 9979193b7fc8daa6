/**
 * Examines cuts quickly, thousands of them, in several processes. In: a recording, cuts in their order. Out: what was found; of the first cuts with complaints
 * image and witness are kept, with the command that examines them again.
 *
 * Invariants:
 * 1. Each cut has a result: that of one at which a process ended, or hung, is a complaint, and another process goes on behind it.
 * 2. The processes end with this one; what they mounted lies in the recording's place, which unmounts it when it goes.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { run, start } from '../support/processes.js';
import { keepImage } from './cuts.js';
import { CutImages, readEntries } from './journal.js';
import type { Cut, ImageOptions } from './journal.js';
import type { Forgery } from './forgery.js';
import type { QuicklyExamined } from './quick-cut.js';
import type { Recording } from './recording.js';
import type { Witness } from './witness.js';

/** What a process is told; it takes its share of the cuts. */
export interface QuickJob {
  readonly base: string;
  readonly journal: string;
  readonly witness: Witness;
  readonly cuts: readonly Cut[];
  readonly promises: Cut | undefined;
  readonly forgery: Forgery;
  readonly disk: ImageOptions;
  readonly pastIn: number;
}

/** What it tells of each. */
export interface QuickLine extends QuicklyExamined {
  /** Writes that the cut took or tore. */
  readonly writesLost: number;
}

export interface QuickResult extends QuickLine {
  readonly cut: Cut;
  /** The command that examines this cut again; undefined when it was not kept. */
  readonly recipe: string | undefined;
}

export interface QuickOptions {
  /** As in ExamineOptions. */
  readonly promises?: Cut;
  /** Default: none; of forged cuts nothing is kept. */
  readonly forgery?: Forgery;
  /** Default: an honest disk; of cuts of another nothing is kept. */
  readonly disk?: ImageOptions;
  /** After one cut in so many the past is looked at, too, which takes some times as long; default 20. */
  readonly pastIn?: number;
}

/** A cut takes a tenth of a second. */
const hangsMs = 60_000;
/** Each has two images in memory. */
const mostProcesses = 4;
/** One with complaints is followed by others like it. */
const mostKept = 3;
const program = fileURLToPath(new URL('quick-worker.js', import.meta.url));

/** What a process has to itself; the one that goes on for it has the same. `share`: the first cut of all that it has to examine. */
export function placesOf(job: string, share: number): { readonly image: string; readonly rolling: string; readonly mountpoint: string } {
  return { image: `${job}-image-${share}`, rolling: `${job}-rolling-${share}`, mountpoint: join(dirname(dirname(job)), `quick-${share}`) };
}

/** In the order of the cuts. */
export async function examineCutsQuickly(recording: Recording, cuts: readonly Cut[], options: QuickOptions = {}): Promise<QuickResult[]> {
  const { base, journal, memory, witness } = recording;
  const { promises, forgery = 'none', disk = {}, pastIn = 20 } = options;
  const processes = Math.min(availableParallelism(), mostProcesses);
  const job = join(memory, 'quick-job');
  writeFileSync(job, serialize({ base, journal, witness, cuts, promises, forgery, disk, pastIn } satisfies QuickJob));
  const lines = new Array<QuickLine>(cuts.length);
  await Promise.all(Array.from({ length: processes }, (_, first) => examineShare(job, lines, first, processes)));
  rmSync(job);
  const bad = cuts.filter((_, index) => lines[index]!.complaints.length > 0);
  const recipes = forgery === 'none' && options.disk === undefined ? keepCuts(recording, bad.slice(0, mostKept), promises) : new Map<Cut, string>();
  return cuts.map((cut, index) => ({ cut, recipe: recipes.get(cut), ...lines[index]! }));
}

/** A line for people. */
export function quickSummary(results: readonly QuickResult[]): string {
  const sum = (count: (result: QuickResult) => number): number => results.reduce((total, result) => total + count(result), 0);
  const replayed = results.filter(({ isReplayed }) => isReplayed).length;
  return `${results.length} cuts took ${sum(({ writesLost }) => writesLost)} writes; after ${replayed} of them synced bytes came out of the log; ${sum(({ snapshotsCompared }) => snapshotsCompared)} snapshots are as they were`;
}

async function examineShare(job: string, lines: QuickLine[], first: number, step: number): Promise<void> {
  for (let next = first; next < lines.length; next += step) {
    const child = start(process.execPath, ['--expose-gc', program, job, `${next}`, `${step}`]);
    if (child.stdout === null || child.stderr === null) throw new Error('the process has pipes');
    const said = text(child.stderr);
    const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const timer = setTimeout(() => child.kill('SIGKILL'), hangsMs);
    for await (const line of createInterface({ input: child.stdout })) {
      timer.refresh();
      lines[next] = JSON.parse(line) as QuickLine;
      next += step;
    }
    const [status, signal] = await ended;
    clearTimeout(timer);
    if (next >= lines.length) return;
    await clearAway(placesOf(job, first));
    lines[next] = { writesLost: 0, isReplayed: false, isForged: false, snapshotsCompared: 0, complaints: [`the process of the addon ended with ${signal ?? `status ${status}`}: ${await said}`] };
  }
}

/** What a process left that ended before its time. */
async function clearAway({ image, mountpoint }: { readonly image: string; readonly mountpoint: string }): Promise<void> {
  await run('umount', ['--lazy', mountpoint]);
  rmSync(image, { force: true });
}

function keepCuts({ base, journal, memory, witness }: Recording, cuts: readonly Cut[], promises: Cut | undefined): Map<Cut, string> {
  const recipes = new Map<Cut, string>();
  const images = CutImages.open(readEntries(journal), { base, journal, rolling: join(memory, 'rolling') });
  for (const cut of cuts) {
    const image = join(memory, 'kept');
    images.make(cut, image);
    recipes.set(cut, keepImage(image, { cut: promises ?? cut, witness }));
    rmSync(image);
  }
  images.close();
  return recipes;
}
