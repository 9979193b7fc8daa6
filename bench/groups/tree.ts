/**
 * A tree of small files in the hands of ordinary programs: tar, find, grep; and, last of all because ext4 makes inodes slowly
 * for a minute after many were deleted, rm.
 */
import { execute } from '../command.js';
import { makeSourceTree, searchedWord } from '../source-tree.js';
import type { Bench, Group, RunContext } from './group.js';

export const tree: Group = { id: 'tree', prepare, run };
export const removal: Group = { id: 'removal', prepare, fill, run: remove };

async function prepare({ scratch, sizes }: Bench): Promise<void> {
  await makeSourceTree(scratch, sizes.treeFileCount);
}

async function run({ path, scratch, measure, wanted, work }: RunContext): Promise<void> {
  const output = `${scratch}/output`;
  const folder = `${path}/tree`;
  const find = ['run', output, 'find', folder, '-printf', '%s\\n'];
  const grep = ['run', output, 'grep', '-r', searchedWord, folder];
  await measure('untar', 'run', output, 'tar', '-xf', `${scratch}/tree.tar`, '-C', path);
  if (wanted('find')) {
    await work(...find);
    await measure('find', ...find);
  }
  if (wanted('grep')) {
    await work(...grep);
    await measure('grep', ...grep);
  }
}

async function fill({ scratch }: Bench, directory: string): Promise<void> {
  await execute('tar', ['-xf', `${scratch}/tree.tar`, '-C', directory]);
}

async function remove({ path, scratch, measure, work }: RunContext): Promise<void> {
  const output = `${scratch}/output`;
  const folder = `${path}/tree`;
  await work('run', output, 'find', folder, '-printf', '%s\\n');
  await measure('rm', 'run', output, 'rm', '-r', folder);
}
