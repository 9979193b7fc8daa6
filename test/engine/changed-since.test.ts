/**
 * What is held in memory of the changes since a snapshot, against the index it is read from: entries that come late, more entries than one call
 * reads, more than are held, an index made again.
 */
import t from 'tap';
import type { Test } from 'tap';
import { ChangesSince } from '../../engine/changed-since.js';
import { emptyProgress, encodeProgress, fileTxidKey, numberKey, progressKey, table, touched } from '../../engine/index-keys.js';
import { fileIdBytes, makeFileId, writeFileId } from '../../engine/ids.js';
import { IndexStore } from '../../engine/index-store.js';
import type { FileId } from '../../engine/types.js';
import { makePlace, removePlace } from '../support/places.js';

const directory = makeFileId(2n, 7);
const fileOf = (number: number): FileId => makeFileId(BigInt(1000 + number), 7);

function open(t: Test): IndexStore {
  const place = makePlace();
  const index = new IndexStore(place);
  index.put(progressKey, encodeProgress({ ...emptyProgress, readUpTo: 1000 }));
  t.teardown(async () => {
    await index.close();
    removePlace(place);
  });
  return index;
}

function touch(index: IndexStore, txid: number, file: FileId, bits: number): void {
  index.put(changeKey(txid, file), Buffer.from([bits, ...Buffer.alloc(8)]));
  if (bits & touched.attributes) index.put(fileTxidKey(table.attributes, file, txid), Buffer.alloc(80));
}

function changeName(index: IndexStore, txid: number, name: string): void {
  index.put(Buffer.concat([changeKey(txid, directory), Buffer.from(name, 'latin1')]), Buffer.alloc(8));
}

function end(index: IndexStore, txid: number): void {
  index.put(numberKey(table.transaction, txid), Buffer.alloc(24));
}

function changeKey(txid: number, file: FileId): Buffer {
  const packed = Buffer.alloc(fileIdBytes);
  writeFileId(packed, 0, file);
  return Buffer.concat([numberKey(table.change, txid), packed]);
}

void t.test('it tells the first transaction after the snapshot, and nothing of those before', (t) => {
  const index = open(t);
  for (const txid of [4, 5, 6, 9]) touch(index, txid, fileOf(1), touched.attributes);
  touch(index, 5, fileOf(2), touched.attributes | touched.data);
  touch(index, 7, fileOf(3), touched.xattr);
  for (const txid of [5, 8, 9]) changeName(index, txid, 'a\u00ff');
  for (let txid = 1; txid <= 9; txid++) end(index, txid);
  const changed = new ChangesSince(index).upTo(5, 100, 10);
  t.equal(changed?.attributesTxid(fileOf(1)), 6);
  t.equal(changed?.attributesTxid(fileOf(2)), undefined);
  t.equal(changed?.isDataChanged(fileOf(2)), false);
  t.equal(changed?.attributesTxid(fileOf(3)), undefined, 'other attributes are no attributes');
  t.same([...changed?.names(directory) ?? []], [['a\u00ff', 8]]);
  t.end();
});

void t.test('what comes later into a transaction that is still open is not missed', (t) => {
  const index = open(t);
  const changes = new ChangesSince(index);
  end(index, 5);
  touch(index, 6, fileOf(9), touched.attributes);
  touch(index, 7, fileOf(1), touched.attributes);
  t.equal(changes.upTo(5, 100, 10)?.attributesTxid(fileOf(9)), 6);
  // Before and among what has been read; the end of the older transaction comes behind records of the younger one.
  touch(index, 6, fileOf(1), touched.attributes);
  touch(index, 6, fileOf(9), touched.attributes | touched.data);
  changeName(index, 6, 'b');
  end(index, 6);
  const changed = changes.upTo(5, 200, 10);
  t.equal(changed?.attributesTxid(fileOf(9)), 6);
  t.equal(changed?.isDataChanged(fileOf(9)), true);
  t.equal(changed?.names(directory) !== undefined && [...changed.names(directory)].length, 1);
  t.equal(changed?.attributesTxid(fileOf(1)), 6, 'the first transaction is told, though a later one was met before it');
  t.end();
});

void t.test('a call reads no more than its listing is worth, and the next goes on from there', (t) => {
  const index = open(t);
  const changes = new ChangesSince(index);
  for (let number = 0; number < 100; number++) touch(index, 6 + number, fileOf(number), touched.attributes);
  end(index, 200);
  const answers = Array.from({ length: 12 }, () => changes.upTo(5, 100, 2) !== undefined);
  t.equal(answers[0], false, '16 entries are not 100');
  t.equal(answers.at(-1), true);
  t.equal(changes.upTo(5, 100, 0)?.attributesTxid(fileOf(99)), 105, 'what was read once is there for small listings too');
  t.equal(changes.upTo(5, 101, 0), undefined, 'but not when the index may have read on');
  t.end();
});

void t.test('with too many changes it is silent, for this snapshot only', (t) => {
  const index = open(t);
  const changes = new ChangesSince(index);
  index.transact(() => {
    for (let number = 0; number < 20_050; number++) touch(index, 6 + (number >> 10), fileOf(number), touched.attributes);
    end(index, 100);
  });
  t.equal(changes.upTo(5, 100, 10_000), undefined);
  t.equal(changes.upTo(5, 100, 10_000), undefined);
  t.equal(changes.upTo(20, 100, 10_000)?.attributesTxid(fileOf(20_049)), 25);
  t.end();
});

void t.test('an index made again is read again', async (t) => {
  const index = open(t);
  const changes = new ChangesSince(index);
  touch(index, 6, fileOf(1), touched.attributes);
  end(index, 6);
  t.equal(changes.upTo(5, 100, 10)?.attributesTxid(fileOf(1)), 6);
  await index.replace(() => undefined);
  index.remove(changeKey(6, fileOf(1)));
  t.ok(changes.upTo(5, 100, 10), 'known again');
  t.equal(changes.upTo(5, 100, 10)?.attributesTxid(fileOf(1)), undefined);
  t.equal(changes.upTo(5, 1001, 10), undefined, 'what the index has not reached is not known');
});
