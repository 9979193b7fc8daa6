/** Listings made before they are asked for: fs/listings-ahead.ts. */
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import type { ListedEntry } from '../../engine/types.js';
import { ListingsAhead } from '../../fs/listings-ahead.js';
import { NodeTable } from '../../fs/node-table.js';
import type { FileNode } from '../../fs/snapshot-node.js';
import type { FileId, Txid } from '../../native/types.js';

interface Walk {
  readonly ahead: ListingsAhead;
  readonly top: FileNode;
  readonly folders: readonly FileNode[];
  /** Names of directories, in the order in which they were listed. */
  readonly made: string[];
}

/** A directory of folders; `list` may throw for one. Each has `entryCount` entries. */
function walk(folderCount: number, entryCount = 1, sizeOf = (_: number): number => 4096, list: (name: string) => void = () => undefined): Walk {
  const table = new NodeTable();
  const top = table.snapshot(table.list(2n as FileId), 7n as Txid);
  const folders = Array.from({ length: folderCount }, (_, index) => table.entry(top, Buffer.from(`folder-${index}`), BigInt(10 + index) as FileId, sizeOf(index)));
  const made: string[] = [];
  const ahead = new ListingsAhead(async ({ key }) => {
    made.push(key);
    list(key);
    return Array.from({ length: entryCount }, (): ListedEntry => ({ name: Buffer.from(key), file: 9n as FileId, type: 0o100000, attributes: Buffer.alloc(0), plan: undefined }));
  });
  return { ahead, top, folders, made };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) await setImmediate();
}

t.test('the second listing of a walk brings the next ones', async (t) => {
  const { ahead, top, folders, made } = walk(30);
  ahead.listed(top, folders);
  await turns();
  t.same(made, [], 'one listing is no walk');
  await ahead.take(folders[0]!);
  ahead.listed(folders[0]!, []);
  await turns();
  t.same(made, folders.slice(0, 9).map(({ key }) => key));
  const [entry] = await ahead.take(folders[1]!);
  t.equal(entry?.name.toString(), 'folder-1');
  t.equal(made.length, 9, 'not made again');
  ahead.listed(folders[1]!, []);
  await turns();
  t.same(made.slice(9), ['folder-9']);
  await ahead.take(folders[1]!);
  t.same(made.slice(10), ['folder-1'], 'a listing is given out once');
});

t.test('a walk that goes down is followed', async (t) => {
  const { ahead, top, folders, made } = walk(3);
  ahead.listed(top, folders.slice(0, 1));
  ahead.listed(folders[0]!, folders.slice(1));
  await turns();
  t.same(made, ['folder-1', 'folder-2']);
});

t.test('what cannot be listed ahead is told to who asks for it', async (t) => {
  let isBroken = true;
  const { ahead, top, folders } = walk(3, 1, undefined, (name) => {
    if (isBroken && name === 'folder-1') throw new Error('broken');
  });
  ahead.listed(top, folders);
  ahead.listed(folders[0]!, []);
  await turns();
  await t.rejects(ahead.take(folders[1]!), { message: 'broken' });
  isBroken = false;
  t.equal((await ahead.take(folders[1]!)).length, 1);
});

t.test('large directories are not listed ahead, and no more is kept than is meant to be', async (t) => {
  const { ahead, top, folders, made } = walk(9, 3000, (index) => (index === 1 ? 1 << 20 : 4096));
  ahead.listed(top, folders);
  ahead.listed(folders[0]!, []);
  await turns();
  t.same(made, ['folder-2', 'folder-3', 'folder-4', 'folder-5', 'folder-6', 'folder-7', 'folder-8']);
  for (const folder of folders.slice(2)) await ahead.take(folder);
  t.same(made.slice(7), ['folder-2', 'folder-3', 'folder-4', 'folder-5', 'folder-6'], 'of seven the last two were kept');
});
