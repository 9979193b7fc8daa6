/**
 * Packed segments: every record that is kept is read as before, at its old position, by the engine and by the addon; all others are gone; what is damaged
 * or still needed is left alone.
 */
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, renameSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { crc32c } from '../../engine/crc32c.js';
import { lsn as toLsn } from '../../engine/ids.js';
import { recordType, segmentFileName } from '../../engine/log-format.js';
import { LogReader } from '../../engine/log-reader.js';
import { loadAddon } from '../../engine/native.js';
import type { NativeVolume } from '../../engine/native.js';
import { removeUnfinishedPacking } from '../../engine/segment-packing.js';
import { PieceKind } from '../../native/types.js';
import { PackedLog, loggedFile } from '../support/packed-log.js';
import type { LoggedRecord } from '../support/packed-log.js';
import { makePlace, removePlace } from '../support/places.js';
import { Random, chooseSeed } from '../support/seed.js';

t.setTimeout(120_000);

const seed = chooseSeed();
const random = new Random(seed);

function makeLog(t: Test, count: number, segmentBytes = 100_000): PackedLog {
  const place = makePlace();
  const log = new PackedLog(place, random, segmentBytes).fill(count);
  t.teardown(() => {
    log.writer.close();
    removePlace(place);
  });
  return log;
}

/** A choice of records by their LSNs, some alone, some side by side. */
function choose(log: PackedLog, oneIn: number, among: ReadonlySet<number> = new Set(log.records.map(({ lsn }) => lsn))): Set<number> {
  const chosen = new Set<number>();
  let isKept = false;
  for (const lsn of among) {
    if (random.below(4) > 0) isKept = random.oneIn(oneIn);
    if (isKept) chosen.add(lsn);
  }
  return chosen;
}

/** What has to be there: what is kept, and all of the last segment. */
function expected(log: PackedLog, kept: ReadonlySet<number>): LoggedRecord[] {
  const last = baseOf(log, log.writer.segmentCount);
  return log.records.filter(({ lsn }) => kept.has(lsn) || lsn >= last);
}

function baseOf(log: PackedLog, segment: number): number {
  return Number(readFileSync(pathOf(log, segment)).readBigUInt64LE(40));
}

function pathOf(log: PackedLog, segment: number): string {
  return join(log.log, segmentFileName(segment));
}

function segmentOf(log: PackedLog, lsn: number): number {
  let segment = log.writer.segmentCount;
  while (baseOf(log, segment) > lsn) segment--;
  return segment;
}

/** By rename: who has the old file open goes on with it. */
function putInPlace(path: string, bytes: Buffer): void {
  writeFileSync(`${path}.aside`, bytes);
  renameSync(`${path}.aside`, path);
}

function flip(path: string, offset: number, bit: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  byte[0]! ^= 1 << bit;
  writeSync(fd, byte, 0, 1, offset);
  closeSync(fd);
}

function extent(volume: NativeVolume, { lsn, body }: LoggedRecord): Promise<Buffer> {
  const pieces = BigUint64Array.of(0n, BigInt(body.length), BigInt(PieceKind.Log), BigInt(lsn));
  return volume.readPlan({ file: loggedFile, size: BigInt(body.length), pieces, plannedAt: toLsn(0) }, 0n, body.length);
}

async function checkByAddon(t: Test, log: PackedLog, kept: ReadonlySet<number>): Promise<void> {
  const volume = (await loadAddon()).openVolume({ backing: log.directory, history: 'strict', exclude: [], failpoint: '' });
  t.same(volume.recovery.damagedAt, []);
  const there = new Set(expected(log, kept));
  for (const record of log.records.filter(({ type }) => type === recordType.extent)) {
    const read = await extent(volume, record).catch((error: NodeJS.ErrnoException) => error.code);
    const isRight = there.has(record) ? Buffer.isBuffer(read) && read.equals(record.body) : read === 'EIO';
    if (!isRight) t.fail(`the extent at ${record.lsn} is not as it should be`, { read, isKept: there.has(record) });
  }
  await volume.close();
}

for (const oneIn of [1, 2, 20]) {
  void t.test(`one record in ${oneIn} is kept, then fewer: these are read at their positions, TIDEMARK_SEED=${seed}`, async (t) => {
    const log = makeLog(t, 400);
    const first = choose(log, oneIn);
    const second = choose(log, 2, first);
    for (const kept of [first, second]) {
      const results = await log.pack((lsn) => kept.has(lsn));
      for (const { isPacked, bytesBefore, bytesAfter } of results) t.ok(isPacked ? bytesAfter < bytesBefore : bytesAfter === bytesBefore);
    }
    // Where a block less was needed nothing was changed: then all is still there.
    const there = log.read('all');
    t.same(there.damage, []);
    const lsns = new Set(there.records.map(({ lsn }) => lsn));
    t.same(expected(log, second).filter(({ lsn }) => !lsns.has(lsn)), [], 'nothing that is kept is missing');
    t.same(there.records, log.records.filter(({ lsn }) => lsns.has(lsn)), 'everything is as it was written');
    t.same(log.read('headers').records.map(({ lsn }) => lsn), [...lsns], 'headers');
    for (let round = 0; round < 50; round++) {
      const from = random.pick(log.records).lsn;
      t.same(log.read('all', from).records, there.records.filter(({ lsn }) => lsn >= from), `from ${from}`);
    }
    await checkByAddon(t, log, lsns);
  });
}

