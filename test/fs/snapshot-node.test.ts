/** Inode numbers shown below `.snapshots`. */
import t from 'tap';
import type { FileId, Txid } from '../../native/types.js';
import { FileNode, ListNode, inodeNumber, inodeOf } from '../../fs/snapshot-node.js';

const top = 1n << 63n;

t.test('an inode number has its top bit set and fits into 64 bits', async (t) => {
  for (const file of [1n, 2n, 2n ** 63n, (7n << 64n) | 12n, 2n ** 96n - 1n]) {
    const inode = inodeNumber(5n, file as FileId);
    t.ok(inode >= top && inode < 1n << 64n, `${file}: ${inode}`);
  }
});

t.test('an inode number is the same each time', async (t) => {
  const file = ((3n << 64n) | 77n) as FileId;
  t.equal(inodeNumber(9n, file), inodeNumber(9n, file));
});

t.test('a hundred thousand snapshots and files have different inode numbers', async (t) => {
  const seen = new Set<bigint>();
  for (let file = 1n; file <= 1000n; file++) for (let snapshot = 1n; snapshot <= 100n; snapshot++) seen.add(inodeNumber(snapshot, file as FileId));
  t.equal(seen.size, 100_000);
});

t.test('the generation of a file counts', async (t) => {
  t.not(inodeNumber(1n, 5n as FileId), inodeNumber(1n, ((1n << 64n) | 5n) as FileId));
});

t.test('hard links within a snapshot share an inode number, other snapshots have others', async (t) => {
  const list = new ListNode(1, 2n as FileId);
  const one = new FileNode(2, list, '5', 5n as Txid, 9n as FileId, 0);
  const other = new FileNode(3, one, 'b', 5n as Txid, 9n as FileId, 0);
  const later = new FileNode(4, one, 'b', 6n as Txid, 9n as FileId, 0);
  t.equal(inodeOf(one), inodeOf(other));
  t.not(inodeOf(one), inodeOf(later));
  t.not(inodeOf(list), inodeOf(one));
});
