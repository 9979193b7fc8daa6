/**
 * The groups in the order in which they run.
 */
import { ago } from './ago.js';
import { git } from './git.js';
import { memory } from './memory.js';
import { overwrite } from './overwrite.js';
import { postgres } from './postgres.js';
import { saving } from './saving.js';
import { snapshot } from './snapshot.js';
import { sqlite } from './sqlite.js';
import { stream } from './stream.js';
import { removal, tree } from './tree.js';
import type { Group } from './group.js';

export const groups: readonly Group[] = [tree, git, snapshot, stream, overwrite, saving, sqlite, postgres, ago, removal, memory];
