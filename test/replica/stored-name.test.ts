/** Names that a destination cannot store come back as they were, and different ones stay different. */
import t from 'tap';
import { fromText } from '../../replica/paths.js';
import { decodePath, encodePath } from '../../replica/stored-name.js';
import { Random, chooseSeed } from '../support/seed.js';

await t.test('what is stored, by kind', async (t) => {
  t.equal(encodePath('a/b c.txt', 'server'), 'a/b c.txt', 'ordinary names stay');
  t.equal(encodePath('x\n/ y /*?\\', 'server'), 'x%0A/%20y%20/%2A%3F%5C');
  t.equal(encodePath('a:b/CON.txt/end.', 'windows'), 'a%3Ab/%43ON.txt/end%2E');
  t.equal(encodePath('caf\xe9', 'text'), 'caf%E9');
  t.equal(encodePath('100%/%41', 'server'), '100%/%2541');
  t.equal(encodePath('x\n', 'bytes'), 'x\n');
});

await t.test('random names come back, and no two are stored alike', async (t) => {
  const seed = chooseSeed();
  t.comment(`TIDEMARK_SEED=${seed}`);
  const random = new Random(seed);
  const pieces = ['%', '4', '1', 'A', 'f', ' ', '.', ':', '\\', '*', '\n', '\x7f', '\xe9', fromText('é'), fromText('€'), 'con', 'NUL', '~'];
  for (const kind of ['bytes', 'text', 'server', 'windows'] as const) {
    const known = new Map<string, string>();
    for (let round = 0; round < 5000; round++) {
      let name = '';
      for (let length = 1 + random.below(6); length > 0; length--) name += random.pick(pieces);
      if (name === '.' || name === '..') continue;
      const stored = encodePath(`d/${name}`, kind);
      if (decodePath(stored, kind) !== `d/${name}` || (known.get(stored) ?? name) !== name) return t.fail(`${JSON.stringify(name)} is stored as ${JSON.stringify(stored)} (${kind})`);
      known.set(stored, name);
    }
  }
  t.pass('all came back');
});
