/**
 * A process that watches the other side of a continuous sync and says when something has changed there. It is one of its own because a drive that hangs, or a tree with very many directories, is no matter of the mount. In: the path, as its
 * argument. Out: "ready" when it watches, "changed" when it has been quiet again for a moment.
 *
 * Invariants:
 * 1. When the directory becomes another one (the drive was pulled, or came), it ends; the daemon starts the next.
 */
import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { watch } from 'chokidar';
import { syncPlace } from '../../replica/sync/layout.js';

const quietMs = 500;
const lookMs = 2000;
const root = process.argv[2] ?? '';

function identity(): string {
  const stat = statSync(root, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`;
}

process.title = 'tidemark sync: watches';
process.on('disconnect', () => { process.exit(); });
const begun = identity();
let timer: NodeJS.Timeout | undefined;
setInterval(() => {
  if (identity() !== begun) process.exit();
}, lookMs);
if (begun !== '') {
  const watcher = watch(root, { ignoreInitial: true, followSymlinks: false, ignored: (path) => relative(root, path) === syncPlace });
  watcher.on('all', () => {
    clearTimeout(timer);
    timer = setTimeout(() => { process.send?.('changed'); }, quietMs);
  });
  watcher.on('ready', () => { process.send?.('ready'); });
  // What cannot be watched is looked at now and then all the same.
  watcher.on('error', () => undefined);
}
