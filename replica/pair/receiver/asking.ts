/**
 * Asks the primary about one moment during the initial sync, or another node about any while it is compared: many questions at once, answers in any order. In: a link. Out: answers.
 *
 * Invariants:
 * 1. Each question is answered, or fails; all fail when the connection ends.
 * 2. No more than `mostAtOnce` are open.
 */
import { VolumeError } from '../../../engine/index.js';
import type { VolumeErrorCode } from '../../../engine/index.js';
import type { Channel } from '../channel.js';
import { FrameError, encodeJson, frameType } from '../frame.js';
import type { Frame, FrameType } from '../frame.js';
import { failedSchema, hashedSchema, listedSchema, momentsToldSchema, readMessage, rootSchema } from '../messages.js';
import type { ListedFile } from '../messages.js';

interface Asked {
  readonly entries: ListedFile[];
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const mostAtOnce = 32;

export class Asking {
  readonly #link: Channel;
  readonly #asked = new Map<number, Asked>();
  readonly #queue: (() => void)[] = [];
  #count = 0;

  constructor(link: Channel) {
    this.#link = link;
  }

  list(file: string): Promise<ListedFile[]> {
    return this.#ask(frameType.list, { file }) as Promise<ListedFile[]>;
  }

  read(file: string, offset: number, length: number): Promise<Buffer> {
    return this.#ask(frameType.read, { file, offset, length }) as Promise<Buffer>;
  }

  hash(file: string): Promise<string> {
    return this.#ask(frameType.hash, { file }) as Promise<string>;
  }

  /** The next `most` moments after one, in order. */
  moments(after: string, most: number): Promise<{ txid: string; checksum: number }[]> {
    return this.#ask(frameType.moments, { after, most }) as Promise<{ txid: string; checksum: number }[]>;
  }

  /** Questions are about this moment from now on; gives the root's file. */
  at(txid: string): Promise<string> {
    return this.#ask(frameType.at, { txid }) as Promise<string>;
  }

  /** Takes an answer; false when the frame is none. */
  take(frame: Frame): boolean {
    if (frame.type === frameType.bytes) {
      if (frame.payload.length < 4) throw new FrameError('a frame of bytes is cut');
      this.#settle(frame.payload.readUInt32LE(0), (asked) => { asked.resolve(frame.payload.subarray(4)); });
    } else if (frame.type === frameType.listed) {
      const { id, entries, last } = readMessage(listedSchema, frame);
      this.#asked.get(id)?.entries.push(...entries);
      if (last) this.#settle(id, (asked) => { asked.resolve(asked.entries); });
    } else if (frame.type === frameType.hashed) {
      const { id, hash } = readMessage(hashedSchema, frame);
      this.#settle(id, (asked) => { asked.resolve(hash); });
    } else if (frame.type === frameType.momentsTold) {
      const { id, moments } = readMessage(momentsToldSchema, frame);
      this.#settle(id, (asked) => { asked.resolve(moments); });
    } else if (frame.type === frameType.root) {
      const { id, file } = readMessage(rootSchema, frame);
      this.#settle(id, (asked) => { asked.resolve(file); });
    } else if (frame.type === frameType.failed) {
      const { id, code, message } = readMessage(failedSchema, frame);
      this.#settle(id, (asked) => { asked.reject(new VolumeError(code as VolumeErrorCode, message)); });
    } else {
      return false;
    }
    return true;
  }

  /** The connection has ended. */
  fail(error: Error): void {
    for (const asked of this.#asked.values()) asked.reject(error);
    this.#asked.clear();
  }

  #settle(id: number, act: (asked: Asked) => void): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) throw new FrameError('an answer to nothing that was asked');
    this.#asked.delete(id);
    act(asked);
    this.#queue.shift()?.();
  }

  async #ask(type: FrameType, question: object): Promise<unknown> {
    while (this.#asked.size >= mostAtOnce) await new Promise<void>((resolve) => { this.#queue.push(resolve); });
    const id = this.#count++;
    const answer = new Promise<unknown>((resolve, reject) => { this.#asked.set(id, { entries: [], resolve, reject }); });
    await this.#link.send(encodeJson(type, { id, ...question }));
    return answer;
  }
}
