/**
 * What the lanes of a power-cut test do: chooses operations as applications mix them, most of them with the syncs that make them promises.
 *
 * Invariants:
 * 1. The choice depends on the random numbers and on what the lane has, on nothing else.
 */
import type { Random } from '../support/seed.js';
import type { LaneWork, Syncing } from './lane.js';

const names = ['a', 'b', 'c', 'd', 'e', 'sub/a', 'sub/b'] as const;
const directories = ['x', 'y'] as const;
const syncings: readonly Syncing[] = ['none', 'none', 'none', 'data', 'full'];
/** Around pages, and enough for extents of 64 KiB. */
const lengths = [1, 100, 4096, 4097, 8192, 12_000, 20_000, 70_000, 140_000];
const biggest = 400_000;

type Step = (work: LaneWork, random: Random) => Promise<void>;

const overwrite: Step = async (work, random) => {
  const path = file(work, random);
  const size = work.sizeOf(path);
  const length = Math.min(random.pick(lengths), Math.max(1, size));
  const offset = random.below(Math.max(1, size - length));
  await work.write(path, random.oneIn(2) ? offset - (offset % 4096) : offset, length, random.pick(syncings));
};

const append: Step = async (work, random) => {
  const path = file(work, random);
  const size = work.sizeOf(path);
  if (size > biggest) await work.truncate(path, random.below(size));
  else await work.write(path, size, random.pick(lengths), random.pick(syncings));
};

const create: Step = async (work, random) => {
  const path = free(work, random);
  if (path === undefined) return overwrite(work, random);
  await work.create(path, random.pick(lengths), random.pick(syncings));
  if (random.oneIn(2)) await syncDirectoryOf(work, path);
};

/** A temporary file takes the place of another, as editors and databases save. */
const replace: Step = async (work, random) => {
  const target = random.pick(names);
  const aside = target.startsWith('sub/') ? 'sub/.aside' : '.aside';
  await work.create(aside, random.pick(lengths), random.oneIn(5) ? 'none' : 'full');
  await work.rename(aside, target);
  if (!random.oneIn(4)) await syncDirectoryOf(work, target);
};

const rename: Step = async (work, random) => {
  const to = random.pick(names);
  await work.rename(file(work, random), to);
  if (random.oneIn(2)) await syncDirectoryOf(work, to);
};

const unlink: Step = async (work, random) => {
  if (work.paths('file').length < 3) return create(work, random);
  const path = file(work, random);
  await work.unlink(path);
  if (random.oneIn(2)) await syncDirectoryOf(work, path);
};

const link: Step = async (work, random) => {
  const to = free(work, random);
  if (to === undefined) return unlink(work, random);
  await work.link(file(work, random), to);
};

const directory: Step = async (work, random) => {
  const path = random.pick(directories);
  if (work.isFree(path)) await work.mkdir(path);
  else await work.rmdir(path);
  if (random.oneIn(2)) await work.syncDirectory('');
};

const truncate: Step = async (work, random) => {
  const path = file(work, random);
  await work.truncate(path, random.below(work.sizeOf(path) + 5000));
  if (random.oneIn(3)) await work.syncFile(path, 'full');
};

const punch: Step = async (work, random) => {
  const path = file(work, random);
  const size = work.sizeOf(path);
  if (size < 2) return append(work, random);
  const offset = random.below(size - 1);
  await work.punch(path, offset, 1 + random.below(size - offset - 1));
};

const steps: readonly Step[] = [
  overwrite, overwrite, overwrite, overwrite, overwrite, append, append, create, create, replace, replace, rename, unlink, link, directory, truncate, punch,
  (work, random) => work.rewrite(file(work, random), random.pick(lengths), random.pick(syncings)),
  (work, random) => work.chmod(file(work, random), random.pick([0o600, 0o640, 0o644, 0o755])),
  (work, random) => work.touchAndChmod(file(work, random), random.pick([0o600, 0o640, 0o644, 0o755])),
  (work, random) => work.syncFile(file(work, random), random.pick(['data', 'full'])),
  (work, random) => work.syncDirectory(random.pick(['', 'sub'])),
];

/** Does so many steps, and remembers a snapshot every now and then. */
export async function work(lane: LaneWork, random: Random, stepCount: number): Promise<void> {
  for (let step = 0; step < stepCount; step += 1) {
    await random.pick(steps)(lane, random);
    if (random.oneIn(5)) await lane.remember();
  }
}

/** Whatever destroys something, once each, with a snapshot before it: history has to be on the disk before the kernel writes what was done. */
export async function destroyEach(lane: LaneWork): Promise<void> {
  // None on the file of the one before, which may be under way when the power goes.
  const steps = [
    () => lane.truncate('b', 50_000),
    () => lane.punch('old', 4096, 10_000),
    () => lane.write('b', 4000, 9000, 'none'),
    () => lane.chmod('old', 0o600),
    () => lane.touchAndChmod('a', 0o640),
    () => lane.rename('sub/a', 'c'),
    () => lane.rewrite('a', 100, 'none'),
    () => lane.rename('old', 'sub/old'),
    () => lane.unlink('b'),
    // Nothing in the log speaks of it yet.
    () => lane.unlink('sub/still'),
    () => lane.truncate('a', 50),
  ];
  for (const step of steps) {
    await lane.remember();
    await step();
  }
}

/** What waits for the log only where every change does, once each, with a snapshot before it. */
export async function changeEach(lane: LaneWork): Promise<void> {
  const steps = [
    () => lane.create('c', 9000, 'none'),
    () => lane.write('a', 5000, 20_000, 'none'),
    () => lane.link('old', 'd'),
    () => lane.mkdir('x'),
    () => lane.unlink('old'),
    () => lane.truncate('sub/old', 9000),
    () => lane.rename('c', 'sub/c'),
    () => lane.chmod('sub/c', 0o600),
    () => lane.rmdir('x'),
    () => lane.unlink('sub/still'),
    () => lane.touchAndChmod('d', 0o600),
    () => lane.unlink('sub/c'),
  ];
  for (const step of steps) {
    await lane.remember();
    await step();
  }
}

/** Overwrites and little else, each synced and with a snapshot before it: what the order of log and file is there for. */
export async function overwriteOnly(lane: LaneWork, random: Random, stepCount: number): Promise<void> {
  for (let step = 0; step < stepCount; step += 1) {
    await lane.remember();
    const path = file(lane, random);
    const offset = random.below(Math.max(1, lane.sizeOf(path) - 4096));
    await lane.write(path, offset, Math.min(4096, lane.sizeOf(path)), 'data');
  }
}

function file(work: LaneWork, random: Random): string {
  return random.pick(work.paths('file'));
}

function free(work: LaneWork, random: Random): string | undefined {
  const all = names.filter((path) => work.isFree(path));
  return all.length === 0 ? undefined : random.pick(all);
}

async function syncDirectoryOf(work: LaneWork, path: string): Promise<void> {
  await work.syncDirectory(path.startsWith('sub/') ? 'sub' : '');
}
