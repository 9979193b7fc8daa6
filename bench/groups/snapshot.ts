/**
 * Copying a whole tree out of the past against copying the live tree, both from the mount onto the bare disk. A part of the
 * tree is changed after the moment copied, so that its bytes come from everywhere: the live file, the log, files
 * that left the tree.
 *
 * Invariants:
 * 1. Every copy out of the past is compared with the archive's contents: a wrong copy is a failed run.
 * 2. The first copy is of a snapshot that nobody has looked at; the live tree was just written, so it is in memory.
 */
import { execute, pause } from '../command.js';
import { makeSourceTree } from '../source-tree.js';
import type { Bench, Group, RunContext } from './group.js';

/** More than Tidemark's default interval. */
const timerMs = 2_000;

export const snapshot: Group = { id: 'snapshot', needsHistory: true, prepare, run };

async function prepare({ scratch, sizes }: Bench): Promise<void> {
  await makeSourceTree(scratch, sizes.treeFileCount);
}

async function run(context: RunContext): Promise<void> {
  const { path, round, scratch, target, wanted } = context;
  const history = target.history!;
  await execute('tar', ['-xf', `${scratch}/tree.tar`, '-C', path]);
  // tar gives directories their modes last, and that transaction waits for the timer to end. (In a directory whose mode differs from
  // today's, every name is asked for each time.)
  await pause(timerMs);
  const then = await history.lastTransaction();
  await execute('bash', ['-c', change, 'change', `${path}/tree`]);
  const past = history.pathAt(then);
  const tasks: readonly (readonly [string, string])[] = [
    ['copy-live', path], ['copy-snapshot', past], ['copy-live-again', path], ['copy-snapshot-again', past],
  ];
  for (const [row, source] of tasks) {
    if (!wanted(row) && row.endsWith('again')) continue;
    const copy = `${scratch}/${row}-${round}`;
    await context.measure(row, 'run', `${scratch}/output`, 'cp', '-r', `${source}/tree`, copy);
    if (source === past) await execute('diff', ['-r', `${scratch}/tree`, copy]);
  }
}

/** Overwrites one file in ten in place, and replaces one in twenty as editors do. */
const change = `
cd "$1"
find . -type f -name '*[05].c' | sort | awk 'NR % 2' | while read -r file; do printf 'changed later' 1<> "$file"; done
find . -type f -name '*7.c' | sort | awk 'NR % 2' | while read -r file; do cp "$file" "$file.new"; mv "$file.new" "$file"; done
`;
