/**
 * An index that is missing, tampered with, or older or newer than its log: it is made again or brought up to date by itself, and then
 * answers as before.
 */
import { appendFileSync, closeSync, cpSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { IndexService } from '../../engine/index-service.js';
import type { LogState } from '../../engine/native.js';
import { IndexStore } from '../../engine/index-store.js';
import { recordType } from '../../engine/log-format.js';
import { makeFileId } from '../../engine/ids.js';
import type { StoreFiles } from '../../engine/store-files.js';
import { LogWriter } from '../support/log-writer.js';
import { makePlace, removePlace } from '../support/places.js';

const attributesTag = 0x41;
const recordCount = 500;

interface Bench {
  readonly files: StoreFiles;
  readonly writer: LogWriter;
  readonly said: string[];
  open(): Promise<IndexService>;
}

function bench(t: Test): Bench {
  const place = makePlace();
  const files = { id: 'ab'.repeat(16), createdNs: 0n, root: place, store: place, log: join(place, 'log'), index: join(place, 'index'), objects: join(place, 'objects'), close: () => {} };
  const writer = new LogWriter(files.log, 16_384);
  for (let index = 0; index < recordCount; index++) append(writer, index);
  const said: string[] = [];
  const open = async (): Promise<IndexService> => {
    const service = new IndexService({ files, logState: () => ({ end: BigInt(writer.end) as LogState['end'], recordCount: writer.recordCount, durable: BigInt(writer.end) as LogState['end'], ended: 0n as LogState['ended'], endedTimeNs: 0n }), isNew: false, setThreadIdle: () => undefined, releaseMapped: () => undefined, say: (line) => { said.push(line); }, onMoved: () => {}, onFull: () => {} });
    await service.caughtUp();
    return service;
  };
  t.teardown(() => {
    writer.close();
    removePlace(place);
  });
  return { files, writer, said, open };
}

function append(writer: LogWriter, index: number): void {
  writer.append({ type: recordType.attributes, flags: 0, aux: 0, file: makeFileId(BigInt(index), 1), txid: 1n, offset: 0n, size: 0n }, Buffer.alloc(80, index));
}

function entries(service: IndexService): number {
  return [...service.store.scan(Buffer.of(attributesTag), 1)].length;
}

void t.test('a closed index is used again without a word, and catches up', async (t) => {
  const b = bench(t);
  await (await b.open()).close();
  b.said.length = 0;
  append(b.writer, recordCount);
  const service = await b.open();
  t.equal(entries(service), recordCount + 1);
  t.same(b.said, []);
  await service.close();
});

const tamperings: readonly [string, (index: string) => void, RegExp][] = [
  ['its data removed', (index) => { rmSync(join(index, 'data.mdb')); }, /is missing/],
  ['all of it removed', (index) => { rmSync(index, { recursive: true }); }, /is missing/],
  ['its data cut', (index) => { truncateSync(join(index, 'data.mdb'), Math.floor(statSync(join(index, 'data.mdb')).size / 2)); }, /changed from outside/],
  ['its data overwritten', (index) => { writeFileSync(join(index, 'data.mdb'), Buffer.alloc(65_536, 0x5a)); }, /changed from outside/],
  ['garbage in the middle', (index) => {
    const fd = openSync(join(index, 'data.mdb'), 'r+');
    writeSync(fd, Buffer.alloc(8192, 0xa5), 0, 8192, 12_288);
    closeSync(fd);
  }, /changed from outside/],
  ['its state removed', (index) => { rmSync(join(index, 'state.json')); }, /lost its state/],
  ['its state overwritten', (index) => { writeFileSync(join(index, 'state.json'), Buffer.alloc(100, 0x5a)); }, /lost its state/],
  ['another volume', (index) => { editState(index, { volume: 'cd'.repeat(16) }); }, /belongs to another volume/],
  ['another format', (index) => { editState(index, { format: 99 }); }, /has another format/],
  ['in use when the machine went down', (index) => { editState(index, { state: 'running', boot: 'another boot' }); }, /machine went down/],
  ['twice not opened', (index) => { editState(index, { state: 'opening', attempts: 2 }); }, /could not be opened/],
];

function editState(index: string, change: object): void {
  const path = join(index, 'state.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')) as object, ...change }));
}

for (const [what, tamper, line] of tamperings) {
  void t.test(`an index with ${what} is made again, and that is said`, async (t) => {
    const b = bench(t);
    await (await b.open()).close();
    b.said.length = 0;
    tamper(b.files.index);
    const service = await b.open();
    t.equal(entries(service), recordCount);
    t.equal(b.said.length, 1);
    t.match(b.said[0], line);
    await service.close();
  });
}

void t.test('an index whose process was killed is used again: it only lacks the end', async (t) => {
  const b = bench(t);
  const first = await b.open();
  const copy = `${b.files.index}.killed`;
  cpSync(b.files.index, copy, { recursive: true });
  await first.close();
  rmSync(b.files.index, { recursive: true });
  cpSync(copy, b.files.index, { recursive: true });
  append(b.writer, recordCount);
  b.said.length = 0;
  const service = await b.open();
  t.equal(entries(service), recordCount + 1);
  t.same(b.said, []);
  await service.close();
});

void t.test('rebuilding while others read gives them the new index', async (t) => {
  const b = bench(t);
  const service = await b.open();
  const waiting = [service.rebuild(), service.caughtUp(), service.caughtUp()];
  await Promise.all(waiting);
  t.equal(entries(service), recordCount);
  t.equal(service.readUpTo, b.writer.end);
  await service.close();
});

void t.test('a log that cannot be read is an error, not an endless repair', async (t) => {
  const b = bench(t);
  const service = await b.open();
  rmSync(b.files.log, { recursive: true });
  appendFileSync(b.files.log, 'not a directory');
  await t.rejects(service.rebuild(), { code: 'EIO', message: /cannot be made/ });
  await service.close();
});

void t.test('a transaction of the index is whole or not there', async (t) => {
  const b = bench(t);
  const store = new IndexStore(join(b.files.root, 'alone'));
  t.throws(() => {
    store.transact(() => {
      store.put(Buffer.from('a'), Buffer.from('1'));
      throw new Error('in the middle');
    });
  }, /in the middle/);
  t.equal(store.get(Buffer.from('a')), undefined);
  await store.close();
});
