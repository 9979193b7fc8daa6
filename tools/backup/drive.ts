/**
 * A drive that is waited for, known by its label or id. In: the kernel's list of partitions, the mount table. Out: whether it is there, where it is mounted; mounts it where nobody else did.
 *
 * Invariants:
 * 1. What this mounted it also unmounts, when the run has ended; what somebody else mounted stays.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DestinationError } from '../../replica/destination.js';
import type { DirectoryPlace } from '../../replica/place.js';
import { mountTable } from '../mounts.js';
import { runtimePath } from '../runtime.js';

const call = promisify(execFile);

export interface DeviceName {
  readonly label?: string | undefined;
  readonly id?: string | undefined;
  /** From the root of its file system. */
  readonly path: string;
}

export class Drive {
  readonly #name: DeviceName;
  readonly #mountpoint: string;
  #partitions = '';
  #device: string | undefined;
  #wasThere = false;
  #isOurs = false;

  constructor(name: DeviceName, backup: string) {
    this.#name = name;
    this.#mountpoint = join(runtimePath(), 'drives', backup);
    void this.#look();
  }

  isThere(): boolean {
    return this.#device !== undefined;
  }

  /** true once each time it has come. To be asked often. */
  hasJustCome(): boolean {
    void this.#look();
    const hasCome = this.#device !== undefined && !this.#wasThere;
    this.#wasThere = this.#device !== undefined;
    return hasCome;
  }

  /** Where it is; mounts it if nobody has. Throws DestinationError. */
  async place(): Promise<DirectoryPlace> {
    await this.#look(true);
    const { label, id, path } = this.#name;
    if (this.#device === undefined) throw new DestinationError('gone', `the drive ${label ?? id ?? ''} is not plugged in; the run begins when it is`);
    const mounted = mountTable().findLast(({ source }) => realDevice(source) === this.#device)?.path ?? await this.#mount(this.#device);
    return { kind: 'directory', path: join(mounted, path) };
  }

  /** After a run; says what may be done with it now. */
  async release(): Promise<string> {
    if (!this.#isOurs) return 'all is written: eject the drive before you pull it';
    try {
      await call('umount', [this.#mountpoint]);
      this.#isOurs = false;
      return 'the drive may be pulled now';
    } catch {
      return `the drive is still in use: unmount ${this.#mountpoint} before you pull it`;
    }
  }

  async #mount(device: string): Promise<string> {
    try {
      mkdirSync(this.#mountpoint, { recursive: true, mode: 0o700 });
      await call('mount', [device, this.#mountpoint]);
    } catch (error) {
      throw new DestinationError('denied', `${device} is not mounted and could not be: ${error instanceof Error ? error.message.trim().split('\n').at(-1) ?? '' : ''}; mount it, or run the daemon as root`);
    }
    this.#isOurs = true;
    return this.#mountpoint;
  }

  /** Partitions are few and their list is short: only when it has changed is anything asked of the disks. */
  async #look(isSure = false): Promise<void> {
    const partitions = readFileSync('/proc/partitions', 'utf8');
    if (partitions === this.#partitions && !isSure) return;
    this.#partitions = partitions;
    const { label, id } = this.#name;
    try {
      const { stdout } = await call('blkid', label === undefined ? ['-U', id ?? ''] : ['-L', label]);
      this.#device = realDevice(stdout.trim());
    } catch {
      this.#device = undefined;
    }
  }
}

/** Label and id of the file system that a directory lies on, and the way from its root. Throws DestinationError. */
export async function deviceOf(directory: string): Promise<DeviceName> {
  const real = realpathSync(directory);
  const mount = mountTable().filter(({ path }) => real === path || real.startsWith(path === '/' ? '/' : `${path}/`)).sort((one, other) => one.path.length - other.path.length).at(-1);
  try {
    if (mount === undefined) throw new Error('it is on no file system');
    const { stdout } = await call('blkid', ['-o', 'export', '-p', mount.source]);
    const id = /^UUID=(.+)$/m.exec(stdout)?.[1];
    if (id === undefined) throw new Error('its file system has no id');
    return { id, path: real.slice(mount.path.length) };
  } catch (error) {
    throw new DestinationError('refused', `on-plug needs a directory on a drive that is plugged in and mounted now, and ${directory} is not (${error instanceof Error ? error.message.split('\n', 1)[0] ?? '' : ''}); mount the drive, or name it with --drive-label or --drive-id`);
  }
}

function realDevice(path: string): string | undefined {
  try {
    return path.startsWith('/dev/') ? realpathSync(path) : undefined;
  } catch {
    return undefined;
  }
}
