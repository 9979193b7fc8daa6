/**
 * The log's format and its reader: what is written is read back; what is damaged is told and stepped over.
 */
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeAttributes, encodeAttributes } from '../../engine/attributes.js';
import { crc32c } from '../../engine/crc32c.js';
import { makeFileId } from '../../engine/ids.js';
import { decodeEnd, decodeName, decodePin, decodePlace, decodeXattr, encodeEnd, encodeName, encodePin, encodePlace, encodeXattr } from '../../engine/log-bodies.js';
import { alignRecord, decodeSegmentHeader, encodeRecord, encodeSegmentHeader, recordHeaderBytes, recordType, segmentFileName, segmentHeaderBytes } from '../../engine/log-format.js';
import { LogReader } from '../../engine/log-reader.js';
import type { Damage } from '../../engine/log-reader.js';
import type { FileId } from '../../engine/types.js';
import { LogWriter } from '../support/log-writer.js';
import { makePlace, removePlace } from '../support/places.js';

const file = makeFileId(0x0123_4567_89ab_cdefn, 0xfedc_ba98);
const other = makeFileId(7n, 1);

void t.test('crc32c is Castagnoli, and can be taken piecemeal', async (t) => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe306_9283);
  t.equal(crc32c(Buffer.alloc(32)), 0x8a91_36aa, 'the test vector of RFC 3720');
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 31) & 255));
  for (const cut of [0, 1, 7, 8, 9, 500, 1000]) t.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), crc32c(bytes), `cut at ${cut}`);
});

void t.test('bodies and headers are read back as they were written', async (t) => {
  const name = Buffer.from([0x66, 0xff, 0x00 + 1, 0xc3]);
  const change = { before: file, after: other, typeBefore: 0o100000, typeAfter: 0o120000, operation: 5, name };
  t.same(decodeName(encodeName(change), name.length), change);
  const end = { timeNs: 1_763_800_000_123_456_789n, uid: 1, gid: 2, pid: 3, reason: 4, flags: 5, command: 'p\u00f6stgres' };
  t.same(decodeEnd(encodeEnd(end), Buffer.byteLength(end.command)), end);
  t.same(decodeXattr(encodeXattr(name, Buffer.from('value')), name.length), { name, value: Buffer.from('value') });
  t.same(decodeXattr(encodeXattr(name, undefined), name.length), { name, value: undefined });
  t.same(decodePlace(encodePlace({ parent: file, type: 0o040000, name }), name.length), { parent: file, type: 0o040000, name });
  t.same(decodePin(encodePin(5n, name), name.length), { madeAtNs: 5n, name });
  const header = { volumeId: Buffer.alloc(16, 9), number: 3, base: 2 ** 33, openTxid: 77 };
  t.same(decodeSegmentHeader(encodeSegmentHeader(header)), header);
  t.throws(() => decodeName(Buffer.alloc(42), 9), RangeError, 'a name longer than its body');
});

void t.test('attributes keep every field, and times before 1970', async (t) => {
  const attributes = {
    mode: 0o104755, uid: 1, gid: 0xffff_fffe, nlink: 3, rdev: 0x801n, size: 2n ** 40n + 1n, blocks: 9n,
    atimeNs: -1n, mtimeNs: 1_763_800_000_999_999_999n, ctimeNs: -1_000_000_001n,
  };
  t.same(decodeAttributes(encodeAttributes(attributes)), attributes);
});

void t.test('a segment of a newer version is refused with one line', async (t) => {
  const header = encodeSegmentHeader({ volumeId: Buffer.alloc(16), number: 1, base: 0, openTxid: 1 });
  header.writeUInt32LE(2, 8);
  header.writeUInt32LE(crc32c(header.subarray(0, 60)), 60);
  t.throws(() => decodeSegmentHeader(header), { code: 'EFORMAT', message: /format 2.*update/ });
  header[9]! ^= 1;
  t.equal(decodeSegmentHeader(header), undefined, 'a damaged header is none');
});

/** Writes records of many lengths over several segments; returns their LSNs. */
function writeLog(directory: string, count: number): { lsns: number[]; end: number } {
  const writer = new LogWriter(directory, 64 * 1024);
  const lsns: number[] = [];
  for (let index = 0; index < count; index++) {
    const bytes = Buffer.alloc([0, 1, 80, 4096, 65536, 7][index % 6]!, index);
    const type = index % 6 >= 3 ? recordType.extent : recordType.attributes;
    lsns.push(writer.append({ type, flags: 0, aux: 0, file, txid: BigInt(index + 1), offset: 0n, size: BigInt(bytes.length) }, bytes));
  }
  writer.close();
  return { lsns, end: writer.end };
}

function readAll(directory: string, limit: number, bodies: 'headers' | 'all', position = 0): { lsns: number[]; damage: Damage[] } {
  const damage: Damage[] = [];
  const lsns: number[] = [];
  const reader = new LogReader({ directory, position, crc: crc32c, bodies, onDamage: (found) => { damage.push(found); } });
  for (let record = reader.next(limit); record !== undefined; record = reader.next(limit)) lsns.push(record.lsn);
  reader.close();
  return { lsns, damage };
}

/** Changes one byte of the log, wherever its segment is. */
function flip(directory: string, lsn: number, bit: number): void {
  for (let number = 1, base = 0; ; number++) {
    const path = join(directory, segmentFileName(number));
    const fd = openSync(path, 'r+');
    const head = Buffer.alloc(segmentHeaderBytes);
    readSync(fd, head, 0, head.length, 0);
    base = Number(head.readBigUInt64LE(40));
    const byte = Buffer.alloc(1);
    if (lsn >= base && readSync(fd, byte, 0, 1, lsn - base) === 1) {
      byte[0]! ^= 1 << bit;
      writeSync(fd, byte, 0, 1, lsn - base);
      closeSync(fd);
      return;
    }
    closeSync(fd);
  }
}

