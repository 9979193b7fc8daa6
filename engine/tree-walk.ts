/**
 * Walks the backing tree by the descriptor that the store keeps, past any mount. In: the root's path. Out: every entry with its
 * stats. The store itself is left out.
 *
 * Invariants:
 * 1. A directory is handed out before what is in it.
 * 2. What vanishes while the walk goes on is skipped: others may be changing the tree.
 * 3. What cannot be looked at is an error, or, where `onFault` is given, told to it and passed over. (Without it, what this user may not see is passed over.)
 */
import { lstatSync, readdirSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { codeOf } from './errors.js';
import { storeName } from './store-files.js';

export interface WalkedEntry {
  /** From the root, without a leading slash; "" for the root. */
  readonly path: Buffer;
  readonly stats: BigIntStats;
}

const slash = Buffer.from('/');
const store = Buffer.from(storeName);

type OnFault = (path: Buffer, error: unknown) => void;

/** `root`: a path ending without a slash; the walk stays on its file system. `hides`: what to leave out, with all that is below. */
export function* walkTree(root: string, hides: (path: Buffer) => boolean = () => false, onFault?: OnFault): Generator<WalkedEntry> {
  const rootBytes = Buffer.from(`${root}/`);
  const rootStats = lstatSync(`${root}/.`, { bigint: true });
  yield { path: Buffer.alloc(0), stats: rootStats };
  const waiting: Buffer[] = [Buffer.alloc(0)];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const name of namesOf(rootBytes, directory, onFault)) {
      if (directory.length === 0 && name.equals(store)) continue;
      const path = directory.length === 0 ? name : Buffer.concat([directory, slash, name]);
      if (hides(path)) continue;
      const stats = statsOf(rootBytes, path, onFault);
      if (stats === undefined || stats.dev !== rootStats.dev) continue;
      yield { path, stats };
      if (stats.isDirectory()) waiting.push(path);
    }
  }
}

function namesOf(root: Buffer, directory: Buffer, onFault?: OnFault): Buffer[] {
  try {
    return readdirSync(Buffer.concat([root, directory]), { encoding: 'buffer' });
  } catch (error) {
    const code = codeOf(error);
    if (onFault !== undefined) onFault(directory, error);
    else if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'ENOTDIR') throw error;
    return [];
  }
}

function statsOf(root: Buffer, path: Buffer, onFault?: OnFault): BigIntStats | undefined {
  try {
    return lstatSync(Buffer.concat([root, path]), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (onFault === undefined) throw error;
    onFault(path, error);
    return undefined;
  }
}
