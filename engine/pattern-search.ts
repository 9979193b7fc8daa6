/**
 * Whether a pattern speaks of any file of a volume, now or at any time that the index knows of. In: a glob. Out: yes or no.
 *
 * Invariants:
 * 1. The backing tree is walked past the mount, and only until something is found.
 */
import { compileExcludes } from './excludes.js';
import { namesPath } from './file-rules.js';
import { nameInKey, namedKey, table, txidAtEnd, txidMax } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readFileId } from './ids.js';
import { pacer } from './pacer.js';
import type { Paths } from './paths.js';
import { walkTree } from './tree-walk.js';

/** `root`: the backing directory. */
export async function matchesAnything(glob: string, root: string, index: IndexStore, paths: Paths): Promise<boolean> {
  const pattern = compileExcludes([glob]);
  const pause = pacer();
  for (const { path } of walkTree(root)) {
    await pause();
    if (path.length > 0 && namesPath(pattern, path.toString('latin1'))) return true;
  }
  for (let from: Buffer = Buffer.of(table.name); ;) {
    const entry = index.atOrAfter(from, 1);
    if (entry === undefined) return false;
    await pause();
    const directory = readFileId(entry.key, 1);
    const name = nameInKey(entry.key);
    from = namedKey(table.name, directory, name, txidMax);
    const above = paths.pathOf(txidMax - 1, directory) ?? paths.pathOf(txidAtEnd(entry.key), directory);
    const below = name.toString('latin1');
    if (above !== undefined && namesPath(pattern, above.length === 1 ? below : `${above.toString('latin1', 1)}/${below}`)) return true;
  }
}
