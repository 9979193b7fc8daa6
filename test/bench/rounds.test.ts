/** Who runs in which round: no target may be forgotten, and none may always come first. */
import t from 'tap';
import { targetsOf } from '../../bench/rounds.js';
import { bare } from '../../bench/targets/bare.js';
import type { Target } from '../../bench/targets/target.js';

const [one, two]: Target[] = [{ ...bare, name: 'one' }, { ...bare, name: 'two' }];

function schedule(runs: number, targets: readonly Target[]): string[] {
  return Array.from({ length: runs }, (_, index) => targetsOf(index + 1, runs, targets).map(({ name }) => name).join(' '));
}

t.test('each round begins with another target', async (t) => {
  t.same(schedule(3, [one!, two!]), ['one two', 'two one', 'one two']);
});

t.test('a slow target takes part in as many rounds as it says, spread evenly', async (t) => {
  const rounds = (runs: number, mostRounds: number): number[] =>
    schedule(runs, [one!, { ...two!, mostRounds }]).flatMap((names, index) => (names.includes('two') ? [index + 1] : []));
  t.same(rounds(5, 2), [3, 5]);
  t.same(rounds(9, 3), [3, 6, 9]);
  for (let runs = 1; runs <= 20; runs++) {
    for (let mostRounds = 1; mostRounds <= 20; mostRounds++) t.equal(rounds(runs, mostRounds).length, Math.min(runs, mostRounds));
  }
});
