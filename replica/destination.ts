/**
 * What a backup needs of the place it goes to: a tree of files with names. Its implementations are directory-destination.ts and ftp-destination.ts; both pass
 * test/replica/destination-suite.ts. In: stored paths (paths.ts), files on this machine. Out: what is there, or a DestinationError.
 *
 * Invariants:
 * 1. Every method either does the whole of what it says or throws a DestinationError; the message is one line that says what is wrong.
 * 2. A destination serves one call at a time. Who wants several opens several.
 */
import type { Readable } from 'node:stream';

/**
 * absent: no such file. denied: wrong password, or no permission. full: no space, or a quota. gone: nobody answers any more (a drive pulled, a connection lost); it may come back. busy: too many
 * connections. untrusted: the certificate is not the one that is expected. read-only: nothing can be written. refused: anything else the other side will not do. foreign: it belongs to another volume.
 * damaged: what lies there cannot be trusted.
 */
export type DestinationFault = 'absent' | 'denied' | 'full' | 'gone' | 'busy' | 'untrusted' | 'read-only' | 'refused' | 'foreign' | 'damaged';

export class DestinationError extends Error {
  readonly code = 'EDESTINATION';
  readonly fault: DestinationFault;

  constructor(fault: DestinationFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DestinationError';
    this.fault = fault;
  }
}

export function faultOf(error: unknown): DestinationFault | undefined {
  return error instanceof DestinationError ? error.fault : undefined;
}

export interface StoredItem {
  /** As stored: one character a byte. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Bytes; of files only. */
  readonly size: number;
}

/** What a destination can keep of a file besides its name and bytes. */
export interface Abilities {
  /** A second name for a file that is there. */
  readonly links: boolean;
  readonly symlinks: boolean;
  /** Permission bits, of directories too. */
  readonly modes: boolean;
  readonly owners: boolean;
  /** How exactly modification times are kept. */
  readonly times: 'nanoseconds' | 'seconds' | 'none';
  /** Which names cannot be stored as they are (stored-name.ts). */
  readonly names: 'bytes' | 'text' | 'server' | 'windows';
}

/** What a file is to have. */
export interface StoredAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
}

/** A file on this machine that is to be sent. It does not change meanwhile. */
export interface SentFile {
  readonly path: Buffer;
  /** Bytes. */
  readonly size: number;
  /** No earlier attempt has sent anything of it. */
  readonly isNew?: boolean;
  /** What it is to have, as by `setAttributes`; undefined: nothing in particular. */
  readonly attributes?: StoredAttributes;
}

export interface SendHooks {
  /** So many bytes more are there (or were there already); also where one may wait, for the bandwidth. */
  readonly onBytes: (count: number) => Promise<void> | undefined;
}

export interface Destination {
  /** For people; without a password. */
  readonly shown: string;
  readonly abilities: Abilities;
  /** Reading what is there costs more than looking at it. */
  readonly isRemote: boolean;

  /** Entries of a directory. Throws absent. */
  list(path: string): Promise<StoredItem[]>;
  /** Bytes of a file; undefined when there is none (or it is a directory). */
  size(path: string): Promise<number | undefined>;
  /** A file's bytes from an offset on. Throws absent. The stream must be read to its end or destroyed. */
  read(path: string, fromOffset?: number): Promise<Readable>;
  /**
   * Sends a file. What is there already from an earlier attempt is checked and kept, whatever else is there is replaced. Resolves with the SHA-256 of all that was sent, in
   * hexadecimal. After a failure a part may be there, which the next attempt goes on with.
   */
  send(path: string, file: SentFile, hooks: SendHooks): Promise<string>;
  /** Moves a file or a directory; in the place of a file, too. Throws absent. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; one that is not there is no fault. */
  remove(path: string): Promise<void>;
  /** Makes a directory; one that is there is no fault. The one above it must be there. */
  makeDirectory(path: string): Promise<void>;
  /** Removes an empty directory; one that is not there is no fault. */
  removeDirectory(path: string): Promise<void>;
  /** Gives a file or directory what this destination can keep. */
  setAttributes(path: string, attributes: StoredAttributes): Promise<void>;
  /** Only with the ability. */
  link(from: string, to: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  /** undefined: nobody knows. */
  freeBytes(): Promise<number | undefined>;
  /** When it resolves, all that was done before survives a power cut, as far as the other side can say. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Removes a tree. What is not there is no fault. */
export async function removeTree(destination: Destination, path: string): Promise<void> {
  let items: StoredItem[];
  try {
    items = await destination.list(path);
  } catch (error) {
    if (faultOf(error) === 'absent') return;
    throw error;
  }
  for (const { name, type } of items) {
    if (type === 'directory') await removeTree(destination, `${path}/${name}`);
    else await destination.remove(`${path}/${name}`);
  }
  await destination.removeDirectory(path);
}

/** Moves a file over another one, also where the other side does not rename over files. */
export async function replaceFile(destination: Destination, from: string, to: string): Promise<void> {
  try {
    await destination.rename(from, to);
  } catch (error) {
    if (faultOf(error) !== 'refused' && faultOf(error) !== 'denied') throw error;
    await destination.remove(to);
    await destination.rename(from, to);
  }
}

/** Makes directories with those above them, each once. */
export class Directories {
  readonly #destination: Destination;
  readonly #made: Set<string>;

  /** `there`: directories that are known to be there, with those above them. */
  constructor(destination: Destination, ...there: readonly string[]) {
    this.#destination = destination;
    this.#made = new Set(['', ...there]);
  }

  async ensure(path: string): Promise<void> {
    if (this.#made.has(path)) return;
    await this.ensure(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
    await this.#destination.makeDirectory(path);
    this.#made.add(path);
  }
}

/** All of a small file. Throws absent, or damaged when it is larger than `mostBytes`. */
export async function readWhole(destination: Destination, path: string, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const stream = await destination.read(path);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > mostBytes) throw new DestinationError('damaged', `${path} on ${destination.shown} is larger than it can be`);
    }
  } finally {
    stream.destroy();
  }
  return Buffer.concat(chunks);
}
