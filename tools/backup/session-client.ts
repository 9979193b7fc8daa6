/**
 * A user's end of a session: asks root's daemon for what he may read of a backup. In: the socket, a name. Out: entries, and their bytes as BackupView gives them.
 *
 * Invariants:
 * 1. What arrives is compared with the hash that the manifest has.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { CommandError } from '../errors.js';
import type { Found } from '../../replica/view.js';
import type { SessionAnswer, SessionRequest } from './session-protocol.js';

export type Opened = Extract<SessionAnswer, { opened: unknown }>['opened'];

export class SessionClient {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** undefined when nobody listens there. */
  static async connect(path: string): Promise<SessionClient | undefined> {
    const socket = connect(path);
    return new Promise((resolve) => {
      socket.once('connect', () => { resolve(new SessionClient(socket)); });
      socket.once('error', () => { resolve(undefined); });
    });
  }

  async open(name: string, path: string, atNs: bigint | undefined): Promise<Opened> {
    const answer = await this.#ask({ what: 'open', name, path, ...(atNs === undefined ? {} : { at: String(atNs) }) });
    if (!('opened' in answer)) throw new CommandError('the daemon answers something else');
    return answer.opened;
  }

  /** As BackupView.copy. */
  async copy({ entry }: Found, target: Writable | undefined, onBytes: (count: number) => void): Promise<void> {
    const answer = await this.#ask({ what: 'copy', path: entry.path });
    if (!('bytes' in answer)) throw new CommandError('the daemon answers something else');
    const hash = createHash('sha256');
    for (let left = answer.bytes; left > 0;) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      hash.update(part);
      onBytes(part.length);
      if (target !== undefined) await new Promise<void>((resolve, reject) => { target.write(part, (error) => { if (error) reject(error); else resolve(); }); });
    }
    if (hash.digest('hex') !== entry.sha256) throw new CommandError('it is not what was backed up', 'tell who runs the backup: `tidemark backup verify`');
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ask(request: SessionRequest): Promise<SessionAnswer> {
    this.#socket.write(`${JSON.stringify(request)}\n`);
    let end: number;
    while ((end = this.#rest.indexOf(10)) < 0) await this.#more();
    const answer = JSON.parse(this.#rest.toString('utf8', 0, end)) as SessionAnswer;
    this.#rest = this.#rest.subarray(end + 1);
    if ('error' in answer) throw new CommandError(answer.error);
    return answer;
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done === true) throw new CommandError('the daemon ended the connection', 'try again; if it happens again, tell who runs the backup');
    this.#rest = this.#rest.length === 0 ? (value as Buffer) : Buffer.concat([this.#rest, value as Buffer]);
  }
}
