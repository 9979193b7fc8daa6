/**
 * A backup destination on an FTP server. Implements the port of destination.ts by basic-ftp. In: a place. Out: what the server has.
 *
 * Servers drop idle connections, answer late, end transfers, know this command and not that one. So each call connects where there is no connection, and is made once more where it was lost; an upload goes on where it was, after
 * what is there has been looked at.
 *
 * Invariants:
 * 1. A call that has returned was answered by the server; one that is repeated asks first what the lost one has done.
 */
import { PassThrough } from 'node:stream';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileType, FTPError } from 'basic-ftp';
import { DestinationError, faultOf } from './destination.js';
import type { Abilities, Destination, SendHooks, SentFile, StoredAttributes, StoredItem } from './destination.js';
import { translateFtp } from './ftp-faults.js';
import { logIn } from './ftp-login.js';
import type { LoggedIn } from './ftp-login.js';
import { FtpUpload } from './ftp-upload.js';
import { bytesOf, fromText } from './paths.js';
import { placeText } from './place.js';
import type { FtpPlace } from './place.js';

const firstPauseMs = 250;
const chunkBytes = 1 << 18;

type TimeCommand = 'MFMT' | 'MDTM' | 'none';

export class FtpDestination implements Destination {
  readonly shown: string;
  readonly isRemote = true;
  readonly abilities: Abilities = { links: false, symlinks: false, modes: false, owners: false, times: 'seconds', names: 'server' };
  readonly #place: FtpPlace;
  #session: LoggedIn | undefined;
  /** A download that is under way: the connection is its own until it is over. */
  #reading: Promise<void> | undefined;
  #timeCommand: TimeCommand;
  readonly #upload: FtpUpload;

