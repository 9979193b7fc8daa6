/** Packed attributes: fs/attributes.ts. */
import t from 'tap';
import { modeOf, ownershipDiffers, readOnlyDirectory, withModificationTime } from '../../fs/attributes.js';

const timeOf = (attributes: Buffer): bigint => attributes.readBigInt64LE(48) * 1_000_000_000n + BigInt(attributes.readUInt32LE(68));

t.test('stamping a time leaves the given buffer as it is, and all else in the copy', async (t) => {
  const given = readOnlyDirectory(3, 4, 5n);
  const before = Buffer.from(given);
  const stamped = withModificationTime(given, 1_234_567_890_987_654_321n);
  t.same(given, before);
  t.equal(timeOf(stamped), 1_234_567_890_987_654_321n);
  t.same(withModificationTime(stamped, 5n), before);
});

t.test('times before 1970 have nanoseconds that count upwards', async (t) => {
  const stamped = withModificationTime(readOnlyDirectory(0, 0, 0n), -1n);
  t.equal(stamped.readBigInt64LE(48), -1n);
  t.equal(stamped.readUInt32LE(68), 999_999_999);
});

t.test('mode, user and group are compared, type and times are not', async (t) => {
  const base = readOnlyDirectory(3, 4, 5n);
  t.equal(modeOf(base), 0o040555);
  t.notOk(ownershipDiffers(base, readOnlyDirectory(3, 4, 99n)));
  t.ok(ownershipDiffers(base, readOnlyDirectory(2, 4, 5n)));
  t.ok(ownershipDiffers(base, readOnlyDirectory(3, 2, 5n)));
  for (const bit of [0o1, 0o20, 0o400, 0o1000, 0o2000, 0o4000]) {
    const other = Buffer.from(base);
    other.writeUInt32LE(0o040555 ^ bit, 0);
    t.ok(ownershipDiffers(base, other), bit.toString(8));
  }
});
