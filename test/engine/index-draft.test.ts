/**
 * Changes that are collected answer like changes that are written at once, whatever is asked in between.
 */
import { join } from 'node:path';
import t from 'tap';
import { IndexDraft } from '../../engine/index-draft.js';
import { fileTxidKey, namedKey, pruningKey, table } from '../../engine/index-keys.js';
import { IndexStore } from '../../engine/index-store.js';
import type { IndexTable } from '../../engine/index-store.js';
import { makeFileId } from '../../engine/ids.js';
import { makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';

const rounds = 4_000;
const tags = [table.attributes, table.directory, table.place] as const;

void t.test('random changes and questions', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  const place = makePlace();
  const [direct, store] = [new IndexStore(join(place, 'direct')), new IndexStore(join(place, 'drafted'))];
  t.teardown(async () => {
    await Promise.all([direct.close(), store.close()]);
    removePlace(place);
  });
  const draft = new IndexDraft(store);
  const key = (): Buffer => {
    const [file, txid] = [makeFileId(BigInt(1 + random.below(4)), 7), random.below(30)];
    return random.oneIn(4) ? namedKey(table.name, file, Buffer.from(random.pick(['a', 'ab', 'b'])), txid) : fileTxidKey(random.pick(tags), file, txid);
  };
  const questions: ((index: IndexTable, key: Buffer, prefixLength: number) => unknown)[] = [
    (index, key) => index.get(key),
    (index, key, prefixLength) => index.atOrAfter(key, prefixLength),
    (index, key, prefixLength) => index.atOrBefore(key, prefixLength),
    (index, key, prefixLength) => [...index.scan(key, prefixLength)],
    (index, key, prefixLength) => [...index.scanBack(key, prefixLength)],
  ];
  for (let round = 0; round < rounds; round++) {
    const changed = key();
    const value = random.oneIn(3) ? undefined : random.bytes(8);
    direct.transact(() => { change(direct, changed, value); });
    change(draft, changed, value);
    if (random.oneIn(50)) draft.commit();
    if (!random.oneIn(4)) continue;
    const asked = key();
    const prefixLength = random.pick([1, 9, 13, asked.length - 8]);
    const question = random.pick(questions);
    t.same(question(draft, asked, prefixLength), question(direct, asked, prefixLength), `round ${round}, TIDEMARK_SEED=${seed}`);
  }
});

void t.test('what has to be written before others write, and what was never written', async (t) => {
  const place = makePlace();
  const store = new IndexStore(join(place, 'index'));
  t.teardown(async () => {
    await store.close();
    removePlace(place);
  });
  const draft = new IndexDraft(store);
  const key = fileTxidKey(table.attributes, makeFileId(1n, 7), 7);
  draft.put(key, Buffer.from('one'));
  t.ok(draft.canWait);
  t.equal(store.get(key), undefined);
  draft.remove(pruningKey);
  t.notOk(draft.canWait);
  draft.drop();
  t.ok(draft.canWait);
  t.equal(draft.get(key), undefined);
  draft.commit();
  t.equal(store.get(key), undefined);
});

function change(index: IndexTable, key: Buffer, value: Buffer | undefined): void {
  if (value === undefined) index.remove(key);
  else index.put(key, value);
}
