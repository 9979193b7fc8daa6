/**
 * A disk for the store of a size: ext4 in a sparse image below the scratch directory, so that a million files are gone in a moment, and leave no traces in the file system
 * that the next size is measured on. In: where and how large. Out: a mounted directory.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { execute } from '../command.js';
import { detach } from '../mounts.js';

/** `inodes`: how many files it can hold. Needs root. */
export async function makeDisk(place: string, bytes: number, inodes: number): Promise<string> {
  const image = `${place}/disk.img`;
  const directory = `${place}/disk`;
  const fd = openSync(image, 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
  await execute('mkfs.ext4', ['-q', '-m', '0', '-N', String(inodes), '-E', 'lazy_itable_init=1', image]);
  mkdirSync(directory);
  await execute('mount', ['-o', 'loop', image, directory]);
  return directory;
}

export async function removeDisk(place: string): Promise<void> {
  await detach(`${place}/disk`);
  for (const name of ['disk', 'disk.img']) rmSync(`${place}/${name}`, { recursive: true, force: true });
}

/** What these files of a directory (else all) take, in bytes, as du counts. */
export function blocksIn(directory: string, names: readonly string[] = readdirSync(directory)): number {
  return names.reduce((sum, name) => sum + statSync(`${directory}/${name}`).blocks * 512, 0);
}
