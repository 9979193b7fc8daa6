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
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { start } from '../support/processes.js';
import { keepImage } from './cuts.js';
import { CutImages, readEntries } from './journal.js';
import type { Cut } from './journal.js';
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
  /** Each has two images in memory. Default: as many as there are processors. */
  readonly processes?: number;
}

/** A cut takes a tenth of a second. */
const hangsMs = 60_000;
/** One with complaints is followed by others like it. */
const mostKept = 3;
const program = fileURLToPath(new URL('quick-worker.js', import.meta.url));

/** In the order of the cuts. */
export async function examineCutsQuickly(recording: Recording, cuts: readonly Cut[], options: QuickOptions = {}): Promise<QuickResult[]> {
  const { base, journal, memory, witness } = recording;
  const { promises, forgery = 'none', processes = availableParallelism() } = options;
  const job = join(memory, 'quick-job');
  writeFileSync(job, serialize({ base, journal, witness, cuts, promises, forgery } satisfies QuickJob));
  const lines = new Array<QuickLine>(cuts.length);
  await Promise.all(Array.from({ length: processes }, (_, first) => examineShare(job, lines, first, processes)));
  rmSync(job);
  const bad = cuts.filter((_, index) => lines[index]!.complaints.length > 0);
  const recipes = forgery === 'none' ? keepCuts(recording, bad.slice(0, mostKept), promises) : new Map<Cut, string>();
  return cuts.map((cut, index) => ({ cut, recipe: recipes.get(cut), ...lines[index]! }));
}

/** A line for people. */
export function quickSummary(results: readonly QuickResult[]): string {
  const writes = results.reduce((sum, { writesLost }) => sum + writesLost, 0);
  return `${results.length} cuts took ${writes} writes; after ${results.filter(({ isReplayed }) => isReplayed).length} of them synced bytes came out of the log`;
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
    if (next < lines.length) lines[next] = { writesLost: 0, isReplayed: false, complaints: [`the process of the addon ended with ${signal ?? `status ${status}`}: ${await said}`] };
  }
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
