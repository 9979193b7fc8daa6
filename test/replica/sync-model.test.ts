/** Two-way syncs of two directories: at random with an oracle, cut off at each step, with what FAT can keep, between two machines. */
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';
import { TwoSides, contentsOf } from '../support/two-sides.js';
import { syncRounds } from './sync-rounds.js';

t.setTimeout(120_000);

await t.test('two sides become the same, and nothing is lost, doubled or brought back', async (t) => {
  const seed = chooseSeed();
  t.comment(`TIDEMARK_SEED=${seed}`);
  const { kills } = await syncRounds(new Random(seed), 20);
  t.pass(`${kills} runs were killed`);
});

await t.test('a run that is cut off at any step makes no conflict of what it did itself', async (t) => {
  for (let steps = 1, isCutOff = true; isCutOff; steps++) {
    const place = makePlace();
    const sides = new TwoSides(place);
    await sides.begin();
    for (const name of ['to-here', 'to-there', 'old-name', 'kind', 'gone']) writeFileSync(join(sides.here, name), `${name} 1`);
    await sides.run();
    sides.policy = 'ask';
    writeFileSync(join(sides.here, 'to-there'), 'to-there 2');
    writeFileSync(join(sides.there, 'to-here'), 'to-here 2');
    renameSync(join(sides.here, 'old-name'), join(sides.here, 'new-name'));
    rmSync(join(sides.here, 'kind'));
    mkdirSync(join(sides.here, 'kind'));
    writeFileSync(join(sides.here, 'kind/inside'), 'inside 1');
    rmSync(join(sides.there, 'gone'));
    isCutOff = sides.killed(steps);
    // Somebody goes on with what was, or was not, brought over.
    for (const name of ['to-there', 'new-name', 'kind/inside']) writeFileSync(join(sides.here, name), `${name} 3`);
    writeFileSync(join(sides.there, 'to-here'), 'to-here 3');
    const { conflicts, again, aside } = await sides.run();
    t.strictSame([conflicts, again, aside], [[], [], []], `cut off at step ${steps}`);
    t.strictSame([...contentsOf(sides.there)], [...contentsOf(sides.here)]);
    t.equal(readFileSync(join(sides.there, 'to-there'), 'utf8'), 'to-there 3');
    t.equal(readFileSync(join(sides.here, 'to-here'), 'utf8'), 'to-here 3');
    t.strictSame([...contentsOf(sides.here).keys()], ['kind', 'kind/inside', 'new-name', 'to-here', 'to-there']);
    removePlace(place);
  }
});

await t.test('a drive with the names, times and permissions of FAT', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const sides = new TwoSides(place);
  // What such a drive would be measured to keep; the disk below keeps more, and nothing may depend on it.
  await sides.begin({ abilities: { links: false, symlinks: false, modes: false, owners: false, times: 'seconds', names: 'windows' }, timeStep: '2000000000', ignoresCase: true });
  const [here, there] = [(name: string) => join(sides.here, name), (name: string) => join(sides.there, name)];
  for (const name of ['Name', 'name', 'what?', 'plain']) writeFileSync(here(name), `${name} 1`);
  chmodSync(here('plain'), 0o600);
  symlinkSync('plain', here('link'));
  const first = await sides.run();
  t.match(first.notes, [/link cannot be stored at the other side/]);
  t.strictSame([...contentsOf(sides.there).keys()], ['%6E%61%6D%65', 'Name', 'plain', 'what%3F']);
  // As the drive shows times when it comes back: cut to two seconds; and permissions as the other system likes.
  for (const name of contentsOf(sides.there).keys()) {
    const seconds = Math.floor(lstatSync(there(name)).mtimeMs / 2000) * 2;
    utimesSync(there(name), seconds, seconds);
    chmodSync(there(name), 0o777);
  }
  const idle = await sides.run();
  t.strictSame([idle.sentFiles, idle.here.removed, idle.there.removed, idle.again], [0, 0, 0, ['link']]);
  t.equal(lstatSync(here('plain')).mode & 0o777, 0o600);
  // All times of the drive an hour later: the clock of its system was changed.
  for (const name of contentsOf(sides.there).keys()) {
    const seconds = lstatSync(there(name)).mtimeMs / 1000 + 3600;
    utimesSync(there(name), seconds, seconds);
  }
  t.strictSame((await sides.run()).sentFiles, 0, 'files that are read and found the same');
  writeFileSync(there('%6E%61%6D%65'), 'name 2');
  writeFileSync(there('new%20one'), 'new');
  rmSync(there('what%3F'));
  renameSync(here('Name'), here('NAME'));
  await sides.run();
  t.equal(readFileSync(here('name'), 'utf8'), 'name 2');
  t.strictSame([...contentsOf(sides.here).keys()], ['NAME', 'link', 'name', 'new%20one', 'plain']);
  t.strictSame([...contentsOf(sides.there).keys()], ['%6E%61%6D%65', 'NAME', 'new%20one', 'plain']);
  t.equal((await sides.run()).sentFiles, 0);
});

await t.test('two machines and one drive', async (t) => {
  const places = [makePlace(), makePlace()] as const;
  t.teardown(() => { for (const place of places) removePlace(place); });
  const one = new TwoSides(places[0]);
  const other = new TwoSides(places[1], one.there);
  for (const sides of [one, other]) await sides.begin();
  writeFileSync(join(one.here, 'a'), 'a 1');
  for (const sides of [one, other]) await sides.run();
  writeFileSync(join(other.here, 'a'), 'a 2');
  writeFileSync(join(one.here, 'b'), 'b 1');
  for (const sides of [other, one, other]) await sides.run();
  t.strictSame([...contentsOf(one.here).values()].map(({ content }) => content), ['a 2', 'b 1']);
  t.strictSame([...contentsOf(other.here)], [...contentsOf(one.here)]);
});