void t.test('a segment in which nothing is kept keeps its place with 72 bytes', async (t) => {
  const log = makeLog(t, 300);
  const results = await log.pack(() => false);
  t.ok(results.every(({ isPacked, recordsKept, bytesAfter }) => isPacked && recordsKept === 0 && bytesAfter <= 4096));
  t.equal(statSync(pathOf(log, 1)).size, 72);
  t.same(log.read('all'), { records: expected(log, new Set()), damage: [] });
  t.same((await log.pack(() => true)).map(({ isPacked }) => isPacked), results.map(() => false), 'and is not packed again');
  await checkByAddon(t, log, new Set());
});

void t.test('a reader that stands in a segment reads on when it is replaced, and so does one of headers', async (t) => {
  const log = makeLog(t, 300);
  const kept = choose(log, 3);
  for (const bodies of ['headers', 'all'] as const) {
    const reader = new LogReader({ directory: log.log, position: 0, crc: crc32c, bodies, onDamage: () => { t.fail('no damage'); } });
    const read = Array.from({ length: 5 }, () => reader.next(log.writer.end)?.lsn);
    if (bodies === 'headers') await log.pack((lsn) => kept.has(lsn));
    for (let record = reader.next(log.writer.end); record !== undefined; record = reader.next(log.writer.end)) read.push(record.lsn);
    reader.close();
    const second = baseOf(log, 2);
    const whole = bodies === 'headers' ? log.records.filter(({ lsn }) => lsn < second) : log.read('headers').records.filter(({ lsn }) => lsn < second);
    t.same(read, [...whole, ...log.read('headers').records.filter(({ lsn }) => lsn >= second)].map(({ lsn }) => lsn), bodies);
  }
});

void t.test('what may not be packed, or would give back too little, is left alone', async (t) => {
  const log = makeLog(t, 300);
  const before = readFileSync(pathOf(log, 2));
  const all = (): boolean => true;
  await t.rejects(log.packOne(log.writer.segmentCount, all), { code: 'EINVAL', message: /needed after a crash/ }, 'the newest');
  await t.rejects(log.packOne(99, all), { code: 'EINVAL', message: /no segment 99/ });
  await t.rejects(log.packOne(2, all, { packableBelow: baseOf(log, 3) - 8 }), { code: 'EINVAL', message: /needed after a crash/ }, 'one that recovery reads');
  t.match(await log.packOne(2, all), { isPacked: false, recordsLeftOut: 0 }, 'all is needed');
  let count = 0;
  t.match(await log.packOne(2, () => ++count % 3 > 0, { leastShare: 0.9 }), { isPacked: false }, 'less than was asked for');
  t.same(readFileSync(pathOf(log, 2)), before);
  t.match(await log.packOne(2, () => count-- % 3 > 0, { packableBelow: baseOf(log, 3) }), { isPacked: true });
});

for (const [what, at] of [['a checksum', 0], ['a length', 5], ['a txid', 16], ['the body', 100]] as const) {
  for (const isKept of [true, false]) {
    void t.test(`a segment with ${what} damaged in a record that is ${isKept ? 'kept' : 'left out'} is not packed`, async (t) => {
      const log = makeLog(t, 100);
      for (let index = 0; index < 5; index++) log.append(recordType.extent, random.bytes(4096));
      log.fill(100);
      const victim = log.records[102]!;
      const segment = segmentOf(log, victim.lsn);
      flip(pathOf(log, segment), victim.lsn - baseOf(log, segment) + at, 3);
      const before = readFileSync(pathOf(log, segment));
      await t.rejects(log.packOne(segment, (lsn) => (lsn === victim.lsn) === isKept), { code: 'EIO', message: /damaged at position \d+.*verify/ });
      t.same(readFileSync(pathOf(log, segment)), before);
      t.same(readdirSync(log.log).filter((name) => name.endsWith('.new')), []);
    });
  }
}

void t.test('zeros where records should be are damage, which is told and not packed away', async (t) => {
  const log = makeLog(t, 200);
  const victim = log.records[10]!;
  const fd = openSync(pathOf(log, 1), 'r+');
  writeSync(fd, Buffer.alloc(48), 0, 48, victim.lsn);
  closeSync(fd);
  const { records, damage } = log.read('all');
  t.same(records, log.records.filter(({ lsn }) => lsn !== victim.lsn));
  t.match(damage, [{ lsn: victim.lsn, segment: 1 }]);
  await t.rejects(log.packOne(1, () => false), { code: 'EIO' });
});

