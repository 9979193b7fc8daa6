/**
 * What databases do to their files, for the intent log: small writes to files held open, each synced, in between whatever else such files go through. In: a lane,
 * randomness, how many steps each part has. Out: what the lane's witness knows.
 *
 * Invariants:
 * 1. Every write to a file that is held open is synced at once (lane.ts relies on it).
 * 2. A part begins and ends with the files "a" and "b" under their names.
 */
import type { Random } from '../support/seed.js';
import type { LaneWork } from './lane.js';

type Part = (lane: LaneWork, random: Random, stepCount: number) => Promise<void>;

/** The longest small write: more than a page, so that it touches up to three; less than any prepared file that is committed to. */
const smallBytes = 4900;
/** A WAL of this length is begun anew. */
const logBytes = 30_000;

/** All parts, each in its turn. */
export async function commitSmall(lane: LaneWork, random: Random, stepCount: number): Promise<void> {
  for (const part of shuffled([pagesOf('b', 1), pagesOf('a', 1), pagesOf('b', 2), writeAhead, rollBackJournals, replaceHeld, changeLinks], random)) {
    await part(lane, random, stepCount);
  }
}

/** Small fdatasyncs alone, of files held open all the time: nothing but the retirer syncs the files themselves. */
export async function commitOnly(lane: LaneWork, random: Random, isOver: () => boolean): Promise<void> {
  await lane.holdOpen('a', 1, () => lane.holdOpen('b', 1, async () => {
    while (!isOver()) {
      const path = random.pick(['a', 'b']);
      await lane.write(path, random.below(lane.sizeOf(path) - smallBytes), 1 + random.below(smallBytes), 'data');
    }
  }));
}

/** One file, by so many handles, and now and then something else that changes it. */
function pagesOf(path: string, handleCount: number): Part {
  return async (lane, random, stepCount) => {
    await lane.holdOpen(path, handleCount, () => repeat(stepCount, () => commitOrChange(lane, random, path)));
    await lane.rename(path, `${path}.aside`);
    await lane.rename(`${path}.aside`, path);
  };
}

/** A log that grows by small syncs and is overwritten from its start when it is long enough; the database gets its pages at that time. */
const writeAhead: Part = async (lane, random, stepCount) => {
  if (lane.isFree('wal')) await lane.create('wal', 100, 'data');
  let end = 0;
  await lane.holdOpen('wal', 1, () => lane.holdOpen('b', 1, () => repeat(stepCount, async () => {
    await sometimesRemember(lane, random);
    const length = 1 + random.below(smallBytes);
    await lane.write('wal', end, length, 'data');
    end += length;
    if (end < logBytes && !random.oneIn(10)) return;
    await repeat(1 + random.below(3), () => commitOne(lane, random, 'b'));
    // As a WAL that is kept at a limit, once in a while.
    if (random.oneIn(3)) await lane.truncate('wal', random.pick([0, 4096]));
    end = 0;
  })));
};

/** A file made for each commit and gone after it, while the database stays open. */
const rollBackJournals: Part = (lane, random, stepCount) => lane.holdOpen('b', 1, () => repeat(Math.ceil(stepCount / 4), async () => {
  await sometimesRemember(lane, random);
  await lane.create('journal', 1 + random.below(smallBytes), 'data');
  if (random.oneIn(2)) await lane.syncDirectory('');
  const write = (): Promise<void> => repeat(1 + random.below(5), () => commitOne(lane, random, 'journal'));
  if (random.oneIn(2)) await write();
  else await lane.holdOpen('journal', 1, write);
  await repeat(1 + random.below(2), () => commitOne(lane, random, 'b'));
  await lane.unlink('journal');
  if (random.oneIn(2)) await lane.syncDirectory('');
}));

/** Another file takes the name of one that was just committed to and is still open; then that is committed to. */
const replaceHeld: Part = (lane, random, stepCount) => repeat(Math.ceil(stepCount / 8), async () => {
  await lane.holdOpen('a', 1, async () => {
    await repeat(4, () => commitOne(lane, random, 'a'));
    await lane.create('.aside', 1 + random.below(20_000), random.pick(['data', 'full']));
    await sometimesRemember(lane, random);
    await lane.rename('.aside', 'a');
    if (random.oneIn(2)) await lane.syncDirectory('');
    await repeat(3, () => commitOne(lane, random, 'a'));
  });
});

/** A second name comes and goes; now and then it is the one that stays. */
const changeLinks: Part = (lane, random, stepCount) => lane.holdOpen('b', 1, () => repeat(Math.ceil(stepCount / 6), async () => {
  await repeat(3, () => commitOne(lane, random, 'b'));
  await lane.link('b', 'b.link');
  if (random.oneIn(2)) await lane.syncDirectory('');
  await repeat(2, () => commitOne(lane, random, random.pick(['b', 'b.link'])));
  if (random.oneIn(2)) return lane.unlink('b.link');
  if (random.oneIn(2)) await lane.unlink('b');
  else {
    await lane.create('.aside', 1 + random.below(smallBytes), 'data');
    await lane.rename('.aside', 'b');
  }
  await commitOne(lane, random, 'b.link');
  await lane.rename('b.link', 'b');
}));

async function commitOne(lane: LaneWork, random: Random, path: string): Promise<void> {
  await sometimesRemember(lane, random);
  await lane.write(path, random.below(lane.sizeOf(path) + 1), 1 + random.below(smallBytes), random.oneIn(6) ? 'full' : 'data');
}

async function commitOrChange(lane: LaneWork, random: Random, path: string): Promise<void> {
  const size = lane.sizeOf(path);
  if (random.oneIn(15)) await lane.truncate(path, random.below(size + 1));
  else if (random.oneIn(15) && size > 10_000) await lane.punch(path, random.below(size - 6000), 1 + random.below(5000));
  else if (random.oneIn(15)) await lane.write(path, random.below(size + 1), 70_000, random.pick(['data', 'full']));
  else if (random.oneIn(20)) await lane.chmod(path, random.pick([0o600, 0o644]));
  else if (random.oneIn(4)) await lane.write(path, size, 1 + random.below(smallBytes), 'data');
  else await commitOne(lane, random, path);
}

async function sometimesRemember(lane: LaneWork, random: Random): Promise<void> {
  if (!random.oneIn(3)) await lane.remember();
}

async function repeat(count: number, act: () => Promise<void>): Promise<void> {
  for (let done = 0; done < count; done += 1) await act();
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  const rest = [...values];
  const taken: T[] = [];
  while (rest.length > 0) taken.push(...rest.splice(random.below(rest.length), 1));
  return taken;
}
