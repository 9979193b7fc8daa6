/**
 * The power is cut while segments of the log are packed: each is the old one or the packed one, whole, and packed if packSegment had returned. On a disk that
 * ignores flushes this does not hold, so there is something to be found.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadAddon } from '../../engine/native.js';
import { openStore } from '../../engine/opening.js';
import { unlessInstalled } from '../support/needs.js';
import { PackedLog } from '../support/packed-log.js';
import { isRoot, makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';
import { CutImages, readEntries } from './journal.js';
import { mountImage, RecordingDisk } from './recording-disk.js';

t.setTimeout(300_000);

const seed = chooseSeed();
const random = new Random(seed);
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc') : 'needs root';
const segmentBytes = 256 << 10;
const cutCount = 60;

interface Packed {
  readonly segment: number;
  /** The journal's length when packSegment had returned. */
  readonly at: number;
}

/** What is to be there of a log. */
interface Expected {
  readonly log: PackedLog;
  readonly bases: readonly number[];
  readonly packed: readonly Packed[];
}

function isKept(lsn: number): boolean {
  return lsn % 24 === 0;
}

function segmentOf(bases: readonly number[], lsn: number): number {
  return bases.findLastIndex((base) => base <= lsn) + 1;
}

/** What is wrong with the log in an image after a cut; none when all is well. */
async function complaintsOf(image: string, position: number, { log, bases, packed }: Expected): Promise<string[]> {
  const place = makePlace();
  try {
    const directory = join(place, 'protected');
    mkdirSync(directory);
    await mountImage(image, directory);
    const { records, damage } = log.readIn(join(directory, '.tidemark/log'));
    const complaints = damage.map(({ lsn }) => `damage at ${lsn}`);
    for (let segment = 1; segment <= bases.length; segment += 1) {
      const isOfIt = ({ lsn }: { readonly lsn: number }): boolean => segmentOf(bases, lsn) === segment;
      const all = log.records.filter(isOfIt).map(({ lsn }) => lsn);
      const there = records.filter(isOfIt).map(({ lsn }) => lsn);
      const mustBePacked = packed.some((found) => found.segment === segment && found.at <= position);
      const isPacked = String(there) === String(all.filter(isKept));
      if (!isPacked && (mustBePacked || String(there) !== String(all))) complaints.push(`segment ${segment} has ${there.length} of ${all.length} records`);
    }
    const { native, files } = openStore(directory, { exclude: [] }, await loadAddon());
    await native.close();
    files.close();
    return complaints;
  } catch (error) {
    return [String(error)];
  } finally {
    removePlace(place);
  }
}

void t.test(`after a power cut a segment is the old one or the packed one, TIDEMARK_SEED=${seed}`, { skip }, async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const directory = join(place, 'protected');
  mkdirSync(directory);
  const disk = new RecordingDisk(directory);
  await disk.start();
  const log = new PackedLog(directory, random, segmentBytes).fill(900);
  log.writer.close();
  await disk.syncAll();
  const start = disk.position();
  const packed: Packed[] = [];
  for (let segment = 1; segment < log.writer.segmentCount; segment += 1) {
    if ((await log.packOne(segment, isKept)).isPacked) packed.push({ segment, at: disk.position() });
  }
  t.ok(packed.length > 5, `${packed.length} segments are packed`);
  const expected: Expected = { log, bases: log.bases(), packed };
  const end = disk.position();
  await disk.stop();
  const positions = [...packed.map(({ at }) => at), ...Array.from({ length: cutCount }, () => start + random.below(end - start))].sort((a, b) => a - b);
  for (const ignoresFlushes of [false, true]) {
    const files = { base: disk.base, journal: disk.journal, rolling: join(disk.memory, 'rolling') };
    const images = CutImages.open(readEntries(disk.journal), files, { ignoresFlushes });
    const complaints: string[] = [];
    let lost = 0;
    for (const position of positions) {
      const image = join(disk.memory, 'cut');
      lost += images.make({ position, seed: random.below(2 ** 32) }, image);
      complaints.push(...await complaintsOf(image, position, expected));
      // A file of its own for each: the mount of the last one may still be on its way out.
      rmSync(image);
      // Without flushes the file system itself seldom survives; one loss found is enough.
      if (ignoresFlushes && complaints.length > 0) break;
    }
    images.close();
    t.ok(lost > 0, `${lost} writes were lost or torn`);
    if (ignoresFlushes) t.ok(complaints.length > 0, 'a disk that ignores flushes is found out');
    else t.same(complaints, []);
  }
});
