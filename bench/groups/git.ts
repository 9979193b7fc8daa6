/**
 * `git status` in a clean repository with every file tracked. The repository is made once on the bare disk; each run starts from
 * the same bytes, unpacked before the mount.
 *
 * Invariants:
 * 1. The first status of a run is not timed: git writes the inode numbers it sees there into its index, and compares with them later.
 * 2. No settings of the user or the host take part: a file system monitor would answer in the target's place.
 * 3. An answer other than "clean" is a failed run.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { execute } from '../command.js';
import { makeSourceTree } from '../source-tree.js';
import type { Bench, Group, RunContext } from './group.js';

const tool = ['GIT_CONFIG_GLOBAL=/dev/null', 'GIT_CONFIG_SYSTEM=/dev/null', 'git'];
/** Else commit starts a collection of its own in the background, which would still run when the files are packed and measured. */
const quiet = ['-c', 'gc.auto=0', '-c', 'maintenance.auto=false'];

export const git: Group = {
  id: 'git',
  unavailable: () => execute('git', ['--version']).then(() => undefined, () => 'git is not installed (apt install git)'),
  prepare,
  fill,
  run,
};

/** Packed, as a clone is: status compares the index with files and directories, and objects would only fill the disk. */
async function prepare({ scratch, sizes }: Bench): Promise<void> {
  if (existsSync(`${scratch}/repository.tar`)) return;
  await makeSourceTree(scratch, sizes.treeFileCount);
  const folder = `${scratch}/repository`;
  await execute('cp', ['-a', `${scratch}/tree`, folder]);
  const steps = [
    ['init', '-q'], ['add', '-A'], ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', 'commit', '-q', '-m', 'all files'], ['gc', '-q'],
  ];
  for (const words of steps) await execute('env', [...tool, '-C', folder, ...quiet, ...words]);
  await execute('tar', ['-cf', `${scratch}/repository.tar`, '-C', scratch, 'repository']);
}

async function fill({ scratch }: Bench, directory: string): Promise<void> {
  await execute('tar', ['-xf', `${scratch}/repository.tar`, '-C', directory]);
}

async function run({ path, scratch, measure, work }: RunContext): Promise<void> {
  const output = `${scratch}/output`;
  const status = ['run', output, 'env', ...tool, '-C', `${path}/repository`, 'status'];
  await work(...status);
  await measure('git-status', ...status);
  const said = await readFile(output, 'utf8');
  if (!said.includes('working tree clean')) throw new Error(`git status says: ${said.slice(0, 300)}`);
}
