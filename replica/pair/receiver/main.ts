/**
 * The receiver: a process of its own beside the standby's daemon, in a mount namespace of its own in which the mount can be written. Connects to the primary, takes
 * transactions into the spool, applies them. In: orders of the daemon. Out: the standby's tree; what it tells the daemon.
 *
 * Invariants:
 * 1. Nothing is acknowledged that is not on the disk.
 * 2. After any break it goes on behind the last transaction that is whole in the spool.
 */
import { execFileSync } from 'node:child_process';
import { VolumeError, loadFileCalls, messageOf } from '../../../engine/index.js';
import { realClock } from '../clock.js';
import { readIdentity } from '../identity.js';
import { dial } from '../link.js';
import { positionOf } from '../position.js';
import type { Link } from '../link.js';
import { Applier } from './applier.js';
import { InitialSync } from './initial.js';
import type { Orders } from './ipc.js';
import { Parent } from './parent.js';
import { Session } from './session.js';
import type { SessionMemory } from './session.js';
import { Spool } from './spool.js';
import { RealSpoolDisk } from './spool-disk.js';
import { Standing } from './standing.js';
import { Tree } from './tree.js';

const slowestRetryMs = 5_000;

async function main(): Promise<void> {
  const standing = new Standing(realClock);
  const { parent, orders } = await Parent.connect((order) => { standing.order(order); });
  if (orders.primary === undefined) standing.order('finish');
  process.title = `tidemark: receiver of ${orders.mountpoint}`;
  enterMount(orders);
  const disk = new RealSpoolDisk(orders.directory);
  const spool = new Spool(disk);
  const before = await parent.position();
  const tree = new Tree(await loadFileCalls());
  const applier = new Applier({ spool, tree, parent, disk, clock: realClock, last: before?.own ?? 0n });
  standing.begin(parent, spool, applier);
  standing.readDelayMs = orders.state.readDelayMs;
  // What leads back after a rewind has a number that the primary does not know.
  if (orders.state.rewound === undefined) await standing.applyDue();
  else await standing.applyAll();
  const position = spool.last === undefined ? await parent.position() : positionOf(spool.last.transaction);
  const memory: SessionMemory = position === undefined ? {} : { latest: position };
  void standing.watch(fail);
  for (let retryMs = 100; !standing.isFinishing;) {
    const session = new Session({
      orders, parent, spool, applier, standing, memory, clock: realClock, dial: () => dialPrimary(orders), onFailure: fail,
      initial: (asking, rootFile, standsAlready) => new InitialSync({ asking, tree, rootFile, isSeeded: orders.isSeeded || standsAlready, onProgress: (files, bytes) => { standing.note({ files, bytes }); } }).run(),
    });
    const began = performance.now();
    await session.run();
    retryMs = performance.now() - began > slowestRetryMs ? 100 : Math.min(retryMs * 2, slowestRetryMs);
    if (!standing.isFinishing) await standing.pause(retryMs);
  }
  await standing.applyAll();
  applier.close();
  spool.close();
  process.disconnect?.();
}

async function dialPrimary({ directory, primary }: Orders): Promise<Link> {
  const identity = readIdentity(directory);
  if (identity === undefined) throw new VolumeError('ENOENT', 'the certificate of the pair is missing; run "tidemark pair leave" and pair anew');
  if (primary === undefined) throw new VolumeError('EINVAL', 'nobody is to be followed');
  return dial(primary.address, identity, primary.fingerprint);
}

function fail(error: unknown): never {
  process.stderr.write(`tidemark receiver: ${messageOf(error)}\n${error instanceof Error ? error.stack ?? '' : ''}\n`);
  process.exit(1);
}

/** The mount is read-only to everybody else; here, where nobody else is, it can be written. */
function enterMount({ mountpoint, mountFlags }: Orders): void {
  process.umask(0);
  execFileSync('mount', ['-i', '-o', ['remount', 'bind', 'rw', ...mountFlags].join(','), mountpoint], { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  process.chdir(mountpoint);
}

try {
  await main();
  process.exit(0);
} catch (error) {
  fail(error);
}
