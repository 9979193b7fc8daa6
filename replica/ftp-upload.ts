/**
 * Uploads to an FTP server that go on where they were. In: a file, the connection. Out: its hash, when the server has said that it has all of it.
 *
 * Invariants:
 * 1. An upload that goes on does so at the length that the server tells, and only if the end of what is there is what was sent.
 * 2. A file that cannot be read here is no fault of the server, and the other way round.
 * 3. What goes on after a failure begins with a small piece: a server that ends a transfer with much of it unread (because its disk is full) resets the
 *    connection, and its reply may never be heard.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { FTPError } from 'basic-ftp';
import type { Client } from 'basic-ftp';
import { DestinationError, faultOf } from './destination.js';
import type { SendHooks, SentFile } from './destination.js';
import { translateFtp } from './ftp-faults.js';

/** What an upload needs of the connection. */
export interface FtpConnection {
  readonly shown: string;
  /** Connects where there is no connection. */
  readonly client: () => Promise<Client>;
  /** A path as the server knows it. */
  readonly at: (path: string) => string;
  readonly size: (path: string) => Promise<number | undefined>;
  /** What is there from an offset on. */
  readonly part: (path: string, fromOffset: number) => Promise<Buffer>;
  readonly drop: () => void;
}

const mostAttempts = 5;
const firstPauseMs = 250;
/** Of what is there so much is read back before an upload goes on. */
const comparedBytes = 64 << 10;
const chunkBytes = 1 << 18;
/** Fits into what a server reads at once. */
const pieceBytes = 64 << 10;
const emptyPauseMs = 30;
/** Errors of this machine: the file that is sent cannot be read. */
const ofThisMachine = new WeakSet<Error>();

export class FtpUpload {
  readonly #connection: FtpConnection;
  #canAppend = true;
  #canRestart = true;

  constructor(connection: FtpConnection) {
    this.#connection = connection;
  }

  async send(path: string, file: SentFile, hooks: SendHooks): Promise<string> {
    let isNew = file.isNew === true;
    let failure: unknown;
    for (let attempt = 0, best = -1; attempt < mostAttempts; attempt++) {
      try {
        // Nothing has no length to go on from.
        if (!isNew && file.size === 0 && (await this.#connection.size(path)) === 0) return await emptyHash(hooks);
        let at = isNew ? 0 : await this.#lengthToGoOnFrom(path, file);
        // As long as there is progress it is worth going on; where there is none, going on is what this server does not do.
        if (at > best) [attempt, best] = [0, at];
        else if (at > 0 && !this.#learn()) at = 0;
        return await this.#upload(path, file, at, hooks);
      } catch (error) {
        failure = error;
        if (isLocal(error)) throw error;
        const fault = faultOf(translateFtp(error, this.#connection.shown));
        if (fault !== 'gone' && fault !== 'busy') throw translateFtp(error, this.#connection.shown);
        this.#connection.drop();
        isNew = false;
        await sleep(firstPauseMs * 2 ** attempt);
      }
    }
    throw translateFtp(failure, this.#connection.shown);
  }

  /** So much is there already, and is what was sent; 0 to begin anew. */
  async #lengthToGoOnFrom(path: string, file: SentFile): Promise<number> {
    const there = (await this.#connection.size(path)) ?? 0;
    if (there === 0 || there > file.size || !this.#canRestart) return 0;
    const length = Math.min(there, comparedBytes);
    const remote = await this.#connection.part(path, there - length);
    return remote.equals(await readPart(file.path, there - length, length)) ? there : 0;
  }

  async #upload(path: string, file: SentFile, at: number, hooks: SendHooks): Promise<string> {
    const hash = createHash('sha256');
    if (at > 0) {
      for await (const chunk of createReadStream(file.path, { end: at - 1, highWaterMark: chunkBytes }) as AsyncIterable<Buffer>) hash.update(chunk);
      await hooks.onBytes(at);
    }
    const onChunk = async (chunk: Buffer): Promise<void> => {
      hash.update(chunk);
      await hooks.onBytes(chunk.length);
    };
    const middle = at === 0 ? 0 : Math.min(at + pieceBytes, file.size);
    if (at < middle) await this.#transfer(path, file, at, middle, onChunk);
    if (middle < file.size || file.size === 0) await this.#transfer(path, file, middle, file.size, onChunk);
    if (at > 0 && (await this.#connection.size(path)) !== file.size) throw new DestinationError('gone', `${this.#connection.shown} took the rest of a file for something else`);
    return hash.digest('hex');
  }

  /** Sends the bytes from `at` to `end`. */
  async #transfer(path: string, file: SentFile, at: number, end: number, onChunk: (chunk: Buffer) => Promise<void>): Promise<void> {
    const client = await this.#connection.client();
    const through = new Transform({
      transform: (chunk: Buffer, _encoding, done) => { onChunk(chunk).then(() => { done(null, chunk); }, done); },
    });
    const source = file.size === 0 ? nothing() : createReadStream(file.path, { start: at, end: end - 1, highWaterMark: chunkBytes });
    const sourceFailure = new Promise<never>((_resolve, reject) => {
      source.once('error', (error: Error) => {
        ofThisMachine.add(error);
        reject(error);
        through.destroy(error);
      });
    });
    source.pipe(through);
    const target = this.#connection.at(path);
    try {
      await Promise.race([sourceFailure, at === 0 ? client.uploadFrom(through, target) : this.#canAppend ? client.appendFrom(through, target) : this.#restart(through, target, at)]);
    } catch (error) {
      source.destroy();
      this.#connection.drop();
      if (!(error instanceof FTPError) || at === 0 || faultOf(translateFtp(error, this.#connection.shown)) === 'full') throw error;
      throw new DestinationError('gone', `${this.#connection.shown} does not go on with a file: ${error.message}`);
    }
  }

  /** REST tells where, and must come right before the transfer's own command. */
  async #restart(source: Readable, target: string, at: number): Promise<void> {
    const client = await this.#connection.client();
    const prepare = client.prepareTransfer;
    client.prepareTransfer = async (ftp) => {
      const response = await prepare(ftp);
      await client.send(`REST ${at}`);
      return response;
    };
    try {
      await client.uploadFrom(source, target);
    } finally {
      client.prepareTransfer = prepare;
    }
  }

  /** This way of going on does not work: the other one next, or none (false). */
  #learn(): boolean {
    if (!this.#canAppend) this.#canRestart = false;
    this.#canAppend = false;
    return this.#canRestart;
  }
}

function isLocal(error: unknown): boolean {
  return error instanceof Error && ofThisMachine.has(error);
}

/** Some servers take a data connection for broken that ends as soon as its TLS stands. */
function nothing(): Readable {
  const source = new Readable({ read: () => undefined });
  setTimeout(() => { source.push(null); }, emptyPauseMs);
  return source;
}

async function emptyHash(hooks: SendHooks): Promise<string> {
  await hooks.onBytes(0);
  return createHash('sha256').digest('hex');
}

async function readPart(path: Buffer, position: number, length: number): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
