/**
 * One side of a sync: a directory that others change meanwhile, the mount or the other side. In: paths (as the volume has them). Out: what stands there; changes, made so that a file at its name is whole at every moment.
 *
 * Calls wait for the disk: never to be used by the process that serves the mount.
 *
 * Invariants:
 * 1. No symlink on the way to a path is followed.
 * 2. Names that were free when it was planned are taken only if they still are.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, lstatSync, openSync, readSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { Anchors } from '../../engine/anchors.js';
import { codeOf } from '../../engine/errors.js';
import type { FileCalls } from '../../engine/native.js';
import { DestinationError, Directories } from '../destination.js';
import type { DirectoryDestination } from '../directory-destination.js';
import { translate } from '../directory-faults.js';
import { entryOf } from '../entry.js';
import type { Entry } from '../entry.js';
import { bytesOf, fromBytes, joined, parentOf } from '../paths.js';
import type { Side } from './decide.js';
import type { Mark } from './known.js';
import { temporaryName } from './layout.js';
import type { StoredNames } from './stored-names.js';

/** How a path stands. */
export interface Seen {
  /** Without a hash. */
  readonly entry: Entry;
  readonly mark: Mark;
}

export interface PlaceOptions {
  readonly side: Side;
  readonly root: string;
  readonly destination: DirectoryDestination;
  /** undefined: paths are stored as they are. */
  readonly names: StoredNames | undefined;
  readonly files: FileCalls;
  /** Of the sync. */
  readonly name: string;
  /** Where files are made before they get their names; undefined: beside their places. */
  readonly staged: string | undefined;
}

const chunkBytes = 1 << 20;
/** Names that must be free cannot be asked for everywhere. */
const unknownCall = new Set(['EINVAL', 'ENOSYS', 'EOPNOTSUPP']);

export class SyncPlace {
  readonly side: Side;
  readonly destination: DirectoryDestination;
  readonly #options: PlaceOptions;
  readonly #directories: Directories;

  constructor(options: PlaceOptions) {
    this.side = options.side;
    this.destination = options.destination;
    this.#options = options;
    this.#directories = new Directories(options.destination);
  }

  /** As the place stores a path. */
  stored(path: string): string {
    return this.#options.names?.of(path) ?? path;
  }

  /** undefined when nothing is there. */
  look(path: string): Seen | undefined {
    return this.#anchored(this.stored(path), (at) => {
      const stat = lstatSync(at, { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? undefined : seenOf(path, stat, stat.isSymbolicLink() ? fromBytes(readlinkSync(at, { encoding: 'buffer' })) : undefined);
    });
  }

  /** SHA-256 of a file, hexadecimal. Throws absent. */
  hash(path: string): string {
    const hash = this.#anchored(this.stored(path), hashOfFile);
    if (hash === undefined) throw new DestinationError('absent', `${path} went away while it was read; the next run looks again`);
    return hash;
  }

  /** Hands over a way to a path that leads there until the work is done. */
  async held<T>(path: string, work: (at: Buffer) => Promise<T>): Promise<T> {
    const anchors = new Anchors(Buffer.from(this.#options.root));
    try {
      return await work(anchors.at(bytesOf(this.stored(path))));
    } finally {
      anchors.release();
    }
  }

  /** As stored: where a file that is to get this path is made. */
  async temporaryFor(path: string): Promise<string> {
    const { staged, name } = this.#options;
    const digits = randomBytes(6).toString('hex');
    if (staged === undefined) return joined(parentOf(this.stored(path)), temporaryName(name, digits));
    await this.#directories.ensure(staged);
    return joined(staged, digits);
  }

  /** Directories above a path, by their stored names. */
  async ensureAbove(path: string): Promise<void> {
    const parent = parentOf(path);
    if (parent === '' || this.look(parent)?.entry.type === 'directory') return;
    await this.ensureAbove(parent);
    await this.destination.makeDirectory(this.stored(parent));
  }

  /** Of a path as stored, to one that must be free, as far as the place can tell. Throws refused when it is taken, absent. */
  async moveNew(from: string, to: string): Promise<void> {
    const answer = this.#anchored(from, (source) => this.#anchored(to, (target) => moveIfFree(this.#options.files, source, target)));
    if (answer === undefined) throw new DestinationError('absent', `${from} is not there any more`);
    if (answer === 'taken') throw new DestinationError('refused', 'its name has been taken meanwhile');
    if (answer === 'asked') await this.destination.rename(from, to);
  }

  /** Extended attributes, access lists among them, of the file at a path go to one that will take its place; but not what gives programs rights, or vouches for their bytes. */
  carryAttributes(path: string, storedTarget: string): void {
    const { files } = this.#options;
    this.#anchored(this.stored(path), (source) => this.#anchored(storedTarget, (target) => {
      for (const { name, value } of files.getXattrs(source)) {
        if (name.toString('latin1').startsWith('security.')) continue;
        try {
          files.setXattr(target, name, value);
        } catch (error) {
          if (!['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error))) throw error;
        }
      }
    }));
  }

  /** A path is there no more. */
  forget(path: string): void {
    this.#options.names?.forget(path);
  }

  #anchored<T>(stored: string, work: (at: Buffer) => T): T | undefined {
    const anchors = new Anchors(Buffer.from(this.#options.root));
    try {
      return work(anchors.at(bytesOf(stored)));
    } catch (error) {
      // A directory above is gone, or something else stands there.
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error))) return undefined;
      throw translate(error, this.#options.root);
    } finally {
      anchors.release();
    }
  }
}

/** asked: the name is free, or the same file's (where capitals count for nothing); the place knows no other way to rename. */
function moveIfFree(files: FileCalls, source: Buffer, target: Buffer): 'done' | 'taken' | 'asked' {
  try {
    files.moveNew(source, target);
    return 'done';
  } catch (error) {
    if (codeOf(error) !== 'EEXIST' && !unknownCall.has(codeOf(error))) throw error;
    const [one, other] = [source, target].map((path) => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
    return other === undefined || (one?.ino === other.ino && one.dev === other.dev) ? 'asked' : 'taken';
  }
}

/** What a stat says of a path; `target`: of a symlink. */
export function seenOf(path: string, stat: BigIntStats, target?: string): Seen {
  const { link: _link, ...entry } = entryOf(path, stat);
  // Nothing acts for somebody else because of what a drive says.
  const mode = entry.mode & 0o777;
  return {
    entry: { ...entry, mode, ...(target === undefined ? {} : { target }) },
    mark: { size: entry.size, mtimeNs: entry.mtimeNs, mode, ctimeNs: stat.ctimeNs, inode: String(stat.ino) },
  };
}

/** SHA-256, hexadecimal. A symlink at the end of the path is not followed, and nobody is waited for at a FIFO. */
export function hashOfFile(path: Buffer): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const summing = createHash('sha256');
    const buffer = Buffer.allocUnsafe(chunkBytes);
    for (let position = 0; ;) {
      const count = readSync(fd, buffer, 0, chunkBytes, position);
      if (count === 0) return summing.digest('hex');
      summing.update(buffer.subarray(0, count));
      position += count;
    }
  } finally {
    closeSync(fd);
  }
}
