/**
 * A disk whose every write, zeroing and flush is kept in a journal (recording-disk.c), with ext4 on it, and the protected directory in that.
 * In: a place and the directory to be protected. Out: a mounted file system, and how far the journal has come.
 *
 * In the place: `memory/` (a tmpfs) holds `base` (the disk as mkfs left it), `image` (as it is now) and `journal`; the file system is mounted
 * at `file-system/`, and its `protected/` is bound to the directory that a test protects. So the file system stays in reach when Tidemark
 * has mounted over that directory.
 *
 * Invariants:
 * 1. Nothing of a disk stays when its place is removed: files lie in memory, mounts in the place, and a loop device ends with its mount.
 * 2. All that a caller knows to have been done to the disk stands before `position()`.
 */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { files } from '../../native/index.js';
import { compile } from '../support/compile.js';
import { killNow, run, runWell, start, until } from '../support/processes.js';

export type FileSystem = 'ext4' | 'xfs' | 'btrfs';

/** What xfs wants at least. */
const diskBytes = 304 * 2 ** 20;
const copied = Buffer.allocUnsafe(2 ** 20);
/** Nothing is left to be initialized in the background, and nothing is discarded: the journal shows only what files do. */
const makeOptions: Readonly<Record<FileSystem, readonly string[]>> = {
  ext4: ['-q', '-F', '-b', '4096', '-m', '0', '-J', 'size=8', '-O', '^resize_inode', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['-q', '-f', '-K'],
  btrfs: ['-q', '-f', '-K'],
};

/**
 * A loop device that ends with the mount, which must not be left behind without it. The disk of another cut may still be on its way out, with
 * the same UUID, which xfs minds.
 */
const mountScript = [
  'options=defaults; [ "$(blkid -p -o value -s TYPE "$1")" = xfs ] && options=nouuid',
  'device=$(losetup --show --find --direct-io=on "$1") && mount -o "$options" "$device" "$2"; status=$?; [ -z "$device" ] || losetup -d "$device"; exit "$status"',
].join('\n');

/** Mounts the file system in an image at `file-system/` of a place, and binds its protected directory to `directory`. */
export async function mountImage(image: string, directory: string): Promise<void> {
  const fileSystem = join(dirname(directory), 'file-system');
  mkdirSync(fileSystem, { recursive: true });
  await runWell('sh', ['-c', mountScript, 'sh', image, fileSystem]);
  const inside = join(fileSystem, 'protected');
  mkdirSync(inside, { recursive: true });
  await runWell('mount', ['--bind', inside, directory]);
}

/** Copies an image, holes as holes. In this process: `cp` takes longer to start than to copy a small disk. */
export function copySparse(source: string, target: string): void {
  const [from, to] = [openSync(source, 'r'), openSync(target, 'w')];
  try {
    ftruncateSync(to, fstatSync(from).size);
    for (let at = files.seekData(from, 0n); at !== undefined;) {
      const end = files.seekHole(from, at);
      copyRange(from, to, Number(at), Number(end));
      at = files.seekData(from, end);
    }
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

function copyRange(from: number, to: number, start: number, end: number): void {
  for (let at = start; at < end;) {
    const count = readSync(from, copied, 0, Math.min(copied.length, end - at), at);
    writeSync(to, copied, 0, count, at);
    at += count;
  }
}

export class RecordingDisk {
  /** Holds base, image and journal. */
  readonly memory: string;
  readonly #kind: FileSystem;
  readonly #fileSystem: string;
  readonly #recorder: string;
  readonly #directory: string;
  #pid: number | undefined;

  /** `directory`: where a test's Mount protects; its parent is the place. */
  constructor(directory: string, fileSystem: FileSystem = 'ext4') {
    this.#kind = fileSystem;
    const place = dirname(directory);
    this.#directory = directory;
    this.memory = join(place, 'memory');
    this.#recorder = join(place, 'recorder');
    this.#fileSystem = join(place, 'file-system');
  }

  get base(): string {
    return join(this.memory, 'base');
  }

  /** The disk as it is now. */
  get #image(): string {
    return join(this.memory, 'image');
  }

  get journal(): string {
    return join(this.memory, 'journal');
  }

  /** Makes the disk and its file system, or goes on with the one in an image, and mounts it. */
  async start(from?: string): Promise<void> {
    for (const path of [this.memory, this.#recorder]) mkdirSync(path);
    await runWell('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'tidemark-test', this.memory]);
    if (from === undefined) {
      writeFileSync(this.base, '');
      truncateSync(this.base, diskBytes);
      await runWell(`mkfs.${this.#kind}`, [...makeOptions[this.#kind], this.base]);
    } else copySparse(from, this.base);
    copySparse(this.base, this.#image);
    await this.#record();
    await mountImage(join(this.#recorder, 'disk'), this.#directory);
  }

  /** The journal's length: behind all that has been done to the disk. */
  position(): number {
    return statSync(this.journal).size;
  }

  /** All that was ever written to the file system is on the disk when this returns. */
  async syncAll(): Promise<void> {
    await runWell('sync', ['--file-system', this.#fileSystem]);
  }

  /** The kernel writes a file or directory of the protected one, past any mount over it, to the disk, and flushes the disk. It may be gone. */
  async writeBack(path: string): Promise<void> {
    try {
      const file = await open(this.#behind(path), 'r');
      await file.sync().finally(() => file.close());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** As writeBack, but a file's bytes alone, and without a flush: a direct read has the kernel write what is dirty first. */
  async writeBackBytes(path: string): Promise<void> {
    await run('dd', [`if=${this.#behind(path)}`, 'of=/dev/null', 'iflag=direct', 'bs=1M', 'status=none']);
  }

  /** Unmounts: no Tidemark may be mounted any more. Base and journal stay until the place goes; the image does not, since memory is dear. */
  async stop(): Promise<void> {
    for (const mountpoint of [this.#directory, this.#fileSystem, this.#recorder]) {
      // The daemon that has just ended may still be closing its files.
      await until(async () => (await run('umount', [mountpoint])).status === 0, `${mountpoint} not to be busy`);
    }
    if (this.#pid !== undefined) await killNow(this.#pid);
    rmSync(this.#image);
  }

  async #record(): Promise<void> {
    const program = join(dirname(this.memory), 'recording-disk');
    await compile(['test/power/recording-disk.c'], program);
    const child = start(program, [this.#recorder, this.#image, this.journal]);
    this.#pid = child.pid;
    await new Promise<void>((resolve, reject) => {
      if (child.stdout === null) throw new Error('the recorder has pipes');
      createInterface({ input: child.stdout }).once('line', () => { resolve(); });
      child.once('close', (status) => { reject(new Error(`the recorder ended with status ${status}`)); });
    });
  }

  #behind(path: string): string {
    return join(this.#fileSystem, 'protected', path);
  }
}