void t.test('all records are read, over segments, from any of them, and no further than allowed', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const { lsns, end } = writeLog(place, 300);
  for (const bodies of ['headers', 'all'] as const) {
    t.same(readAll(place, end, bodies), { lsns, damage: [] }, bodies);
    t.same(readAll(place, end, bodies, lsns[123]), { lsns: lsns.slice(123), damage: [] }, `${bodies}, from the middle`);
    t.same(readAll(place, lsns[200]!, bodies), { lsns: lsns.slice(0, 200), damage: [] }, `${bodies}, up to a limit`);
  }
});

void t.test('a reader goes on when the log has grown, also into new segments', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const writer = new LogWriter(place, 2000);
  const reader = new LogReader({ directory: place, position: 0, crc: crc32c, bodies: 'headers', onDamage: () => { t.fail('no damage'); } });
  let read = 0;
  for (let round = 1; round <= 200; round++) {
    writer.append({ type: recordType.attributes, flags: 0, aux: 0, file, txid: BigInt(round), offset: 0n, size: 0n }, Buffer.alloc(round % 3 === 0 ? 900 : 80));
    if (round % 5 === 0) while (reader.next(writer.end) !== undefined) read++;
  }
  t.equal(read, 200);
  reader.close();
  writer.close();
});

void t.test('a flipped bit costs its record and no other', async (t) => {
  for (const [what, at] of [['checksum', 0], ['length', 5], ['type', 8], ['body', recordHeaderBytes + 3]] as const) {
    const place = makePlace();
    t.teardown(() => { removePlace(place); });
    const { lsns, end } = writeLog(place, 120);
    const victim = 62;
    flip(place, lsns[victim]! + at, 6);
    const { lsns: read, damage } = readAll(place, end, 'all');
    t.same(read, lsns.filter((_, index) => index !== victim), `${what}: all others are read`);
    t.equal(damage.length, 1, `${what}: told once`);
    t.equal(damage[0]!.lsn, lsns[victim], `${what}: and where`);
  }
});

/** Overwrites bytes of a segment with zeros. */
function zero(directory: string, segment: number, from: number, length: number): void {
  const fd = openSync(join(directory, segmentFileName(segment)), 'r+');
  writeSync(fd, Buffer.alloc(length), 0, length, from);
  closeSync(fd);
}

void t.test('a block of zeros is damage, in the last segment and in those before it', async (t) => {
  for (const segment of [2, 3]) {
    const place = makePlace();
    t.teardown(() => { removePlace(place); });
    const writer = new LogWriter(place, 16 * 1024);
    const lsns = Array.from({ length: 30 }, (_, index) => writer.append({ type: recordType.extent, flags: 0, aux: 0, file, txid: BigInt(index + 1), offset: 0n, size: 1456n }, Buffer.alloc(1456, 1)));
    writer.close();
    const base = readSegmentBase(place, segment);
    // From the start of its second record on: nothing there looks like a record that is damaged.
    const from = lsns.find((lsn) => lsn > base + segmentHeaderBytes)!;
    zero(place, segment, from - base, 4096);
    for (const bodies of ['headers', 'all'] as const) {
      const { lsns: read, damage } = readAll(place, writer.end, bodies);
      t.same(read, lsns.filter((lsn) => lsn < from || lsn >= from + 4096), `${bodies}: all others are read`);
      t.match(damage, [{ lsn: from, segment }], `${bodies}: told once`);
    }
  }
});

void t.test('a segment that is too short is told, and the next one read', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const { lsns, end } = writeLog(place, 120);
  const base = readSegmentBase(place, 3);
  const cut = lsns.findLast((lsn) => lsn < base)!;
  truncateSync(join(place, segmentFileName(2)), cut - readSegmentBase(place, 2));
  const { lsns: read, damage } = readAll(place, end, 'all');
  t.same(read, lsns.filter((lsn) => lsn !== cut));
  t.same(damage, [{ lsn: cut, length: base - cut, segment: 2 }]);
});

function readSegmentBase(directory: string, segment: number): number {
  return decodeSegmentHeader(readFileSync(join(directory, segmentFileName(segment))))!.base;
}

void t.test('a damaged segment header costs nothing but is told', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const { lsns, end } = writeLog(place, 120);
  const fd = openSync(join(place, segmentFileName(3)), 'r+');
  writeSync(fd, Buffer.from('x'), 0, 1, 3);
  closeSync(fd);
  const { lsns: read, damage } = readAll(place, end, 'all');
  t.same(read, lsns);
  t.match(damage, [{ segment: 3, length: segmentHeaderBytes }]);
});

void t.test('a record that is cut at the end of the log is told', async (t) => {
  const place = makePlace();
  t.teardown(() => { removePlace(place); });
  const writer = new LogWriter(place, 1 << 20);
  const record = { type: recordType.attributes, flags: 0, aux: 0, file: other as FileId, txid: 1n, offset: 0n, size: 0n };
  const first = writer.append(record, Buffer.alloc(80));
  const cut = encodeRecord(record, Buffer.alloc(80)).subarray(0, 64);
  writer.appendRaw(cut);
  writer.close();
  t.same(readAll(place, writer.end, 'all'), { lsns: [first], damage: [{ lsn: first + alignRecord(128), length: 64, segment: 1 }] });
});
