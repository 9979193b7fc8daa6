/**
 * Finds the mounted volume that a path belongs to, and where in it. A path argument comes in as typed; paths of deleted files, below
 * `.snapshots` and through symlinks are understood. Volumes come from the registry; where that is not to be read, from the mount table.
 *
 * Invariants:
 * 1. A symlink at the end of a path is not followed when the link itself lies in a volume: commands speak of the link.
 * 2. Of nested matches the longest wins.
 */
import { realpathSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import { argumentPath, bytePath, bytesOf, fromText, isWithin, joinPath, nameOf, parentOf, relativeTo, shown } from './byte-path.js';
import type { BytePath } from './byte-path.js';
import { ControlClient } from './control-client.js';
import { codeOf, CommandError, isAbsent } from './errors.js';
import { isOurs, isStale, mountTable } from './mounts.js';
import { liveEntries } from './registry.js';
import type { RegistryEntry } from './registry.js';

export interface Located {
  /** Where the volume is mounted. */
  readonly mountpoint: BytePath;
  /** From the volume's root, with a leading slash. */
  readonly path: BytePath;
  /** As the user knows it: the live path in the mount. */
  readonly absolute: BytePath;
  /** Its daemon; undefined when the registry is not ours to read. */
  readonly entry: RegistryEntry | undefined;
}

interface Candidate {
  /** A directory whose contents are those of the volume's root: the mountpoint or the backing directory. */
  readonly root: BytePath;
  readonly mountpoint: BytePath;
  readonly entry: RegistryEntry | undefined;
  /** Its daemon has died and left the mount behind. */
  readonly isDead: boolean;
}

/** Throws CommandError when the path belongs to no mounted volume. */
export function locate(argument: string): Located {
  const located = tryLocate(argument);
  if (located !== undefined) return located;
  const path = shown(argumentPath(argument));
  throw new CommandError(`${path} is in no mounted volume`, 'mount its directory first: tidemark mount DIR');
}

/** As `locate`; undefined when the path belongs to no mounted volume. Throws CommandError when its daemon has died. */
export function tryLocate(argument: string): Located | undefined {
  const candidates = mountedRoots();
  const absolute = absolutePath(argumentPath(argument));
  const unfollowed = absolute === '/' ? absolute : joinPath(realPath(parentOf(absolute)), nameOf(absolute));
  return within(unfollowed, candidates) ?? within(realPath(absolute), candidates);
}

/** Connects to the daemon of what was located. Throws CommandError. */
export function daemonOf(located: Located): Promise<ControlClient> {
  if (located.entry === undefined) {
    throw new CommandError(`${shown(located.mountpoint)} was mounted by another user, whose daemon you may not ask`, 'run it as that user or with sudo');
  }
  return ControlClient.connect(located.entry);
}

function mountedRoots(): Candidate[] {
  const candidates: Candidate[] = [];
  for (const entry of liveEntries()) {
    const mountpoint = fromText(entry.mountpoint);
    for (const root of new Set([mountpoint, fromText(entry.directory)])) candidates.push({ root, mountpoint, entry, isDead: false });
  }
  for (const mount of mountTable().filter(isOurs)) {
    const root = fromText(mount.path);
    if (!candidates.some((candidate) => candidate.root === root)) candidates.push({ root, mountpoint: root, entry: undefined, isDead: isStale(mount.path) });
  }
  return candidates.sort((left, right) => right.root.length - left.root.length);
}

function within(absolute: BytePath, candidates: readonly Candidate[]): Located | undefined {
  const candidate = candidates.find(({ root }) => isWithin(absolute, root));
  if (candidate === undefined) return undefined;
  if (candidate.isDead) {
    const place = shown(candidate.root);
    throw new CommandError(`the daemon of ${place} has died`, `\`tidemark mount ${place}\` recovers it, \`tidemark unmount ${place}\` takes the mount away`);
  }
  const path = withoutSnapshot(relativeTo(absolute, candidate.root));
  return { mountpoint: candidate.mountpoint, path, absolute: joinPath(candidate.mountpoint, path), entry: candidate.entry };
}

/** `/a/.snapshots/@5m/b` speaks of `/a/b`. */
export function withoutSnapshot(path: BytePath): BytePath {
  const names = path.split('/');
  const at = names.indexOf('.snapshots');
  if (at >= 0) names.splice(at, 2);
  const rest = names.join('/');
  return (rest === '' ? '/' : rest) as BytePath;
}

/** Makes a path absolute and takes "." and ".." out. */
export function absolutePath(path: BytePath): BytePath {
  // The working directory as bytes: process.cwd() would decode it.
  const start = path.startsWith('/') ? '/' : bytePath(realpathSync.native('/proc/self/cwd', { encoding: 'buffer' }));
  return resolvePath(start, path) as BytePath;
}

/** The real path as far as the path exists, with the rest as it stands. */
function realPath(path: BytePath): BytePath {
  if (path === '/') return path;
  try {
    return bytePath(realpathSync.native(bytesOf(path), { encoding: 'buffer' }));
  } catch (error) {
    // A dead mount, or a place closed to this user: its name can still be compared.
    if (!isAbsent(error) && codeOf(error) !== 'ENOTCONN' && codeOf(error) !== 'EACCES') throw error;
  }
  return joinPath(realPath(parentOf(path)), nameOf(path));
}
