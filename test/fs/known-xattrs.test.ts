/** Extended attributes of then are looked for once, and not for ever kept. */
import t from 'tap';
import { inodeOf, makeFileId, txid } from '../../engine/ids.js';
import type { FileId } from '../../engine/types.js';
import { KnownXattrs } from '../../fs/known-xattrs.js';
import { FileNode, ListNode } from '../../fs/snapshot-node.js';

const list = new ListNode(1, makeFileId(1n, 0));

function node(number: number): FileNode {
  return new FileNode(number, list, String(number), txid(5), makeFileId(BigInt(number), 0), 0);
}

/** A place to find attributes that counts who was asked for. */
function counting(): { known: KnownXattrs; asked: FileId[] } {
  const asked: FileId[] = [];
  const known = new KnownXattrs(async ({ file }) => {
    asked.push(file);
    if (asked.length === 1 && inodeOf(file) === 99n) throw new Error('EIO');
    return [{ name: Buffer.from('user.a'), value: Buffer.from(String(inodeOf(file))) }];
  });
  return { known, asked };
}

void t.test('asked a dozen times, looked for once', async (t) => {
  const { known, asked } = counting();
  const file = node(7);
  const answers = await Promise.all(Array.from({ length: 12 }, () => known.of(file)));
  t.ok(answers.every(([attribute]) => attribute?.value.toString() === '7'));
  t.equal(asked.length, 1);
});

void t.test('what could not be found out is tried again', async (t) => {
  const { known, asked } = counting();
  const file = node(99);
  await t.rejects(known.of(file), /EIO/);
  t.equal((await known.of(file)).length, 1);
  t.equal(asked.length, 2);
});

void t.test('who was asked for longest ago is forgotten', async (t) => {
  const { known, asked } = counting();
  const first = node(1);
  await known.of(first);
  for (let number = 2; number <= 64; number++) await known.of(node(number));
  await known.of(first);
  t.equal(asked.length, 64, 'all are kept');
  for (let number = 65; number <= 127; number++) await known.of(node(number));
  await known.of(first);
  t.equal(asked.length, 127, 'the one that was just asked for, too');
  await known.of(node(128));
  await known.of(node(129));
  for (let number = 130; number <= 193; number++) await known.of(node(number));
  await known.of(first);
  t.equal(asked.length, 194, 'until others have come');
});
