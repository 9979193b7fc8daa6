/**
 * What /proc tells about processes: whether one still lives, and who uses a mount. Nothing here touches a mount itself,
 * so it answers even when the mount's daemon hangs.
 *
 * Invariants:
 * 1. A process is the same one only if its start time is; a zombie does not live.
 */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { isWithin } from './byte-path.js';
import { isOurs, parseMountInfo } from './mounts.js';
import type { MountPoint } from './mounts.js';

/** What /proc/PID/stat says behind the command name: state, parent, process group, session, …; undefined when it does not live (or only as a zombie). */
export function statOf(pid: number): string[] | undefined {
  const stat = contents(`/proc/${pid}/stat`);
  // The command name may hold blanks and parentheses; what follows its last ")" is regular.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return stat === '' || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields;
}

/** Start time of a process in clock ticks since boot; undefined when it does not live (or only as a zombie). */
export function startTicks(pid: number): string | undefined {
  return statOf(pid)?.[19];
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch {
    return '?';
  }
}

export interface MountUser {
  readonly pid: number;
  readonly command: string;
  /** How: "works in it", "has /data/file open", … */
  readonly how: string;
}

/** Processes (of those this user may look into) that keep a mount busy, without the daemon that serves it. */
export function usersOf(mount: MountPoint, daemonPid: number): MountUser[] {
  const users: MountUser[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === daemonPid) continue;
    const how = usage(pid, mount);
    if (how !== undefined) users.push({ pid, command: commandOf(pid), how });
  }
  return users;
}

/** The same of copies of the mount in other mount namespaces (those of containers, for one), as far as this user may look into them. */
export function usersElsewhere(mountpoint: string): MountUser[] {
  const users: MountUser[] = [];
  for (const pid of listing('/proc').map(Number).filter(Number.isInteger)) {
    const copy = parseMountInfo(contents(`/proc/${pid}/mountinfo`)).findLast((mount) => mount.path === mountpoint && isOurs(mount));
    const how = copy === undefined ? undefined : usage(pid, copy);
    if (how !== undefined) users.push({ pid, command: commandOf(pid), how });
  }
  return users;
}

function usage(pid: number, mount: MountPoint): string | undefined {
  for (const [link, how] of [['cwd', 'works in it'], ['root', 'has it as root'], ['exe', 'runs a program from it']] as const) {
    const target = linkTarget(`/proc/${pid}/${link}`);
    if (target !== undefined && isWithin(target.replace(/ \(deleted\)$/, ''), mount.path)) return how;
  }
  const open = openFile(pid, mount);
  if (open !== undefined) return `has ${open} open`;
  return isMapped(pid, mount) ? 'has a file of it mapped' : undefined;
}

/** fdinfo tells the mount of each descriptor: exact where a path would not be (the backing files have the same paths). */
function openFile(pid: number, mount: MountPoint): string | undefined {
  for (const descriptor of listing(`/proc/${pid}/fdinfo`)) {
    const info = contents(`/proc/${pid}/fdinfo/${descriptor}`);
    if (/^mnt_id:\s*(\d+)$/m.exec(info)?.[1] === mount.mountId) return linkTarget(`/proc/${pid}/fd/${descriptor}`) ?? 'a file';
  }
  return undefined;
}

function isMapped(pid: number, mount: MountPoint): boolean {
  const [major, minor] = mount.device.split(':').map(Number);
  const device = `${(major ?? 0).toString(16).padStart(2, '0')}:${(minor ?? 0).toString(16).padStart(2, '0')}`;
  return contents(`/proc/${pid}/maps`).split('\n').some((line) => line.split(/ +/, 4)[3] === device);
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // Ended meanwhile, or not ours to look into.
  }
}

function listing(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Of a file of /proc; '' when its process has ended, or is not ours to look into. */
export function contents(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