  private constructor(place: FtpPlace, session: LoggedIn) {
    this.shown = placeText(place);
    this.#place = place;
    this.#session = session;
    this.#upload = new FtpUpload({
      shown: this.shown, client: async () => (await this.#connected()).client, at: (each) => this.#at(each), size: (each) => this.size(each), drop: () => { this.#drop(); },
      part: async (each, from) => {
        const bytes = await collect(await this.read(each, from));
        await this.#reading;
        return bytes;
      },
    });
    this.#timeCommand = session.features.has('MFMT') ? 'MFMT' : 'MDTM';
  }

  /** Throws DestinationError. */
  static async open(place: FtpPlace): Promise<FtpDestination> {
    const destination = new FtpDestination(place, await logIn(place));
    if (!(await destination.#isDirectory(''))) {
      await destination.close();
      throw new DestinationError('absent', `${destination.shown} is not there; make the directory on the server`);
    }
    return destination;
  }

  async list(path: string): Promise<StoredItem[]> {
    // In the directory, not with its name: servers take a name with brackets for a pattern.
    const items = await this.#try(async ({ client }) => {
      await client.cd(this.#at(path));
      return client.list();
    });
    return items.filter(({ name }) => name !== '.' && name !== '..').map(({ name, type, size }) => ({
      name: fromText(name), size, type: type === FileType.File ? 'file' : type === FileType.Directory ? 'directory' : type === FileType.SymbolicLink ? 'symlink' : 'other',
    }));
  }

  async size(path: string): Promise<number | undefined> {
    return ifThere(this.#try(({ client }) => client.size(this.#at(path))), ['absent', 'denied', 'refused']);
  }

  async read(path: string, fromOffset = 0): Promise<Readable> {
    // Else, where the data connection has TLS, its end may come before the answer that says why.
    if ((await this.size(path)) === undefined) throw new DestinationError('absent', `${path} is not at ${this.shown}`);
    const { client } = await this.#connected();
    const stream = new PassThrough({ highWaterMark: chunkBytes });
    const download = client.downloadTo(stream, this.#at(path), fromOffset).then(() => undefined, (error: unknown) => {
      if (!(error instanceof FTPError)) this.#drop();
      stream.destroy(translateFtp(error, this.shown));
    });
    this.#reading = download;
    // Who does not read to the end wants no more: the rest would come all the same.
    stream.once('close', () => { if (!stream.readableEnded) this.#drop(); });
    return stream;
  }

  async send(path: string, file: SentFile, hooks: SendHooks): Promise<string> {
    const sha256 = await this.#upload.send(path, file, hooks);
    if (file.attributes !== undefined) await this.setAttributes(path, file.attributes);
    return sha256;
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#try(async ({ client }, isRepeated) => {
      try {
        await client.rename(this.#at(from), this.#at(to));
      } catch (error) {
        const { fault, message } = translateFtp(error, this.shown);
        if (fault === 'gone' || fault === 'busy' || await this.#isThere(from)) throw error;
        if (isRepeated && await this.#isThere(to)) return;
        throw new DestinationError('absent', message);
      }
    });
  }

  async remove(path: string): Promise<void> {
    try {
      await this.#try(({ client }) => client.send(`DELE ${this.#at(path)}`));
    } catch (error) {
      if (faultOf(error) === 'absent' || (faultOf(error) === 'denied' && (await this.size(path)) === undefined)) return;
      throw error;
    }
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await this.#try(({ client }) => client.send(`MKD ${this.#at(path)}`));
    } catch (error) {
      if (faultOf(error) === 'gone' || !(await this.#isDirectory(path))) throw error;
    }
  }

  async removeDirectory(path: string): Promise<void> {
    try {
      await this.#try(({ client }) => client.send(`RMD ${this.#at(path)}`));
    } catch (error) {
      if (faultOf(error) === 'gone' || await this.#isDirectory(path)) throw error;
    }
  }

  /** Times alone, of files; a server that sets none is no fault. */
  async setAttributes(path: string, { mtimeNs }: StoredAttributes): Promise<void> {
    if (this.#timeCommand === 'none') return;
    const stamp = new Date(Number(mtimeNs / 1_000_000n)).toISOString().slice(0, 19).replace(/[-:T]/g, '');
    try {
      await this.#try(({ client }) => client.send(`${this.#timeCommand} ${stamp} ${this.#at(path)}`));
    } catch (error) {
      if (faultOf(error) === 'gone' || faultOf(error) === 'busy') throw error;
      // One that knows no MFMT may know the other form; one that takes the time for a name knows neither.
      this.#timeCommand = this.#timeCommand === 'MFMT' ? 'MDTM' : 'none';
    }
  }

  async link(): Promise<void> {
    throw new DestinationError('refused', `${this.shown} knows no links`);
  }

  async symlink(): Promise<void> {
    throw new DestinationError('refused', `${this.shown} knows no symlinks`);
  }

  async freeBytes(): Promise<number | undefined> {
    return undefined;
  }

  async sync(): Promise<void> {
    // Nothing in FTP asks a server to write to its disk.
  }

  async close(): Promise<void> {
    this.#drop();
    await this.#reading;
  }

  async #isThere(path: string): Promise<boolean> {
    return (await this.size(path)) !== undefined || this.#isDirectory(path);
  }

  async #isDirectory(path: string): Promise<boolean> {
    return (await ifThere(this.#try(({ client }) => client.cd(this.#at(path))), ['absent', 'denied', 'refused'])) !== undefined;
  }

  /** Once more where the connection was lost. Throws DestinationError. */
  async #try<T>(action: (session: LoggedIn, isRepeated: boolean) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await action(await this.#connected(), attempt > 1);
      } catch (error) {
        const translated = translateFtp(error, this.shown);
        if (translated.fault === 'gone' || translated.fault === 'busy') this.#drop();
        if ((translated.fault !== 'gone' && translated.fault !== 'busy') || attempt === 3) throw translated;
        await sleep(firstPauseMs * attempt);
      }
    }
  }

  async #connected(): Promise<LoggedIn> {
    await this.#reading;
    if (this.#session?.client.closed === true) this.#session = undefined;
    this.#session ??= await logIn(this.#place);
    return this.#session;
  }

  #drop(): void {
    this.#session?.client.close();
    this.#session = undefined;
  }

  #at(path: string): string {
    const { base } = this.#session!;
    const text = bytesOf(path).toString('utf8');
    return path === '' ? base : `${base === '/' ? '' : base}/${text}`;
  }
}

async function ifThere<T>(answer: Promise<T>, faults: readonly string[]): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (faults.includes(faultOf(error) ?? '')) return undefined;
    throw error;
  }
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
