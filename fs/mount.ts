/**
 * Mounts an open volume: puts a driver, the volume and the answers below `.snapshots` together. In: the volume and where to show it. Out: a running
 * mount to ask, to wait for and to end.
 *
 * Invariants:
 * 1. `ended` is fulfilled exactly once, with a line that says why, whoever ended the mount; it never rejects.
 * 2. The process that holds a mount never opens a path below it: it would wait for itself.
 */
import type { Keeper, MassChange, Session, SessionState } from '../native/types.js';
import type { Driver, MountableVolume } from './drivers/driver.js';
import { fuseNativeDriver } from './drivers/fuse-native.js';
import { driverNames } from './drivers/names.js';
import type { DriverName } from './drivers/names.js';
import { nativeDriver } from './drivers/native.js';
import type { BackingWatch } from './backing-watch.js';
import { compileExcludes } from '../engine/excludes.js';
import { SnapshotRequests } from './requests.js';

export interface MountVolumeOptions {
  /** Where to mount, absolute; the backing directory itself for an over-mount. */
  readonly mountpoint: string;
  /** A driver's name. */
  readonly driver: string;
  /** false: every write(2) is a transaction of its own. */
  readonly writeback: boolean;
  /** How long unsynced writes may stay without a barrier, milliseconds, from 1. */
  readonly intervalMs: number;
  /** Ask the kernel to keep processors awake while requests stream (root only). */
  readonly keepAwake: boolean;
  /** List `.snapshots` in the root directory. */
  readonly snapshotsVisible: boolean;
  /** 'then-and-now': reading the past needs the permission of both; 'then': of then alone. */
  readonly snapshotAccess: 'then-and-now' | 'then';
  /** Other users may enter (always so for root). */
  readonly allowOther: boolean;
  /** The source that /proc/mounts shows. */
  readonly source: string;
  /** The protected directory; where it is given and in sight beside the mount, a driver of which the kernel remembers nothing has it watched. */
  readonly directory?: string;
  /** As the addon's MountOptions tell it. */
  readonly onMassChange?: (change: MassChange) => void;
  /** Lets the mount outlive this process, and goes on with one that it has. */
  readonly keeper?: Keeper;
  /** Takes one line about each fault met while answering; standard error when absent. */
  readonly log?: (line: string) => void;
}

/** A running mount. */
export interface Mounted extends Pick<Session, 'watchMassChanges' | 'massChangeSeen' | 'allowMassChange' | 'massChangeCount'> {
  /** Flushes, ends the open transaction, unmounts. Rejects with EBUSY while somebody uses the mount. */
  unmount(): Promise<void>;
  /**
   * Ends everything but the mount, with which the keeper then starts `program` (a command and its arguments): the volume is to be closed at once, and this process to end.
   * `ended` is fulfilled. Rejects with ENOTSUP when the mount does not outlive this process.
   */
  handOver(program: readonly string[]): Promise<void>;
  /** true when `ended` was fulfilled because the mount goes on with another process. */
  isHandedOver(): boolean;
  /** What the kernel and the driver agreed on, and counts. */
  state(): SessionState;
  /** Whoever walks through a `.snapshots` from now on finds nothing that the kernel remembers; to be called after a pin was removed, or moments were given up. */
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
    super(`unknown driver "${name}": this version has ${driverNames.map((known) => `"${known}"`).join(', ')}`);
    this.name = 'UnknownDriverError';
  }
}

const drivers: Readonly<Record<DriverName, Driver>> = { native: nativeDriver, 'fuse-native': fuseNativeDriver };

/** Loads what a driver needs, before anything is opened. Throws UnknownDriverError, or an Error with code "EUNSUPPORTED" that says why the driver cannot be used here. */
export function prepareDriver(name: string): void {
  driverOf(name).prepare();
}

/** Mounts a volume. Rejects with UnknownDriverError, or with what the driver says (an Error whose `code` is an errno name or "EUNSUPPORTED"). */
export async function mountVolume(volume: MountableVolume, options: MountVolumeOptions): Promise<Mounted> {
  const driver = driverOf(options.driver);
  const log = options.log ?? ((line: string) => process.stderr.write(`${line}\n`));
  const requests = new SnapshotRequests(volume, volume.native, {
    access: options.snapshotAccess,
    owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    excludes: compileExcludes(volume.excludes ?? []),
    log,
  });
  let end: (reason: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  // Loaded only where it is needed, and before the mount stands.
  const watching = driver.watchesBacking ? await import('./backing-watch.js') : undefined;
  const session = await driver.mount(volume, {
    mountpoint: options.mountpoint,
    source: options.source,
    ...(options.keeper === undefined ? {} : { keeper: options.keeper }),
    writeback: options.writeback,
    intervalMs: options.intervalMs,
    keepAwake: options.keepAwake,
    snapshotsVisible: options.snapshotsVisible,
    allowOther: options.allowOther,
    onSnapshotRequest: (request) => requests.handle(request),
    onAccessChanged: () => requests.accessChanged(),
    onMassChange: options.onMassChange ?? (() => undefined),
    onEnd: end,
  });
  requests.attach(session);
  const watch = watching === undefined ? undefined : watchBeside(watching.BackingWatch, volume, options, log);
  // The kernel ends the connection first and then takes its time for the inodes it knew.
  let unmounting: Promise<void> = Promise.resolve();
  let isHandedOver = false;
  return {
    unmount: () => {
      unmounting = session.unmount();
      return unmounting;
    },
    handOver: (program) => {
      unmounting = session.handOver(program).then(() => {
        isHandedOver = true;
      });
      return unmounting;
    },
    isHandedOver: () => isHandedOver,
    state: () => session.state(),
    watchMassChanges: (files) => session.watchMassChanges(files),
    massChangeSeen: (...group) => session.massChangeSeen(...group),
    allowMassChange: (...group) => session.allowMassChange(...group),
    massChangeCount: (...group) => session.massChangeCount(...group),
    invalidateSnapshots: () => requests.invalidate(),
    snapshotsInUse: () => requests.snapshotsInUse(),
    ended: ended.then(async (reason) => {
      await unmounting.catch(() => undefined);
      await watch?.close();
      return reason;
    }),
  };
}

function driverOf(name: string): Driver {
  const known = driverNames.find((candidate) => candidate === name);
  if (known === undefined) throw new UnknownDriverError(name);
  return drivers[known];
}

/** Longer than an ended transaction may be on its way into the log. */
const endedByMs = 500;

/** Over-mounted, nobody can reach it. */
function watchBeside(Watch: typeof BackingWatch, { external }: MountableVolume, { directory, mountpoint, intervalMs }: MountVolumeOptions, log: (line: string) => void): BackingWatch | undefined {
  if (directory === undefined || directory === mountpoint || external === undefined) return undefined;
  return new Watch({ directory, record: (paths) => external.recordNow(paths), quietMs: intervalMs + endedByMs, log });
}
