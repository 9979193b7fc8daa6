/**
 * Mounts an open volume: puts a driver, the volume and the answers below `.snapshots` together. In: the volume and where to show it. Out: a running
 * mount to ask, to wait for and to end.
 *
 * Invariants:
 * 1. `ended` is fulfilled exactly once, with a line that says why, whoever ended the mount; it never rejects.
 * 2. The process that holds a mount never opens a path below it: it would wait for itself.
 */
import type { SessionState } from '../native/types.js';
import type { Driver, MountableVolume } from './drivers/driver.js';
import { nativeDriver } from './drivers/native.js';
import { compileExcludes } from '../engine/excludes.js';
import { SnapshotRequests } from './requests.js';

export interface MountVolumeOptions {
  /** Where to mount, absolute; the backing directory itself for an over-mount. */
  readonly mountpoint: string;
  /** A driver's name; "native" is the only one in this version. */
  readonly driver: string;
  /** false: every write(2) is a transaction of its own. */
  readonly writeback: boolean;
  /** How long unsynced writes may stay without a barrier, milliseconds, from 1. */
  readonly intervalMs: number;
  /** List `.snapshots` in the root directory. */
  readonly keepAwake: boolean;
  readonly snapshotsVisible: boolean;
  /** 'then-and-now': reading the past needs the permission of both; 'then': of then alone. */
  readonly snapshotAccess: 'then-and-now' | 'then';
  /** Other users may enter (always so for root). */
  readonly allowOther: boolean;
  /** The source that /proc/mounts shows. */
  readonly source: string;
  /** Takes one line about each fault met while answering; standard error when absent. */
  readonly log?: (line: string) => void;
}

/** A running mount. */
export interface Mounted {
  /** Flushes, ends the open transaction, unmounts. Rejects with EBUSY while somebody uses the mount. */
  unmount(): Promise<void>;
  /** What the kernel and the driver agreed on, and counts. */
  state(): SessionState;
  /** Drops what the kernel remembers below every `.snapshots`; to be called after a pin was removed, or moments were given up. */
  invalidateSnapshots(): void;
  /** Transactions whose snapshots somebody is looking at. */
  snapshotsInUse(): ReadonlySet<number>;
  /** Why the mount ended, in a few words; not before an unmount() under way has come to its own end. */
  readonly ended: Promise<string>;
}

/** A mount that was asked for in words this version does not know. */
export class UnknownDriverError extends Error {
  readonly code = 'EUNKNOWNDRIVER';

  constructor(name: string) {
    super(`unknown driver "${name}": this version has ${[...drivers.keys()].map((known) => `"${known}"`).join(', ')}`);
    this.name = 'UnknownDriverError';
  }
}

const drivers: ReadonlyMap<string, Driver> = new Map([nativeDriver].map((driver) => [driver.name, driver]));

/** Mounts a volume. Rejects with UnknownDriverError, or with what the driver says (an Error whose `code` is an errno name or "EUNSUPPORTED"). */
export async function mountVolume(volume: MountableVolume, options: MountVolumeOptions): Promise<Mounted> {
  const driver = drivers.get(options.driver);
  if (driver === undefined) throw new UnknownDriverError(options.driver);
  const requests = new SnapshotRequests(volume, volume.native, {
    access: options.snapshotAccess,
    owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    excludes: compileExcludes(volume.excludes ?? []),
    log: options.log ?? ((line) => process.stderr.write(`${line}\n`)),
  });
  let end: (reason: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  const session = await driver.mount(volume, {
    mountpoint: options.mountpoint,
    source: options.source,
    writeback: options.writeback,
    intervalMs: options.intervalMs,
    keepAwake: options.keepAwake,
    snapshotsVisible: options.snapshotsVisible,
    allowOther: options.allowOther,
    onSnapshotRequest: (request) => requests.handle(request),
    onAccessChanged: () => requests.accessChanged(),
    onEnd: end,
  });
  requests.attach(session);
  // The kernel ends the connection first and then takes its time for the inodes it knew.
  let unmounting: Promise<void> = Promise.resolve();
  return {
    unmount: () => {
      unmounting = session.unmount();
      return unmounting;
    },
    state: () => session.state(),
    invalidateSnapshots: () => session.invalidateSnapshots(),
    snapshotsInUse: () => requests.snapshotsInUse(),
    ended: ended.then((reason) => unmounting.then(() => reason, () => reason)),
  };
}
