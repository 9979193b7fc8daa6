/**
 * The files of a spool: a port, so that a simulation can lose what was not synced; and what they are on a real disk. In: numbers of files, bytes. Out: the same bytes.
 *
 * Invariants:
 * 1. `sync` resolves when all that was appended to the file before, and its name, are on the disk.
 */
import { closeSync, fdatasync, fsyncSync, ftruncateSync, mkdirSync, openSync, readSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeAll } from '../../../engine/write-all.js';

export interface SpoolDisk {
  /** Numbers of the files there are, growing. */
  files(): number[];
  append(file: number, bytes: Buffer): void;
  truncate(file: number, length: number): void;
  /** Fewer bytes than asked for at the end; none behind it, or of a file that is not there. */
  read(file: number, offset: number, length: number): Buffer;
  sync(file: number): Promise<void>;
  remove(file: number): void;
  /** 16 bytes that are written over and over: how far the application of a transaction has come. */
  readProgress(): Buffer;
  writeProgress(bytes: Buffer): void;
  close(): void;
}

const sync = promisify(fdatasync);
const namePattern = /^(\d{10})\.spool$/;

export class RealSpoolDisk implements SpoolDisk {
  readonly #directory: string;
  readonly #progressFd: number;
  /** Those that were used, until they are removed: a sync may be under way. */
  readonly #open = new Map<number, number>();

  /** `directory`: the pair's; it has to be there. */
  constructor(directory: string) {
    this.#directory = join(directory, 'spool');
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const progress = join(directory, 'progress');
    closeSync(openSync(progress, 'a', 0o600));
    this.#progressFd = openSync(progress, 'r+');
  }

  files(): number[] {
    return readdirSync(this.#directory).map((name) => namePattern.exec(name)?.[1]).filter((text) => text !== undefined).map(Number).sort((a, b) => a - b);
  }

  append(file: number, bytes: Buffer): void {
    const fd = this.#fd(file);
    writeAll(fd, bytes);
  }

  truncate(file: number, length: number): void {
    ftruncateSync(this.#fd(file), length);
  }

  read(file: number, offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, readSync(this.#fd(file), bytes, 0, length, offset));
  }

  async sync(file: number): Promise<void> {
    await sync(this.#fd(file));
  }

  remove(file: number): void {
    const fd = this.#open.get(file);
    if (fd !== undefined) closeSync(fd);
    this.#open.delete(file);
    rmSync(this.#path(file), { force: true });
  }

  readProgress(): Buffer {
    const bytes = Buffer.alloc(16);
    readSync(this.#progressFd, bytes, 0, 16, 0);
    return bytes;
  }

  writeProgress(bytes: Buffer): void {
    writeSync(this.#progressFd, bytes, 0, 16, 0);
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    closeSync(this.#progressFd);
  }

  #fd(file: number): number {
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const fd = openSync(this.#path(file), 'a+', 0o600);
    this.#open.set(file, fd);
    const directory = openSync(this.#directory, 'r');
    fsyncSync(directory);
    closeSync(directory);
    return fd;
  }

  #path(file: number): string {
    return join(this.#directory, `${String(file).padStart(10, '0')}.spool`);
  }
}
