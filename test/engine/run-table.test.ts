/**
 * The table of a packed segment: what is encoded is found again, and nothing else is taken for a table.
 */
import t from 'tap';
import { crc32c } from '../../engine/crc32c.js';
import { decodeRunTable, encodeRunTable, runTableBytes } from '../../engine/run-table.js';
import type { Run } from '../../engine/run-table.js';

const segmentBytes = 1000;
/** Of header and table, with so many runs. */
const headBytes = (count: number): number => 64 + 8 + 8 * count;

function decode(bytes: Buffer, fileBytes = 10_000): ReturnType<typeof decodeRunTable> {
  return decodeRunTable(bytes, { segmentBytes, fileBytes }, crc32c);
}

const cases: readonly [string, readonly Run[]][] = [
  ['no run', []],
  ['one run', [{ offset: 64, length: 48 }]],
  ['the whole segment', [{ offset: 64, length: segmentBytes - 64 }]],
  ['several runs', [{ offset: 72, length: 48 }, { offset: 128, length: 56 }, { offset: 800, length: 200 }]],
];

for (const [what, runs] of cases) {
  void t.test(`a table of ${what} tells where each position stands`, async (t) => {
    const bytes = encodeRunTable(runs, crc32c);
    t.equal(bytes.length, runTableBytes(bytes));
    const table = decode(bytes);
    t.equal(table?.size, runs.length);
    for (let offset = 0; offset <= segmentBytes; offset += 8) {
      const index = runs.findIndex((run) => run.offset + run.length > offset);
      const before = runs.slice(0, Math.max(index, 0)).reduce((sum, { length }) => sum + length, 0);
      t.same(table?.from(offset), index < 0 ? undefined : { ...runs[index], fileOffset: headBytes(runs.length) + before }, `offset ${offset}`);
    }
  });
}

const wrong: readonly [string, readonly Run[]][] = [
  ['overlap', [{ offset: 64, length: 56 }, { offset: 112, length: 48 }]],
  ['stand in no order', [{ offset: 200, length: 48 }, { offset: 64, length: 48 }]],
  ['lie in the header', [{ offset: 56, length: 48 }]],
  ['lie behind the segment', [{ offset: 960, length: 48 }]],
  ['are empty', [{ offset: 64, length: 0 }]],
  ['do not begin at a multiple of 8', [{ offset: 68, length: 48 }]],
  ['do not end at a multiple of 8', [{ offset: 64, length: 52 }]],
];

for (const [what, runs] of wrong) {
  void t.test(`a table whose runs ${what} is refused, though its checksum is right`, async (t) => {
    t.equal(decode(encodeRunTable(runs, crc32c)), undefined);
  });
}

void t.test('a table whose runs are not all in the file is refused', async (t) => {
  const bytes = encodeRunTable([{ offset: 64, length: 48 }], crc32c);
  t.ok(decode(bytes, headBytes(1) + 48));
  t.equal(decode(bytes, headBytes(1) + 47), undefined);
});

void t.test('a table with any bit flipped, or cut anywhere, is refused', async (t) => {
  const bytes = encodeRunTable([{ offset: 64, length: 48 }, { offset: 200, length: 80 }], crc32c);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    t.equal(decode(flipped), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length++) t.equal(decode(bytes.subarray(0, length)), undefined, `${length} bytes`);
});
