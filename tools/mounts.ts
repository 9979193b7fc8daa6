/**
 * The mount table as /proc/self/mountinfo shows it, and the clearing of mounts whose daemon has died. Paths are text:
 * a volume's directory and mountpoint must be UTF-8 (mount-checks.ts refuses others).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { codeOf, CommandError } from './errors.js';

export interface MountPoint {
  /** As in mountinfo and fdinfo. */
  readonly mountId: string;
  /** major:minor, decimal. */
  readonly device: string;
  readonly path: string;
  readonly options: readonly string[];
  /** "fuse.tidemark", "ext4", … */
  readonly type: string;
  readonly source: string;
}

/** All mounts this process sees, in the order they were made: of several at one path the last is on top. */
export function mountTable(): MountPoint[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Parses the text of mountinfo (proc_pid_mountinfo(5)). */
export function parseMountInfo(text: string): MountPoint[] {
  const mounts: MountPoint[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [mountId, , device, , path, options] = fields;
    if (separator < 0 || mountId === undefined || device === undefined || path === undefined) continue;
    const type = fields[separator + 1] ?? '';
    const source = unescapeOctal(fields[separator + 2] ?? '');
    const superOptions = fields[separator + 3] ?? '';
    mounts.push({ mountId, device, path: unescapeOctal(path), options: `${options ?? ''},${superOptions}`.split(','), type, source });
  }
  return mounts;
}

/** The topmost mount exactly at `path`. */
export function mountAt(path: string): MountPoint | undefined {
  return mountTable().findLast((mount) => mount.path === path);
}

export function isOurs(mount: MountPoint): boolean {
  return mount.type === 'fuse.tidemark';
}

/** true when a FUSE mount lies at `path` whose daemon is gone. */
export function isStale(path: string): boolean {
  const mount = mountAt(path);
  if (mount === undefined || !mount.type.startsWith('fuse')) return false;
  try {
    // Not stat: the kernel may still remember the root's attributes.
    statfsSync(path);
    return false;
  } catch (error) {
    return codeOf(error) === 'ENOTCONN' || codeOf(error) === 'ECONNABORTED';
  }
}

/** Takes stale mounts away from `path` (several may lie upon each other). Returns how many there were. Throws CommandError. */
export function clearStale(path: string): number {
  let count = 0;
  while (isStale(path)) {
    detach(path);
    count += 1;
  }
  return count;
}

/** Unmounts at once; those who still use the mount keep what they have. Throws CommandError. */
export function detach(path: string): void {
  const [program, ...options] = process.getuid?.() === 0 ? ['umount', '-l'] : ['fusermount3', '-uz'];
  const result = spawnSync(program ?? 'umount', [...options, '--', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
  if (result.status === 0) return;
  const reason = result.error?.message ?? result.stderr.trim().split('\n', 1)[0] ?? '';
  throw new CommandError(`cannot take the dead mount away from ${path}: ${reason}`, `run \`umount -l ${path}\` as root`);
}

function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes = Buffer.from(text, 'utf8').toString('latin1').replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
