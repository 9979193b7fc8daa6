/**
 * The power-cut harness can fail: on a bare ext4 it takes what was not synced and nothing else; a disk that ignores flushes, and a history that does not
 * wait for them (`--history=relaxed`, and the default where it is taken for `--history=exact`), are found out. So when power-cut.test.ts finds nothing, there was something to be found.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot, makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';
import { examineCuts } from './cuts.js';
import { CutImages, readEntries } from './journal.js';
import type { Cut, Entry } from './journal.js';
import { mountImage, RecordingDisk } from './recording-disk.js';
import { withRecording } from './recording.js';
import { changeEach, overwriteOnly } from './workload.js';

t.setTimeout(300_000);

const seed = chooseSeed();
const random = new Random(seed);
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc') : 'needs root';
const content = 'x'.repeat(10_000);

interface Made {
  readonly name: string;
  readonly isSynced: boolean;
  /** The journal's length when the calls had returned. */
  readonly at: number;
}

interface Seen {
  /** Synced files that a cut behind their fsync took. */
  readonly broken: number;
  /** Files without fsync that a cut took. */
  readonly lost: number;
  readonly flushes: number;
}

/** Writes files on the bare file system, every other one with fsync, and cuts. */
async function cutBareDisk(ignoresFlushes: boolean): Promise<Seen> {
  const place = makePlace();
  try {
    const directory = join(place, 'protected');
    mkdirSync(directory);
    const disk = new RecordingDisk(directory);
    await disk.start();
    const made: Made[] = [];
    for (let index = 0; index < 24; index += 1) {
      const name = `file-${index}`;
      const file = await open(join(directory, name), 'w');
      await file.writeFile(content);
      if (index % 2 === 0) await file.sync();
      await file.close();
      made.push({ name, isSynced: index % 2 === 0, at: disk.position() });
    }
    await disk.stop();
    const entries = readEntries(disk.journal);
    const cuts = made.map(({ at }): Cut => ({ position: at, seed: random.below(2 ** 32) }));
    return { ...(await lookAfterCuts(disk, entries, cuts, made, ignoresFlushes)), flushes: entries.filter(({ kind }) => kind === 'flush').length };
  } finally {
    removePlace(place);
  }
}

async function lookAfterCuts(disk: RecordingDisk, entries: readonly Entry[], cuts: readonly Cut[], made: readonly Made[], ignoresFlushes: boolean): Promise<Omit<Seen, 'flushes'>> {
  const images = CutImages.open(entries, { base: disk.base, journal: disk.journal, rolling: join(disk.memory, 'rolling') }, { ignoresFlushes });
  let broken = 0;
  let lost = 0;
  for (const cut of cuts) {
    const image = join(disk.memory, `cut-${cut.position}`);
    images.make(cut, image);
    const place = makePlace();
    try {
      const directory = join(place, 'protected');
      mkdirSync(directory);
      await mountImage(image, directory);
      for (const { name, isSynced } of made.filter(({ at }) => at <= cut.position)) {
        const isWhole = existsSync(join(directory, name)) && readFileSync(join(directory, name), 'latin1') === content;
        if (!isWhole && isSynced) broken += 1;
        if (!isWhole && !isSynced) lost += 1;
      }
    } catch {
      // The disk is in such a state that nothing can be read.
      broken += 1;
    } finally {
      removePlace(place);
    }
  }
  images.close();
  return { broken, lost };
}

void t.test('on a bare file system a cut takes what was not synced, and nothing that was', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const { broken, lost, flushes } = await cutBareDisk(false);
  t.ok(flushes >= 12, `${flushes} flushes came to the disk for 12 fsyncs`);
  t.equal(broken, 0, 'synced files that were taken');
  t.ok(lost > 0, `${lost} times a file without fsync was taken`);
});

void t.test('a disk that ignores flushes is found out', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const { broken } = await cutBareDisk(true);
  t.ok(broken > 0, `${broken} times a synced file was taken`);
});

void t.test('a history that does not wait for the disk is found out', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const options = { seed: random.below(2 ** 32), lanes: 2, sessions: 1, arguments: ['--history=relaxed'] };
  await withRecording(t, { ...options, work: (lane, own) => overwriteOnly(lane, own, 15) }, async (recording) => {
    // Right behind the fsync of an overwrite: its bytes are on the disk, those that they replaced perhaps nowhere.
    const places = recording.witness.lanes.flatMap(({ operations }) => operations.slice(1).map(({ endedAt }) => endedAt ?? 0)).sort((one, other) => one - other);
    const cuts = places.map((position) => ({ position, seed: random.below(2 ** 32) }));
    const results = await examineCuts({ comment: () => undefined }, recording, cuts, { enough: ({ complaints }) => complaints.length > 0 });
    t.match(results.at(-1)?.complaints.join('\n'), /differs at byte/, `found at cut ${results.length} of ${cuts.length}`);
  });
});

void t.test('a history in which some changes do not wait is not exact', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const options = { seed: random.below(2 ** 32), lanes: 1, sessions: 1, writesBackIn: 1, isExact: true };
  await withRecording(t, { ...options, work: changeEach }, async (recording) => {
    const cuts = recording.witness.writeBacks.map((position) => ({ position, seed: random.below(2 ** 32) }));
    const results = await examineCuts({ comment: () => undefined }, recording, cuts, { enough: ({ complaints }) => complaints.length > 0 });
    t.match(results.at(-1)?.complaints.join('\n'), /was not there|has mode|differs at byte|has to be/, `found at cut ${results.length} of ${cuts.length}`);
  });
});
