/**
 * Finds out what a file system can keep, by trying it: FAT knows no links and no permissions and few names, a share may refuse owners. In: a directory. Out: Abilities. What was tried is removed again.
 */
import { chmodSync, linkSync, lchownSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileCalls } from '../engine/native.js';
import type { Abilities } from './destination.js';

/** Odd, so that a file system that rounds shows it. */
const triedTimeNs = 1_700_000_001_123_456_789n;

/** Throws what the file system says when not even a directory can be made. */
export function probeDirectory(root: string, files: FileCalls): Abilities {
  const place = join(root, `tidemark-try-${process.pid}`);
  mkdirSync(place);
  try {
    const file = join(place, 'file');
    writeFileSync(file, 'x');
    return {
      links: works(() => { linkSync(file, join(place, 'link')); }),
      symlinks: works(() => { symlinkSync('file', join(place, 'symlink')); }),
      modes: works(() => { chmodSync(file, 0o641); }) && (lstatSync(file).mode & 0o777) === 0o641,
      owners: process.getuid?.() === 0 && works(() => { lchownSync(file, 12_345, 12_345); }) && lstatSync(file).uid === 12_345,
      times: timesOf(file, files),
      names: works(() => { writeFileSync(join(place, 'a:b?'), ''); }) ? (works(() => { writeFileSync(Buffer.concat([Buffer.from(`${place}/`), Buffer.of(0xff)]), ''); }) ? 'bytes' : 'text') : 'windows',
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function timesOf(file: string, files: FileCalls): Abilities['times'] {
  if (!works(() => { files.setTimes(Buffer.from(file), triedTimeNs, triedTimeNs); })) return 'none';
  return lstatSync(file, { bigint: true }).mtimeNs === triedTimeNs ? 'nanoseconds' : 'seconds';
}

function works(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
