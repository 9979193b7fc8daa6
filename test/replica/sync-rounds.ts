/**
 * Two sides that are changed at random and synced, with runs that are killed on their way. Every content is written once, so an oracle in memory can say of each what must have become of it: what somebody wrote is there once, what one side
 * removed and the other left alone is gone, and only what both changed has a second name. In: randomness. Out: how many runs were killed, or an error that tells what is wrong.
 */
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePlace, removePlace } from '../support/places.js';
import type { Random } from '../support/seed.js';
import { TwoSides, contentsOf } from '../support/two-sides.js';

/** Throws when something is wrong. */
export async function syncRounds(random: Random, rounds: number): Promise<{ readonly kills: number }> {
  const place = makePlace();
  try {
    return await syncAt(place, random, rounds);
  } finally {
    removePlace(place);
  }
}

async function syncAt(place: string, random: Random, rounds: number): Promise<{ readonly kills: number }> {
  const sides = new TwoSides(place);
  await sides.begin();
  let base: Contents = new Map();
  let kills = 0;
  for (let round = 1; round <= rounds; round++) {
    let wereRenamed = false;
    for (const root of [sides.here, sides.there]) for (let count = random.below(8); count > 0; count--) wereRenamed = mutate(root, random) || wereRenamed;
    const [here, there] = [contentsOf(sides.here), contentsOf(sides.there)];
    let steps = 0;
    // Cut off, perhaps several times, at a later and later step.
    while (random.oneIn(4) && sides.killed(steps = steps + 1 + random.below(4))) kills++;
    const { failures, again } = await sides.run();
    const [after, other] = [contentsOf(sides.here), contentsOf(sides.there)];
    const wrong = judge(base, here, there, after, wereRenamed);
    if (JSON.stringify([...after]) !== JSON.stringify([...other])) wrong.push(`the sides differ; there: ${JSON.stringify([...other])}`);
    for (const left of [failures, again]) if (left.length > 0) wrong.push(`left over: ${JSON.stringify(left)}`);
    const idle = random.oneIn(3) ? await sides.run() : undefined;
    if (idle !== undefined && idle.sentFiles + idle.here.removed + idle.there.removed + idle.here.renamed + idle.there.renamed > 0) wrong.push(`a second run had something to do: ${JSON.stringify(idle)}`);
    if (wrong.length > 0) throw new Error(`round ${round}, killed after ${steps} steps:\n${wrong.join('\n')}\n${JSON.stringify({ base: [...base], here: [...here], there: [...there], after: [...after] })}`);
    base = after;
  }
  return { kills };
}

const names = ['a', 'b', 'c', 'a.txt'];

type Contents = ReturnType<typeof contentsOf>;

let written = 0;

/** Some sizes come often, so that size alone tells nothing. */
function newContent(random: Random): string {
  return `#${String(++written).padStart(5, '0')}${'x'.repeat(random.pick([10, 10, 10, 40, 3000]))}`;
}

function typeAt(root: string, path: string): 'file' | 'directory' | 'symlink' | undefined {
  const parts = path.split('/');
  for (let count = 1; count < parts.length; count++) if (lstatSync(join(root, ...parts.slice(0, count)), { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const stat = lstatSync(join(root, path), { throwIfNoEntry: false });
  return stat === undefined ? undefined : stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'symlink';
}

function canBeMade(root: string, path: string): boolean {
  const above = path.split('/').slice(0, -1).join('/');
  return (above === '' || typeAt(root, above) === 'directory') && typeAt(root, path) === undefined;
}

/** Returns true for a rename. */
function mutate(root: string, random: Random): boolean {
  const path = Array.from({ length: 1 + random.below(3) }, () => random.pick(names)).join('/');
  const at = join(root, path);
  const type = typeAt(root, path);
  if (type === undefined) {
    if (!canBeMade(root, path)) return false;
    const kind = random.below(5);
    if (kind === 0) mkdirSync(at);
    else if (kind === 1 && random.oneIn(2)) symlinkSync(`to-${++written}`, at);
    else writeFileSync(at, newContent(random));
    return false;
  }
  const to = Array.from({ length: 1 + random.below(2) }, () => random.pick(names)).join('/');
  switch (random.below(6)) {
    case 0:
      rmSync(at, { recursive: true });
      return false;
    case 1:
      if (!canBeMade(root, to) || `${to}/`.startsWith(`${path}/`)) return false;
      renameSync(at, join(root, to));
      return true;
    case 2:
      if (type === 'symlink') return false;
      chmodSync(at, random.pick([0o700, 0o750, 0o755]));
      return false;
    case 3:
      rmSync(at, { recursive: true });
      if (random.oneIn(2)) mkdirSync(at); else writeFileSync(at, newContent(random));
      return false;
    default:
      if (type !== 'file') return false;
      // In its place, or as editors do.
      if (random.oneIn(2)) unlinkSync(at);
      writeFileSync(at, newContent(random));
      return false;
  }
}

function placesOf(contents: Contents): Map<string, string[]> {
  const places = new Map<string, string[]>();
  for (const [path, { content }] of contents) if (content !== '/') places.set(content, [...places.get(content) ?? [], path]);
  return places;
}

/** What is wrong, a line each. */
function judge(base: Contents, here: Contents, there: Contents, result: Contents, wereRenamed: boolean): string[] {
  const wrong: string[] = [];
  const [before, one, other, after] = [base, here, there, result].map(placesOf) as [Map<string, string[]>, Map<string, string[]>, Map<string, string[]>, Map<string, string[]>];
  for (const side of [one, other]) for (const content of side.keys()) if (!before.has(content) && after.get(content)?.length !== 1) wrong.push(`${content} was written and is there ${after.get(content)?.length ?? 0} times`);
  for (const [content, [path]] of before) {
    const [h, o] = [one.get(content)?.[0], other.get(content)?.[0]];
    const count = after.get(content)?.length ?? 0;
    if (h !== undefined && o !== undefined && (count === 0 || count > (h !== o && h !== path && o !== path ? 2 : 1))) wrong.push(`${content} was left alone and is there ${count} times`);
    if ((h === undefined && o === path && count > 0) || (o === undefined && h === path && count > 0)) wrong.push(`${content} was removed on one side and is there`);
    if (h === undefined && o === undefined && count > 0) wrong.push(`${content} came back`);
  }
  for (const content of after.keys()) if (!before.has(content) && !one.has(content) && !other.has(content)) wrong.push(`${content} came from nowhere`);
  if (wereRenamed) return wrong;
  const isFile = (text: string | undefined): boolean => text === undefined || text !== '/';
  for (const path of new Set([...here.keys(), ...there.keys(), ...base.keys()])) {
    const [b, h, o] = [base, here, there].map((side) => side.get(path)?.content);
    if (!isFile(h) || !isFile(o)) continue;
    const expected = h === o ? h : h === b ? o : o === b ? h : h ?? o;
    const found = result.get(path)?.content;
    // A directory that had to stay has its name.
    if (found !== expected && !(expected !== undefined && found === '/')) wrong.push(`${path} has ${found}, not ${expected}`);
    if (h !== o && h !== undefined && o !== undefined && h !== b && o !== b && after.get(o)?.every((each) => each.includes('(conflict from stick ')) !== true) wrong.push(`${o} of ${path} has not got another name`);
  }
  return wrong;
}
