/**
 * What is mounted where, from the kernel's own table, and taking mounts away. Paths come in.
 *
 * Invariants:
 * 1. Asking never touches the mount itself: a dead mount cannot block the benchmark.
 * 2. `detach` leaves nothing mounted at the path, if need be by detaching it lazily.
 */
import { readFileSync } from 'node:fs';
import { execute, pause } from './command.js';

export interface MountEntry {
  readonly path: string;
  readonly type: string;
  readonly source: string;
}

/** All mounts, oldest first. */
export function mounts(): MountEntry[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n').map((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [type = '', source = ''] = right.split(' ');
    return { path: unescape(left.split(' ')[4] ?? ''), type, source };
  });
}

export function isMounted(path: string): boolean {
  return mounts().some((entry) => entry.path === path);
}

/** The mount that a path lies in. The path must be absolute and free of symlinks. */
export function mountOf(path: string): MountEntry | undefined {
  return mounts()
    .filter(({ path: at }) => at === '/' || path === at || path.startsWith(`${at}/`))
    .reduce<MountEntry | undefined>((best, entry) => (best && best.path.length > entry.path.length ? best : entry), undefined);
}

/** Unmounts a path, waiting a while for it to become idle, and detaches it when it stays busy. */
export async function detach(path: string): Promise<void> {
  const command = process.getuid?.() === 0 ? ['umount'] : ['fusermount3', '-u'];
  for (let attempt = 0; attempt < 20 && isMounted(path); attempt++) {
    await execute(command[0]!, [...command.slice(1), path], { timeoutMs: 120_000 }).catch(() => pause(250));
  }
  if (!isMounted(path)) return;
  await execute(command[0]!, [...command.slice(1), command[0] === 'umount' ? '-l' : '-z', path]);
}

/** Takes away everything mounted below a directory, innermost first. */
export async function detachBelow(directory: string): Promise<void> {
  const paths = mounts().map(({ path }) => path).filter((path) => path.startsWith(`${directory}/`));
  for (const path of paths.reverse()) await detach(path);
}

/** mountinfo writes blanks, tabs, newlines and backslashes as three octal digits. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
