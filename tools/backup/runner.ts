/**
 * A process that does one thing for one backup or sync: a run, a verification, a test restore. The daemon starts it (runner-process.ts), so that hashing, slow servers and drives that hang are no matter of the mount. It reads the
 * snapshot through the mount, as anybody would, and a sync writes through it. In: a RunnerOrder. Out: RunnerAnswers.
 *
 * Invariants:
 * 1. When the daemon ends, it ends: whatever it was at, the next run goes on there.
 */
import { hostname } from 'node:os';
import { messageOf } from '../../engine/errors.js';
import { DestinationError } from '../../replica/destination.js';
import { bind, run, verify } from '../../replica/by-place.js';
import type { Owner } from '../../replica/binding.js';
import type { Change } from '../../replica/examine.js';
import { LocalFiles } from '../../replica/local-files.js';
import type { Place } from '../../replica/place.js';
import type { Report } from '../../replica/progress.js';
import type { Filter } from '../../replica/snapshot-tree.js';
import { bindOther } from '../../replica/sync/bind.js';
import type { Policy } from '../../replica/sync/decide.js';
import { runSync } from '../../replica/sync/run.js';
import type { SyncResult } from '../../replica/sync/run.js';
import { ControlClient } from '../control-client.js';
import { ladderOf } from './ladder.js';
import type { RunnerAnswer, RunnerOrder } from './order.js';
import { backupDirectory, kindOf } from './names.js';
import { testRestore } from './test-restore.js';

function answer(message: RunnerAnswer): Promise<void> {
  return new Promise((resolve) => { process.send?.(message, undefined, undefined, () => { resolve(); }); });
}

async function perform(order: RunnerOrder): Promise<RunnerAnswer> {
  const { config, place, volume, directory, store, txid, timeNs, again } = order;
  const owner = { volume, name: config.name, directory, host: hostname() };
  const local = new LocalFiles(backupDirectory(store), config.name);
  const onReport = (report: Report): void => { void answer({ report }); };
  switch (order.task) {
    case 'bind':
      if (config.sync === undefined) await bind(place, owner, local);
      else await bindOther(directoryOf(place), owner, local);
      return { bound: true };
    case 'verify':
      return { verified: await verify({ place, owner, local, percent: order.percent, onReport }) };
    case 'test':
      return { tested: await testRestore(order, onReport) };
    case 'run':
      if (config.sync !== undefined) return { synced: await performSync(order, config.sync.conflict, owner, local) };
      return {
        result: await run({
          place, owner, local, txid, timeNs: BigInt(timeNs), again, onReport,
          root: snapshotRoot(order),
          changesSince: (since) => changesSince(order, since),
          filter: filterOf(order),
          ladder: ladderOf(config.keep), bytesPerSecond: config.bytesPerSecond ?? Infinity,
        }),
      };
  }
}

function performSync(order: RunnerOrder, policy: Policy, owner: Owner, local: LocalFiles): Promise<SyncResult> {
  const { place, mountpoint, store, txid, timeNs, since, again, asked } = order;
  return runSync({
    path: directoryOf(place), owner, local, txid, timeNs: BigInt(timeNs), since, again, policy, live: mountpoint,
    // For a process of its own.
    disk: store.replace('/proc/self/', `/proc/${process.pid}/`),
    root: snapshotRoot(order), changesSince: (from) => changesSince(order, from), filter: filterOf(order), choices: new Map(asked.choices ?? []), isForced: asked.force === true,
    onReport: (report) => { void answer({ report }); },
  });
}

function directoryOf(place: Place): string {
  if (place.kind !== 'directory') throw new DestinationError('refused', 'a sync is with a directory; give an FTP server a backup');
  return place.path;
}

function snapshotRoot({ mountpoint, txid }: RunnerOrder): Buffer {
  return Buffer.from(`${mountpoint}/.snapshots/@txn-${txid}`);
}

function filterOf({ config, withoutHistory }: RunnerOrder): Filter {
  return { include: config.include, exclude: [...config.exclude, ...withoutHistory] };
}

/** undefined: history does not reach back that far. */
async function changesSince({ socket, txid }: RunnerOrder, since: string): Promise<Change[] | undefined> {
  const client = await ControlClient.connectTo(socket);
  try {
    const changes: Change[] = [];
    const { isKnown } = await client.ask('backup-changes', { from: since, to: txid }, ({ kind, path, from, isWritten }) => {
      // From the root, with a leading slash.
      changes.push({ kind: kind as Change['kind'], path: path.slice(1), ...(from === undefined ? {} : { from: from.slice(1) }), ...(isWritten === true ? { isWritten } : {}) });
    });
    return isKnown ? changes : undefined;
  } finally {
    client.close();
  }
}

process.once('message', (order: RunnerOrder) => {
  process.title = `tidemark ${kindOf(order.config)}: ${order.config.name}`;
  perform(order)
    .catch((error: unknown): RunnerAnswer => ({ failed: error instanceof DestinationError ? { fault: error.fault, message: error.message } : { fault: 'internal', message: messageOf(error) } }))
    .then(answer)
    .finally(() => { process.exit(); });
});
process.on('disconnect', () => { process.exit(1); });
