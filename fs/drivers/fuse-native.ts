/**
 * The driver `fuse-native`: the npm package of that name speaks to the kernel, with a libfuse 2.9 of its own, and each of its operations becomes a call of the addon. In: an open volume.
 * Out: its Session. For hosts where the addon's own session cannot run; slower, since each request passes JavaScript, and with the limits of libfuse 2 (docs/SEMANTICS.md).
 *
 * Invariants:
 * 1. Only the user who mounts may enter (no allow_other): libfuse's binding does not tell who asks, so it must be known.
 * 2. The kernel remembers no names and no attributes: nothing could make it forget them.
 */
import { constants } from 'node:os';
import { messageOf } from '../../engine/errors.js';
import type { CallSession, Session } from '../../native/types.js';
import { ErrnoError } from '../errno.js';
import type { Driver, DriverOptions, MountableVolume } from './driver.js';
import { FuseNativeOperations } from './fuse-native-operations.js';
import { loadFuseNative, packageName } from './fuse-native-package.js';
import type { FuseClass, FuseMount, Signal } from './fuse-native-package.js';
import { protocolMinor } from './kernel-wire.js';

const operationNames = [
  'statfs', 'getattr', 'fgetattr', 'readlink', 'chmod', 'chown', 'truncate', 'ftruncate', 'utimens', 'mknod', 'mkdir', 'symlink', 'link', 'unlink', 'rmdir', 'rename', 'open', 'create', 'release',
  'read', 'write', 'fsync', 'fsyncdir', 'readdir', 'setxattr', 'getxattr', 'listxattr', 'removexattr',
] as const satisfies readonly (keyof FuseNativeOperations)[];

/** Where a 64-bit Linux or macOS has `atime` in the memory that the layer of C keeps for a thread; `mtime` follows. */
const atimeOffsets: Readonly<Record<string, number>> = { linux: 104, darwin: 96 };
/** The longest list of options that fuse-native takes. */
const longestOptions = 1023;

export const fuseNativeDriver: Driver = {
  name: packageName,
  letsOthersIn: false,
  watchesBacking: true,
  prepare: () => {
    loadFuseNative();
  },
  async mount(volume: MountableVolume, options: DriverOptions): Promise<Session> {
    if (options.allowOther) throw new ErrnoError('ENOTSUP', `the driver ${packageName} lets only the user in who mounts; leave out --allow-other`);
    const Fuse = loadFuseNative();
    const session = volume.native.serve({ ...options, protocolMinor });
    try {
      await mountWith(Fuse, session, options);
      session.attach();
    } catch (error) {
      await session.abandon();
      throw mountError(error, options.mountpoint);
    }
    return withFeatures(session);
  },
};

function mountWith(Fuse: FuseClass, session: CallSession, options: DriverOptions): Promise<void> {
  const mount = new Fuse(options.mountpoint, Object.fromEntries(operationNames.map((name) => [name, true])), { timeout: false });
  mount._fuseOptions = () => `-o${libfuseOptions(options)}`;
  putOperations(mount, new FuseNativeOperations(session));
  return new Promise((resolve, reject) => {
    mount.mount((error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

function libfuseOptions({ source }: DriverOptions): string {
  const isRoot = process.getuid?.() === 0;
  const list = [
    `fsname=${source.replace(/[\\,]/g, '\\$&')}`, 'subtype=tidemark', 'default_permissions', 'nonempty', 'big_writes', 'use_ino', 'entry_timeout=0', 'attr_timeout=0', 'negative_timeout=0',
    ...(isRoot ? ['dev', 'suid'] : []),
  ].join(',');
  if (Buffer.byteLength(list) > longestOptions) throw new ErrnoError('ENAMETOOLONG', `the path of the directory is too long for the driver ${packageName}`);
  return list;
}

/** What the layer of C calls are methods `_op_…` of the mount. */
function putOperations(mount: FuseMount, operations: FuseNativeOperations): void {
  const methods: Record<string, unknown> = {};
  for (const name of operationNames) {
    if (name !== 'utimens') methods[`_op_${name}`] = operations[name].bind(operations);
  }
  let threadMemory: Buffer = Buffer.alloc(0);
  mount._handlers.forEach((handler, kind) => {
    if (handler === undefined) return;
    mount._handlers[kind] = (memory, ...request) => {
      threadMemory = memory;
      handler(memory, ...request);
    };
  });
  methods['_op_utimens'] = (signal: Signal, path: string, low: number, high: number): void => {
    const times = timesOf(threadMemory, low, high);
    if (times === undefined) signal(-constants.errno.EIO);
    else operations.utimens(signal, path, times);
  };
  Object.assign(mount, methods);
}

/** fuse-native 2.2.6 hands the access time over twice, for the modification time, too. That one stands in its memory, behind the first, which shows that the place is right. */
function timesOf(memory: Buffer, low: number, high: number): { atimeMs: bigint; mtimeMs: bigint } | undefined {
  const at = atimeOffsets[process.platform];
  if (at === undefined || memory.length < at + 16) return undefined;
  if (memory.readUInt32LE(at) !== low || memory.readUInt32LE(at + 4) !== high) return undefined;
  return { atimeMs: memory.readBigInt64LE(at), mtimeMs: memory.readBigInt64LE(at + 8) };
}

function withFeatures(session: CallSession): Session {
  const state = session.state.bind(session);
  return Object.defineProperty(session, 'state', { value: () => ({ ...state(), features: ['libfuse-2', 'big-writes'] }) });
}

function mountError(error: unknown, mountpoint: string): Error {
  if (error instanceof ErrnoError) return error;
  const said = messageOf(error);
  if (said === 'Mountpoint in use') return new ErrnoError('EBUSY', `the driver ${packageName} cannot mount on ${mountpoint}, where something is mounted already; name an empty directory as MOUNTPOINT`);
  return new ErrnoError('EIO', `libfuse cannot mount at ${mountpoint} (${said}); the daemon's log says more`);
}
