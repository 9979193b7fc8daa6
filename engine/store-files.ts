/**
 * The store's own files, apart from log and index: finds or makes `.tidemark/volume.json`, and keeps the way to the store
 * open. In: the directory to protect. Out: paths that stay good when a mount hides the directory.
 *
 * Invariants:
 * 1. After `openStoreFiles`, the backing directory is reached through its descriptor alone: once we mount over it, its own
 *    path leads into the mount, which this process must never touch.
 * 2. volume.json appears whole or not at all; of what it says here nothing is ever changed (store-policy.ts keeps the policy in it).
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync, rmSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VolumeError, codeOf, messageOf, openError } from './errors.js';

export const storeName = '.tidemark';
export const volumeFormat = 1;
/** Directories of objects, the first segment, an index, the reserve of a small disk. */
const newStoreBytes = 4 << 20;

export interface StoreFiles {
  readonly id: string;
  readonly createdNs: bigint;
  /** The backing directory, by descriptor. */
  readonly root: string;
  /** `.tidemark`, by the same descriptor, and what is in it. */
  readonly store: string;
  readonly log: string;
  readonly index: string;
  readonly objects: string;
  close(): void;
}

/** `descriptor`: one of the directory, for when a mount of ours hides it. Throws VolumeError with the remedy. */
export function openStoreFiles(directory: string, descriptor?: number): StoreFiles {
  try {
    if (descriptor === undefined) refuseOwnMount(directory);
    const fd = openSync(descriptor === undefined ? directory : `/proc/self/fd/${descriptor}`, 'r');
    try {
      if (!statSync(`/proc/self/fd/${fd}`).isDirectory()) throw new VolumeError('ENOTDIR', `${directory} is not a directory; give the directory that is to be protected`);
      const root = `/proc/self/fd/${fd}`;
      const store = join(root, storeName);
      refuseFullDisk(root, directory);
      makeStore(store);
      const { id, createdNs } = readOrMake(store, directory);
      return { id, createdNs, root, store, log: join(store, 'log'), index: join(store, 'index'), objects: join(store, 'objects'), close: () => { closeSync(fd); } };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch (error) {
    throw openError(error, directory);
  }
}

/** Makes a directory unless it is there. Not with `recursive`: Node then tries for ever where its parent has been removed. */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** A store that is there may be able to give up history; a new one that could not be made whole would only be in the way. */
function refuseFullDisk(root: string, directory: string): void {
  if (statSync(join(root, storeName, 'volume.json'), { throwIfNoEntry: false }) !== undefined) return;
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < newStoreBytes) {
    throw new VolumeError('ENOSPC', `the disk of ${directory} is full (${Math.floor(bavail * bsize / 1024)} KiB free, and a new store takes ${newStoreBytes >> 20} MiB); free some space and try again`);
  }
}

function makeStore(store: string): void {
  try {
    makeDirectory(store);
  } catch (error) {
    // As /proc does.
    if (codeOf(error) === 'ENOENT') throw new VolumeError('EUNSUPPORTED', 'this file system cannot hold the history; choose a directory on a disk (ext4, xfs, btrfs)');
    throw error;
  }
}

function readOrMake(store: string, directory: string): { id: string; createdNs: bigint } {
  const path = join(store, 'volume.json');
  const known = readIfThere(path);
  if (known !== undefined) return parseVolumeFile(known, directory);
  // Made aside and linked into place: of two that start at once, one wins and both read the same.
  const aside = `${path}.${process.pid}.new`;
  writeSynced(aside, { format: volumeFormat, id: randomBytes(16).toString('hex'), created: new Date().toISOString() });
  try {
    linkSync(aside, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  syncDirectory(store);
  return parseVolumeFile(readFileSync(path, 'utf8'), directory);
}

/** Puts JSON in the place of what a file held: whole, or not at all. That it is the new one after a power cut, syncDirectory makes sure. */
export function replaceFile(path: string, content: object): void {
  writeSynced(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

function writeSynced(path: string, content: object): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    writeFileSync(fd, `${JSON.stringify(content)}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function parseVolumeFile(text: string, directory: string): { id: string; createdNs: bigint } {
  let content: { format?: unknown; id?: unknown; created?: unknown };
  try {
    content = JSON.parse(text) as typeof content;
  } catch (error) {
    throw new VolumeError('EFORMAT', `${directory}/${storeName}/volume.json cannot be read (${messageOf(error)}); restore it from a backup of the store`);
  }
  if (typeof content.format === 'number' && content.format > volumeFormat) {
    throw new VolumeError('EFORMAT', `the store of ${directory} has format ${content.format}, this tidemark reads up to ${volumeFormat}; update it`);
  }
  const createdMs = typeof content.created === 'string' ? Date.parse(content.created) : Number.NaN;
  if (content.format !== volumeFormat || typeof content.id !== 'string' || !/^[0-9a-f]{32}$/.test(content.id) || Number.isNaN(createdMs)) {
    throw new VolumeError('EFORMAT', `${directory}/${storeName}/volume.json is damaged; restore it from a backup of the store`);
  }
  return { id: content.id, createdNs: BigInt(createdMs) * 1_000_000n };
}

/** What was renamed or made in a directory is on the disk when this returns. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A directory inside a mount of ours has no store of its own to open: its daemon has it. */
function refuseOwnMount(directory: string): void {
  const path = realpathSync(directory);
  let best = { point: '', type: '', source: '' };
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [left, right] = line.split(' - ');
    const point = left?.split(' ')[4]?.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    if (point === undefined || right === undefined) continue;
    const inside = path === point || point === '/' || path.startsWith(`${point}/`);
    // Of mounts on the same point the last one counts.
    if (inside && point.length >= best.point.length) best = { point, type: right.split(' ')[0] ?? '', source: right.split(' ')[1] ?? '' };
  }
  if (best.type.startsWith('fuse') && `${best.type} ${best.source}`.includes('tidemark')) {
    throw new VolumeError('ELOCKED', `${directory} is mounted by tidemark at ${best.point}; use that mount, or "tidemark unmount ${best.point}" first`);
  }
}
