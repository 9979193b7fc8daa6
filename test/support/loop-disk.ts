/**
 * A small disk for a test: a file system in an image beside a directory, mounted there by a loop device, which ends with the mount.
 */
import { truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runWell } from './processes.js';

/** Where the image of a directory lies. */
export function imageOf(directory: string): string {
  return join(dirname(directory), 'disk.img');
}

/** Makes the file system, as mkfs does by default, and mounts it. Needs root. */
export async function makeLoopDisk(fileSystem: string, directory: string, bytes: number): Promise<void> {
  writeFileSync(imageOf(directory), '');
  truncateSync(imageOf(directory), bytes);
  await runWell(`mkfs.${fileSystem}`, ['-q', imageOf(directory)]);
  await mountLoopDisk(directory);
}

export async function mountLoopDisk(directory: string): Promise<void> {
  await runWell('mount', ['-o', 'loop', imageOf(directory), directory]);
}
