/**
 * What must be true before a daemon is started, each with its own line and remedy. Two path arguments come in, real paths go
 * out. A stale mount in the way is cleared.
 *
 * Invariants:
 * 1. Everything a user can put right is said here, before anything is changed on disk.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { argumentPath, isWithin, shown, toText } from './byte-path.js';
import { codeOf, CommandError, isAbsent } from './errors.js';
import { clearStale, isOurs, mountTable } from './mounts.js';
import { liveEntries } from './registry.js';
import { runtimePath } from './runtime.js';

export interface Places {
  readonly directory: string;
  /** Equal to `directory`: over it. */
  readonly mountpoint: string;
  /** Dead mounts that were taken away first. */
  readonly clearedCount: number;
}

/** Throws CommandError. */
export function checkPlaces(directoryArgument: string, mountpointArgument: string | undefined): Places {
  const directory = realPlace(directoryArgument);
  const mountpoint = mountpointArgument === undefined ? directory : realPlace(mountpointArgument);
  let clearedCount = clearStale(directory);
  if (mountpoint !== directory) clearedCount += clearStale(mountpoint);
  checkDirectory(directory);
  checkFileSystem(directory);
  checkNotMounted(directory, mountpoint);
  checkWritable(directory);
  if (mountpoint !== directory) checkMountpoint(mountpoint, directory);
  if (isWithin(runtimePath(), mountpoint)) {
    throw new CommandError(`the runtime directory ${runtimePath()} lies inside ${mountpoint}`, 'set XDG_RUNTIME_DIR to a directory elsewhere');
  }
  checkFuse();
  return { directory, mountpoint, clearedCount };
}

/** Real path of the parent plus the name: the place itself may be a dead mount, which cannot be looked at. */
function realPlace(argument: string): string {
  const path = toText(argumentPath(argument));
  if (path === undefined) throw new CommandError(`the path ${shown(argumentPath(argument))} is not UTF-8`, 'rename the directory, or mount one above it');
  const absolute = resolve(path);
  try {
    return realpathSync.native(absolute);
  } catch (error) {
    if (codeOf(error) !== 'ENOTCONN' && !isAbsent(error)) throw error;
  }
  try {
    return join(realpathSync.native(dirname(absolute)), basename(absolute));
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return absolute;
  }
}

function checkDirectory(directory: string): void {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) throw new CommandError(`${directory} does not exist`, `make it first: mkdir -p ${directory}`);
  if (!stat.isDirectory()) throw new CommandError(`${directory} is not a directory`, 'name the directory it lies in');
  if (basename(directory) === '.tidemark' || directory.includes('/.tidemark/')) {
    throw new CommandError(`${directory} is a store of Tidemark`, 'name the directory that it belongs to');
  }
}

/** File systems without files of their own: a store there would be lost or cannot be. */
const unfit = new Set(['proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup', 'cgroup2', 'securityfs', 'debugfs', 'tracefs', 'ramfs', 'squashfs', 'iso9660', 'vfat', 'exfat', 'msdos']);

function checkFileSystem(directory: string): void {
  if (directory === '/') throw new CommandError('the whole system cannot be protected at once', 'choose a directory below it');
  const mount = mountTable().filter(({ path }) => isWithin(directory, path)).reduce((longest, next) => (next.path.length >= longest.path.length ? next : longest));
  if (unfit.has(mount.type)) throw new CommandError(`the file system of ${directory} cannot hold a store (${mount.type})`, 'use a directory on ext4, xfs or btrfs');
}

function checkNotMounted(directory: string, mountpoint: string): void {
  const entry = liveEntries().find((candidate) => candidate.directory === directory || candidate.mountpoint === directory || candidate.mountpoint === mountpoint);
  if (entry !== undefined) {
    const where = entry.mountpoint === entry.directory ? '' : ` at ${entry.mountpoint}`;
    throw new CommandError(`${entry.directory} is already mounted${where} (daemon pid ${entry.pid})`, `\`tidemark unmount ${entry.directory}\` first`);
  }
  for (const mount of mountTable().filter(isOurs)) {
    for (const place of new Set([directory, mountpoint])) {
      if (mount.path === place) throw new CommandError(`${place} is already mounted`, `\`tidemark unmount ${place}\` first`);
      if (isWithin(place, mount.path)) {
        const remedy = place === directory ? 'nothing needs to be done' : 'choose a mountpoint outside it';
        throw new CommandError(`${place} lies inside the mounted volume ${mount.path}${place === directory ? ', which protects it already' : ''}`, remedy);
      }
    }
    if (isWithin(mount.path, directory)) {
      throw new CommandError(`${directory} has a mounted volume inside it, ${mount.path}`, `\`tidemark unmount ${mount.path}\` first`);
    }
  }
}

function checkWritable(directory: string): void {
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (codeOf(error) === 'EROFS') throw new CommandError(`${directory} is on a read-only file system`, 'mount it read-write first');
    throw new CommandError(`you may not write ${directory}`, 'run it as the owner of the directory or with sudo');
  }
}

function checkMountpoint(mountpoint: string, directory: string): void {
  const stat = statSync(mountpoint, { throwIfNoEntry: false });
  if (stat === undefined) throw new CommandError(`the mountpoint ${mountpoint} does not exist`, `make it first: mkdir -p ${mountpoint}`);
  if (!stat.isDirectory()) throw new CommandError(`the mountpoint ${mountpoint} is not a directory`, 'name an empty directory');
  if (isWithin(mountpoint, directory)) throw new CommandError(`the mountpoint ${mountpoint} lies inside ${directory}`, 'choose one outside it, or leave it out to mount over the directory');
  if (readdirSync(mountpoint).length > 0) throw new CommandError(`the mountpoint ${mountpoint} is not empty`, 'name an empty directory');
}

function checkFuse(): void {
  if (!existsSync('/dev/fuse')) throw new CommandError('there is no /dev/fuse', 'load the module (`modprobe fuse`), or give the container the device (--device /dev/fuse)');
  if (process.getuid?.() !== 0) {
    const isInstalled = (process.env['PATH'] ?? '').split(delimiter).some((directory) => existsSync(join(directory, 'fusermount3')));
    if (!isInstalled) throw new CommandError('fusermount3 is not installed, which ordinary users need to mount', 'install it (`apt-get install fuse3`), or run as root');
  }
  try {
    closeSync(openSync('/dev/fuse', 'r+'));
  } catch (error) {
    const remedy = process.getuid?.() === 0 ? 'in a container, allow the device and CAP_SYS_ADMIN' : 'let users open it (chmod 666 /dev/fuse), or run as root';
    throw new CommandError(`/dev/fuse cannot be opened (${codeOf(error) ?? 'unknown error'})`, remedy);
  }
}
