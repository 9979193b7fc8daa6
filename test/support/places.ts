/**
 * Where tests work: fresh directories on a disk, never on tmpfs (where much of what is tested does not exist), and the root
 * of the repository with the sources of test programs.
 *
 * Invariants:
 * 1. A place carries its owner's pid, so that what a killed test left is known as such and swept by the next one.
 * 2. A place is removed only when nothing is mounted in it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAlive } from './processes.js';

const tmpfsMagic = 0x01021994;
const placeName = /^tidemark-test-(\d+)-/;

/** The directory that holds package.json: tests run from dist/test/…. */
export const repositoryRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Root can act as other users; much can only be tried by root. */
export const isRoot = process.getuid?.() === 0;

/** A fresh, empty directory, mode 0755. Sweeps what killed tests left first. */
export function makePlace(): string {
  const base = diskDirectory();
  sweep(base);
  const place = mkdtempSync(join(base, `tidemark-test-${process.pid}-`));
  chmodSync(place, 0o755);
  return place;
}

/** Unmounts what is left in a place and removes it with all it holds. */
export function removePlace(place: string): void {
  for (const mountpoint of mountsBelow(place)) {
    if (isRoot) execFileSync('umount', ['-l', mountpoint], { stdio: 'ignore' });
    else execFileSync('fusermount3', ['-uz', mountpoint], { stdio: 'ignore' });
  }
  rmSync(place, { recursive: true, force: true, maxRetries: 3 });
}

/** Mountpoints in a directory, innermost and latest first. */
export function mountsBelow(directory: string): string[] {
  const found: string[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const path = line.split(' ')[4]?.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
    if (path !== undefined && (path === directory || path.startsWith(`${directory}/`))) found.unshift(path);
  }
  return found;
}

function diskDirectory(): string {
  for (const candidate of [process.env['TMPDIR'], '/var/tmp', '/tmp', process.cwd()]) {
    if (candidate !== undefined && existsSync(candidate) && statfsSync(candidate).type !== tmpfsMagic) return candidate;
  }
  throw new Error('no directory for tests on a disk: set TMPDIR to one');
}

function sweep(base: string): void {
  for (const name of readdirSync(base)) {
    const owner = placeName.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    try {
      removePlace(join(base, name));
    } catch {
      // Another test sweeps it at this moment, or its daemon is still on the way out.
    }
  }
}

function findRoot(start: string): string {
  for (let directory = start; directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory;
  }
  throw new Error(`${start} is in no package`);
}
