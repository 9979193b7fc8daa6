/** Node numbers: fs/node-table.ts, invariants 1 and 2. */
import t from 'tap';
import type { FileId, Txid } from '../../native/types.js';
import { NodeTable } from '../../fs/node-table.js';
import { DeletedNode } from '../../fs/snapshot-node.js';
import type { FileNode, InnerNode, SnapshotNode } from '../../fs/snapshot-node.js';
import { Random, chooseSeed } from '../support/seed.js';

const directory = 2n as FileId;
const bytes = (name: string): Buffer => Buffer.from(name, 'latin1');

t.test('the same snapshot, path and file keep their number until they are forgotten', async (t) => {
  const table = new NodeTable();
  const list = table.list(directory);
  const top = table.snapshot(list, 7n as Txid);
  const file = table.entry(top, bytes('a'), 9n as FileId, 0);
  t.equal(table.list(directory), list);
  t.equal(table.snapshot(list, 7n as Txid), top);
  t.equal(table.entry(top, bytes('a'), 9n as FileId, 0), file);
  table.forget([file.number]);
  t.throws(() => table.get(file.number), { code: 'ESTALE' });
  t.not(table.entry(top, bytes('a'), 9n as FileId, 0).number, file.number);
});

t.test('two names of one file are two nodes', async (t) => {
  const table = new NodeTable();
  const top = table.snapshot(table.list(directory), 7n as Txid);
  t.not(table.entry(top, bytes('a'), 9n as FileId, 0).number, table.entry(top, bytes('b'), 9n as FileId, 0).number);
});

t.test('names are bytes', async (t) => {
  const table = new NodeTable();
  const top = table.snapshot(table.list(directory), 7n as Txid);
  t.not(table.entry(top, Buffer.from([0xff]), 9n as FileId, 0), table.entry(top, Buffer.from([0xc3, 0xbf]), 9n as FileId, 0));
});

t.test('nodes that were told by another process stay, but who walks there again is told others', async (t) => {
  const table = new NodeTable();
  table.restore({ node: 4, parent: 0, file: directory, size: 0, name: bytes('') }, bytes(''));
  table.restore({ node: 6, parent: 4, snapshot: 7n as Txid, file: directory, size: 0, name: bytes('7') }, bytes('7'));
  table.restore({ node: 9, parent: 6, snapshot: 7n as Txid, file: 9n as FileId, size: 3, name: bytes('a') }, bytes('a'));
  t.equal(table.entry(table.get(6) as FileNode, bytes('a'), 9n as FileId, 3).number, 9);
  table.restore({ node: 12, parent: 4, file: 0n as FileId, size: 0, name: bytes('') }, bytes(''));
  t.throws(() => table.get(12), { code: 'ESTALE' }, 'one of which only the number is known');
  const list = table.list(directory);
  t.equal(list.number, 13);
  table.forget([9, 6, 4]);
  t.throws(() => table.get(4), { code: 'ESTALE' });
  t.equal(table.list(directory), list);
});

t.test('a forgotten directory is kept while a child of it is known, and goes with its last child', async (t) => {
  const table = new NodeTable();
  const list = table.list(directory);
  const top = table.snapshot(list, 7n as Txid);
  const file = table.entry(top, bytes('a'), 9n as FileId, 0);
  table.forget([list.number, top.number]);
  t.equal(table.size, 3);
  t.equal(table.get(top.number), top);
  table.forget([file.number]);
  t.equal(table.size, 0);
});

t.test('forgetting what is not known changes nothing', async (t) => {
  const table = new NodeTable();
  const list = table.list(directory);
  table.forget([list.number + 1, 0, -1]);
  t.equal(table.size, 1);
  table.forget([list.number, list.number]);
  t.equal(table.size, 0);
});

t.test('random lookups and forgets: numbers hold, and nothing is left when all is forgotten', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  const table = new NodeTable();
  const known = new Map<number, SnapshotNode>();
  for (let step = 0; step < 20_000; step++) {
    const nodes = [...known.values()];
    const chosen = nodes[random.below(nodes.length || 1)];
    if (chosen !== undefined && random.below(3) === 0) {
      table.forget([chosen.number]);
      known.delete(chosen.number);
    } else {
      const found = randomLookup(table, chosen, random);
      const before = known.get(found.number);
      if (before !== undefined && before !== found) t.fail(`number ${found.number} stands for two nodes, TIDEMARK_SEED=${seed}`);
      known.set(found.number, found);
    }
    for (const node of known.values()) {
      if (table.get(node.number) !== node) t.fail(`node ${node.number} is lost, TIDEMARK_SEED=${seed}`);
    }
  }
  table.forget([...known.keys()]);
  t.equal(table.size, 0, `TIDEMARK_SEED=${seed}`);
});

function randomLookup(table: NodeTable, parent: SnapshotNode | undefined, random: Random): SnapshotNode {
  if (parent === undefined || random.below(4) === 0) return table.list(BigInt(random.below(2) + 1) as FileId);
  if (!('parent' in parent)) return random.oneIn(3) ? table.deletedDirectory(parent, 'deleted', parent.directory, undefined) : table.snapshot(parent, BigInt(random.below(2)) as Txid);
  if (depthOf(parent) > 3) return parent;
  const name = random.below(2);
  if (parent instanceof DeletedNode) {
    const file = (parent.file * 4n + BigInt(name) + 1n) as FileId;
    return name === 0 ? table.deletedDirectory(parent, 'n0', file, undefined) : table.deletedFile(parent, bytes('n1'), { snapshot: BigInt(random.below(2)) as Txid, file }, 0);
  }
  return table.entry(parent, bytes(`n${name}`), (parent.file * 4n + BigInt(name) + 1n) as FileId, 0);
}

function depthOf(node: InnerNode): number {
  return 'parent' in node.parent ? depthOf(node.parent) + 1 : 1;
}
