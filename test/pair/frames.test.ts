/** Frames, invitations and positions: what is said is what is heard, and what makes no sense is refused. */
import { deflateRawSync } from 'node:zlib';
import t from 'tap';
import { FrameError, FrameReader, encodeFrame, encodeJson, frameHeaderBytes, frameType, payloadBytesMax } from '../../replica/pair/frame.js';
import { decodeInvitation, encodeInvitation, parseAddress } from '../../replica/pair/invitation.js';
import { chunkBytes, packed, unpackDeflated } from '../../replica/pair/pack.js';
import { PackPool } from '../../replica/pair/pack-pool.js';
import { helloSchema, readMessage } from '../../replica/pair/messages.js';
import { compare, firstOfTerm } from '../../replica/pair/position.js';
import { Random, chooseSeed } from '../support/seed.js';

const seed = chooseSeed();

void t.test('frames come out as they went in, however the bytes are cut', async (t) => {
  const random = new Random(seed);
  t.comment(`TIDEMARK_SEED=${seed}`);
  const frames = Array.from({ length: 50 }, () => ({ type: random.pick([frameType.data, frameType.changes, frameType.commit]), payload: random.bytes(random.below(3000)) }));
  const bytes = Buffer.concat(frames.map(({ type, payload }) => encodeFrame(type, payload)));
  const reader = new FrameReader();
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random.below(2000);
    reader.push(bytes.subarray(at, at + length));
    at += length;
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) found.push({ type: frame.type, payload: Buffer.from(frame.payload) });
  }
  t.strictSame(found, frames);
  t.equal(reader.pending, 0);
});

void t.test('a turned bit, an unknown type and a length of 4 GiB are refused', async (t) => {
  const sound = encodeFrame(frameType.data, Buffer.from('some bytes'));
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const bytes = Buffer.from(sound);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const reader = new FrameReader();
    reader.push(bytes);
    try {
      reader.next();
      t.fail(`bit ${bit} was not noticed`);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
    }
  }
  const huge = Buffer.alloc(frameHeaderBytes, 0xff);
  const reader = new FrameReader();
  reader.push(huge);
  t.throws(() => reader.next(), { code: 'EFRAME' });
  t.throws(() => encodeFrame(frameType.data, Buffer.alloc(payloadBytesMax + 1)), RangeError);
});

void t.test('bytes come out as they were packed, here and in a thread, deflated or not; nonsense is refused', async (t) => {
  const random = new Random(seed);
  for (const deflates of [false, true]) {
    const pool = new PackPool(() => deflates);
    for (const bytes of [random.bytes(100_000), Buffer.alloc(100_000), Buffer.alloc(chunkBytes, 'words '), Buffer.alloc(10, 'few'), Buffer.concat([Buffer.alloc(5000, 'a'), random.bytes(90_000)])]) {
      const here = packed(4096, bytes, deflates);
      t.strictSame(await pool.pack(4096, Buffer.from(bytes)), here);
      const reader = new FrameReader();
      reader.push(here);
      const { type, payload } = reader.next()!;
      const found = type === frameType.deflated ? unpackDeflated(payload).bytes : type === frameType.zeros ? Buffer.alloc(Number(payload.readBigUInt64LE(8))) : payload.subarray(8);
      t.ok(found.equals(bytes));
      t.equal(payload.readBigUInt64LE(0), 4096n);
    }
    await pool.close();
  }
  const head = Buffer.alloc(12);
  head.writeUInt32LE(chunkBytes, 8);
  for (const tail of [Buffer.from('nonsense'), deflateRawSync(Buffer.alloc(100 * chunkBytes)), deflateRawSync(Buffer.alloc(10))]) {
    t.throws(() => unpackDeflated(Buffer.concat([head, tail])), { code: 'EFRAME' });
  }
  t.throws(() => unpackDeflated(Buffer.alloc(5)), { code: 'EFRAME' });
});

void t.test('what another version would say is refused', async (t) => {
  const hello = { protocol: 1, node: 'a'.repeat(16), name: 'x', role: 'standby', terms: [], purpose: 'look', volume: 'b'.repeat(32) };
  const heard = (value: object): unknown => {
    const reader = new FrameReader();
    reader.push(encodeJson(frameType.hello, value));
    return readMessage(helloSchema, reader.next()!);
  };
  t.strictSame(heard(hello), hello);
  t.throws(() => heard({ ...hello, protocol: 2 }), { code: 'EFRAME' });
  t.throws(() => heard({ ...hello, more: true }), { code: 'EFRAME' });
  t.throws(() => heard({ ...hello, position: { txid: '-1', checksum: 0 } }), { code: 'EFRAME' });
});

void t.test('an invitation is one line, and nothing else is taken for one', async (t) => {
  const invitation = { address: { host: '10.0.0.1', port: 7117 }, volume: 'c'.repeat(32), token: 'tokentokentokentokentoken', fingerprint: 'd'.repeat(64) };
  t.strictSame(decodeInvitation(encodeInvitation(invitation)), invitation);
  const v6 = { ...invitation, address: { host: 'fe80::1', port: 1 } };
  t.strictSame(decodeInvitation(encodeInvitation(v6)), v6);
  t.throws(() => decodeInvitation('tidemark://10.0.0.1:7117/x#y.z'), { code: 'EINVAL' });
  t.throws(() => parseAddress('host:70000'), { code: 'EINVAL' });
});

void t.test('two histories: a part, a divergence, a conflict', async (t) => {
  const [one, two, three] = [{ term: 1, after: 0n, node: 'a' }, { term: 2, after: 10n, node: 'b' }, { term: 3, after: 12n, node: 'a' }];
  const checksums = new Map([[5n, 55], [10n, 1010], [firstOfTerm(2), 22]]);
  const against = (terms: typeof one[], mine: typeof one[], txid: bigint, checksum: number): string => {
    const verdict = compare(terms, mine, { txid, checksum }, (asked) => checksums.get(asked), firstOfTerm(2));
    return verdict.kind === 'diverged' ? `diverged at ${verdict.common}` : verdict.kind;
  };
  t.equal(against([one, two], [one], 5n, 55), 'follows');
  t.equal(against([one, two], [one], 10n, 1010), 'follows');
  t.equal(against([one, two], [one, two], firstOfTerm(2), 22), 'follows');
  t.equal(against([one, two], [one], 5n, 56), 'conflict', 'the same number with another checksum');
  t.equal(against([one, two], [one], 7n, 0), 'behind', 'a transaction that is no longer there');
  t.equal(against([one, two], [one], 11n, 0), 'diverged at 10');
  t.equal(against([one, three], [one, two], firstOfTerm(2) + 5n, 0), 'diverged at 10', 'where the earlier of two terms began');
  t.equal(against([one, two], [one, two], firstOfTerm(2) + 1n, 0), 'conflict', 'a standby that is ahead in the same term');
});
