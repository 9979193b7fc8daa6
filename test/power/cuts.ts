/**
 * Chooses cuts of a recording, makes their images and examines them. In: a recording. Out: what was found; of a cut with complaints,
 * if wanted, image and witness are kept, with the command that examines them again.
 *
 * Invariants:
 * 1. A quarter of the cuts come right behind a promise, where it is newest, half of them right before a flush, where most is at stake, the
 *    others anywhere.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import type { Random } from '../support/seed.js';
import { examine } from './cut.js';
import type { Examined } from './cut.js';
import { CutImages, readEntries } from './journal.js';
import type { Cut, Entry, ImageOptions } from './journal.js';
import { copySparse } from './recording-disk.js';
import type { Recording } from './recording.js';
import { workersOf } from './witness.js';
import type { Witness } from './witness.js';

export interface CutResult extends Examined {
  readonly cut: Cut;
  /** Writes that the cut took or tore. */
  readonly writesLost: number;
  /** The command that examines this cut again; undefined when it was not kept. */
  readonly recipe: string | undefined;
}

/** What is kept beside the image of a cut with complaints. */
export interface Kept {
  /** Tells which promises count. */
  readonly cut: Cut;
  readonly witness: Witness;
}

interface Listener {
  comment(...words: unknown[]): void;
}

export function chooseCuts(recording: Recording, entries: readonly Entry[], count: number, random: Random): Cut[] {
  const { start, witness } = recording;
  const anywhere = entries.map(({ end }) => end).filter((end) => end > start);
  const beforeFlush = entries.filter(({ end }, index) => end > start && entries[index + 1]?.kind === 'flush').map(({ end }) => end);
  const ended = workersOf(witness).flatMap(({ operations }) => operations.map(({ endedAt }) => endedAt ?? 0));
  const promises = [...ended, ...witness.lanes.flatMap(({ snapshots }) => snapshots.map(({ at }) => at)), ...witness.moments.map(({ at }) => at)];
  const places = [promises.filter((at) => at > start), beforeFlush, beforeFlush, anywhere];
  return chooseFrom(places, count, random);
}

/** Cuts right before a flush or anywhere. */
export function chooseAnyCuts(entries: readonly Entry[], count: number, random: Random): Cut[] {
  const beforeFlush = entries.filter((_, index) => entries[index + 1]?.kind === 'flush').map(({ end }) => end);
  return chooseFrom([beforeFlush, entries.map(({ end }) => end)], count, random);
}

export interface ExamineOptions {
  /** No further cut is examined then. */
  readonly enough?: (result: CutResult) => boolean;
  /** The cut that tells which promises count, when it is not the cut itself. */
  readonly promises?: Cut;
  /** Default: an honest disk. */
  readonly disk?: ImageOptions;
  /** Keeps an image with complaints; gives the command that examines it again. */
  readonly keep?: (image: string, kept: Kept) => string;
}

/** Examines cuts in their order. */
export async function examineCuts(
  t: Listener,
  recording: Recording,
  cuts: readonly Cut[],
  options: ExamineOptions = {},
): Promise<CutResult[]> {
  const { base, journal, memory, witness } = recording;
  const images = CutImages.open(readEntries(journal), { base, journal, rolling: join(memory, 'rolling') }, options.disk);
  const results: CutResult[] = [];
  try {
    for (const cut of cuts) {
      // A file of its own: the file system of the last one may still be on its way out, and write.
      const [image, examined] = [join(memory, `cut-${results.length}`), join(memory, `examined-${results.length}`)];
      const writesLost = images.make(cut, image);
      copySparse(image, examined);
      const promises = options.promises ?? cut;
      const found = await examine(t, examined, promises, witness);
      const recipe = found.complaints.length === 0 ? undefined : options.keep?.(image, { cut: promises, witness });
      for (const path of [image, examined]) rmSync(path);
      const result = { cut, writesLost, recipe, ...found };
      results.push(result);
      if (options.enough?.(result) === true) break;
    }
  } finally {
    images.close();
  }
  return results;
}

/** Which cut it was, for people. */
export function told({ cut, recipe }: Pick<CutResult, 'cut' | 'recipe'>): string {
  return `a cut at ${cut.position}, seed ${cut.seed}${recipe === undefined ? '' : `; again: ${recipe}`}`;
}

/** Keeps an image outside of the place, which goes; as ExamineOptions.keep. */
export function keepImage(image: string, kept: Kept): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-power-'));
  copySparse(image, join(directory, 'image'));
  writeFileSync(join(directory, 'witness'), serialize(kept));
  return `node dist/test/power/repeat.js ${directory}`;
}

function chooseFrom(places: readonly (readonly number[])[], count: number, random: Random): Cut[] {
  const known = places.filter(({ length }) => length > 0);
  const cuts = Array.from({ length: count }, () => ({ position: random.pick(random.pick(known)), seed: random.below(2 ** 32) }));
  return cuts.sort((one, other) => one.position - other.position);
}
