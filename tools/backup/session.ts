/**
 * Reads a backup for a user: the process that a connection to the users' socket was handed to. In: his requests. Out: entries that he may read, and their bytes.
 *
 * Invariants:
 * 1. Nothing is told of what the modes in the manifest do not let him read; a file is copied only if it was among what was told.
 * 2. One thing at a time: what he does not take waits here.
 */
import { once } from 'node:events';
import { hostname } from 'node:os';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { messageOf } from '../../engine/errors.js';
import { openContents } from '../../replica/by-place.js';
import { isBelow } from '../../replica/paths.js';
import { readableBy } from '../../replica/readable-by.js';
import type { Reader } from '../../replica/readable-by.js';
import type { BackupContents, Found } from '../../replica/view.js';
import { LineSplitter } from '../lines.js';
import type { BackupConfig } from './record.js';
import { longestRequestBytes } from './session-protocol.js';
import type { SessionAnswer, SessionRequest } from './session-protocol.js';

export interface SessionOrder {
  readonly reader: Reader;
  readonly backups: readonly BackupConfig[];
  readonly volume: string;
  readonly directory: string;
}

export class UserSession {
  readonly #order: SessionOrder;
  readonly #socket: Socket;
  readonly #told = new Map<string, Found>();
  #view: BackupContents | undefined;

  constructor(order: SessionOrder, socket: Socket) {
    this.#order = order;
    this.#socket = socket;
  }

  /** Resolves when he has gone. */
  async serve(): Promise<void> {
    let last = Promise.resolve();
    const splitter = new LineSplitter(longestRequestBytes, (line) => { last = last.then(() => this.#take(line)); });
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk);
      } catch {
        this.#socket.destroy();
      }
    });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.resume();
    await once(this.#socket, 'close');
    await this.#view?.close();
  }

  async #take(line: string): Promise<void> {
    try {
      const request = JSON.parse(line) as SessionRequest;
      if (request.what === 'open') await this.#open(request);
      else await this.#copy(request.path);
    } catch (error) {
      await this.#say({ error: messageOf(error) });
    }
  }

  async #open({ name, path, at }: Extract<SessionRequest, { what: 'open' }>): Promise<void> {
    const { backups, volume, directory, reader } = this.#order;
    const config = backups.find((each) => each.name === name);
    if (config === undefined) throw new Error(`there is no backup "${name}" of ${directory}; ask who runs it for its name`);
    const view = this.#view = await openContents(config.place, { volume, name, directory, host: hostname() });
    const moment = at === undefined ? view.last : view.momentAt(BigInt(at));
    const entries = readableBy(await view.entries(moment, ''), reader).filter(({ entry }) => isBelow(entry.path, path));
    for (const found of entries) this.#told.set(found.entry.path, found);
    await this.#say({
      opened: {
        timeNs: String(moment.timeNs), moments: view.moments.map(({ timeNs }) => String(timeNs)), directory: view.manifest.header.directory, host: view.manifest.header.host,
        // Where the bytes lie is nothing to him.
        entries: entries.map(({ entry: { pieces: _pieces, ...entry } }) => ({ ...entry, mtimeNs: String(entry.mtimeNs) })),
      },
    });
  }

  async #copy(path: string): Promise<void> {
    const found = this.#told.get(path);
    if (found?.entry.type !== 'file') throw new Error('there is no such file for you in this backup');
    await this.#say({ bytes: found.entry.size });
    const socket = this.#socket;
    const target = new Writable({ write: (chunk: Buffer, _encoding, done) => { socket.write(chunk, () => { done(); }); } });
    try {
      await this.#view!.copy(found, target, () => undefined);
    } catch {
      // Bytes were promised: only the end of the connection can say that they do not come.
      socket.destroy();
    }
  }

  #say(answer: SessionAnswer): Promise<void> {
    return new Promise((resolve) => { this.#socket.write(`${JSON.stringify(answer)}\n`, () => { resolve(); }); });
  }
}