void t.test('damage in a packed segment is told, costs what it hits, and reading goes on behind it', async (t) => {
  const log = makeLog(t, 300);
  const kept = choose(log, 2);
  await log.pack((lsn) => kept.has(lsn));
  const { records } = log.read('all');
  const [base, next] = [baseOf(log, 2), baseOf(log, 3)];
  const whole = readFileSync(pathOf(log, 2));
  const table = 72 + 8 * whole.readUInt32LE(64);
  const first = records.find(({ lsn }) => lsn >= base)!;
  const others = records.filter(({ lsn }) => lsn < base || lsn >= next);
  const cases = [
    ['magic', 3, records, base, 64], ['base', 41, records, base, 64], ['header', 60, records, base, 64],
    ['number of runs', 65, others, base, next - base], ['table', 75, others, base, next - base],
    ['record', table + 1, records.filter(({ lsn }) => lsn !== first.lsn), first.lsn, undefined],
  ] as const;
  for (const [what, at, left, lsn, length] of cases) {
    writeFileSync(pathOf(log, 2), whole);
    flip(pathOf(log, 2), at, 4);
    const read = log.read('all');
    t.same(read.records, left, what);
    t.match(read.damage, [{ lsn, segment: 2, ...(length === undefined ? {} : { length }) }], `${what}: told once`);
    t.equal(read.damage.length, 1);
    await t.rejects(log.packOne(2, () => false), { code: 'EIO' }, `${what}: not packed again`);
  }
});

void t.test('the addon reads nothing out of a packed segment with a damaged table, and all others', async (t) => {
  const log = makeLog(t, 300);
  await log.packOne(2, (lsn) => lsn % 16 === 0);
  flip(pathOf(log, 2), 75, 4);
  const volume = (await loadAddon()).openVolume({ backing: log.directory, history: 'strict', exclude: [], failpoint: '' });
  const [base, next] = [baseOf(log, 2), baseOf(log, 3)];
  for (const record of log.records.filter(({ type }) => type === recordType.extent)) {
    const isLost = record.lsn >= base && record.lsn < next;
    t.same(await extent(volume, record).catch((error: NodeJS.ErrnoException) => error.code), isLost ? 'EIO' : record.body);
  }
  await volume.close();
});

void t.test('an open volume takes a replaced segment over, and refuses others', async (t) => {
  const log = makeLog(t, 300);
  const volume = (await loadAddon()).openVolume({ backing: log.directory, history: 'strict', exclude: [], failpoint: '' });
  t.equal(volume.packableBelow(), BigInt(baseOf(log, log.writer.segmentCount - 1)));
  const extents = log.records.filter(({ lsn, type }) => type === recordType.extent && lsn < baseOf(log, 2));
  const kept = new Set(extents.filter((_, index) => index % 2 === 0).map(({ lsn }) => lsn));
  const code = (record: LoggedRecord): Promise<unknown> => extent(volume, record).catch((error: NodeJS.ErrnoException) => error.code);
  const whole = readFileSync(pathOf(log, 1));
  await log.packOne(1, (lsn) => kept.has(lsn), { packableBelow: Number(volume.packableBelow()) });
  for (const record of extents) t.same(await code(record), record.body, 'the old file is read until the addon is told');
  await volume.replaceSegment(1);
  for (const record of extents) t.same(await code(record), kept.has(record.lsn) ? record.body : 'EIO', 'then the new one');
  await t.rejects(volume.replaceSegment(log.writer.segmentCount), { code: 'EBUSY' }, 'the newest');
  await t.rejects(volume.replaceSegment(log.writer.segmentCount - 1), { code: 'EBUSY' }, 'the one before, which recovery reads');
  await t.rejects(volume.replaceSegment(99), { code: 'ENOENT' });
  putInPlace(pathOf(log, 1), readFileSync(pathOf(log, 2)));
  await t.rejects(volume.replaceSegment(1), { code: 'EINVAL' }, 'a file of other positions');
  putInPlace(pathOf(log, 1), whole.subarray(0, 60));
  await t.rejects(volume.replaceSegment(1), { code: 'EFORMAT' }, 'no segment');
  for (const record of extents) t.same(await code(record), kept.has(record.lsn) ? record.body : 'EIO', 'the last good one is still read');
  await volume.close();
});

void t.test('what a crash left of packing is removed, and nothing else', async (t) => {
  const log = makeLog(t, 100);
  const names = readdirSync(log.log);
  for (const name of [`${segmentFileName(1)}.new`, 'note.new']) writeFileSync(join(log.log, name), 'x');
  removeUnfinishedPacking(log.log);
  t.same(readdirSync(log.log), [...names, 'note.new']);
  t.ok(existsSync(pathOf(log, 1)));
});
