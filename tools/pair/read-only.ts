/**
 * Makes a mount read-only for all who use it, and writable again: the kernel's own flag of the mount. In: the mountpoint. Out: that state; the mount's other flags.
 *
 * The commands are run by a process of their own: the daemon must not wait for its own mount.
 *
 * Invariants:
 * 1. All other flags of the mount stay as they are.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { VolumeError } from '../../engine/index.js';
import { mountAt } from '../mounts.js';

const run = promisify(execFile);
/** Flags of a mount (not of its file system) that a remount would take away. */
const kept = new Set(['nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime', 'nosymfollow']);

/** As mount(8) takes them. */
export function mountFlags(mountpoint: string): string[] {
  return [...new Set(mountAt(mountpoint)?.options.filter((option) => kept.has(option)))];
}

/** Throws VolumeError EBUSY while somebody has a file open for writing, EACCES without the right to. */
export async function setReadOnly(mountpoint: string, isReadOnly: boolean): Promise<void> {
  if (process.getuid?.() !== 0) throw new VolumeError('EACCES', 'the nodes of a pair need a mount that root made; mount it as root');
  const options = ['remount', 'bind', isReadOnly ? 'ro' : 'rw', ...mountFlags(mountpoint)].join(',');
  try {
    await run('mount', ['-i', '-o', options, mountpoint], { cwd: '/', timeout: 60_000 });
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    if (/busy/.test(stderr)) throw new VolumeError('EBUSY', `files below ${mountpoint} are open for writing; end the programs that write there (fuser -vm ${mountpoint} shows them)`);
    throw new VolumeError('EIO', `${mountpoint} cannot be made ${isReadOnly ? 'read-only' : 'writable'} (${stderr.trim().split('\n', 1)[0] ?? ''}); check that mount (util-linux) is installed`);
  }
}
