/**
 * Sends packs. In: the bytes of a pack. Out: an object that is whole.
 *
 * A pack is named by its bytes: what lies under that name is this pack, and parts of an upload under that name are parts of it. So a run that was interrupted is gone on with by making the same packs again.
 *
 * Invariants:
 * 1. What an earlier attempt has sent is taken over only if it is young: whoever removes packs that no manifest names leaves the young ones alone (thin.ts).
 * 2. Parts that have arrived are compared with what is to be sent.
 */
import { hash } from 'node:crypto';
import { faultOf } from '../destination.js';
import { failpoint } from '../failpoint.js';
import { packKey } from './layout.js';
import { inParallel } from './objects.js';
import type { BegunUpload, Part, S3Objects } from './objects.js';

/** What no manifest names is removed when it is older than this. TIDEMARK_S3_GRACE_MS is for tests. */
export const graceMs = Number(process.env['TIDEMARK_S3_GRACE_MS'] ?? 7 * 86_400_000);
/** Leaves a run that takes something over time to come to its end. */
const takenOverMs = graceMs / 2;
/** Stores take no smaller parts than 5 MiB. */
const partBytes = 8 << 20;

export interface PackHooks {
  /** So many bytes have gone; where one waits for the bandwidth. */
  readonly onBytes: (count: number) => Promise<void> | undefined;
}

export class PackSender {
  readonly #objects: S3Objects;
  readonly #hooks: PackHooks;
  /** Packs that are not believed to be what they are called: sent whatever is there. */
  readonly #doubted: ReadonlySet<string>;
  /** Uploads that were begun and not finished, by key. */
  #begun: Map<string, BegunUpload> | undefined;

  constructor(objects: S3Objects, doubted: ReadonlySet<string>, hooks: PackHooks) {
    this.#objects = objects;
    this.#doubted = doubted;
    this.#hooks = hooks;
  }

  async send(name: string, bytes: Buffer): Promise<void> {
    const key = packKey(name);
    if (!this.#doubted.has(name) && await this.#isThere(key, bytes.length)) return;
    if (bytes.length <= partBytes) {
      await this.#objects.put(key, bytes);
      failpoint();
      await this.#hooks.onBytes(bytes.length);
    } else await this.#sendParts(key, bytes);
  }

  async #isThere(key: string, length: number): Promise<boolean> {
    const there = await this.#objects.look(key);
    return there?.size === length && Date.now() - there.modifiedMs < takenOverMs;
  }

  async #sendParts(key: string, bytes: Buffer): Promise<void> {
    this.#begun ??= new Map((await this.#objects.uploads(packKey(''))).map((upload) => [upload.key, upload]));
    const begun = this.#begun.get(key);
    const upload = begun ?? await this.#objects.beginUpload(key);
    const arrived = new Map((begun === undefined ? [] : await this.#objects.parts(begun)).map((part) => [part.number, part]));
    const parts: Part[] = [];
    const numbers = Array.from({ length: Math.ceil(bytes.length / partBytes) }, (_, index) => index + 1);
    await inParallel(numbers, this.#objects.connections, async (number) => {
      const part = bytes.subarray((number - 1) * partBytes, number * partBytes);
      const there = arrived.get(number);
      if (there?.size === part.length && there.tag === hash('md5', part, 'hex')) {
        parts[number - 1] = there;
        return;
      }
      parts[number - 1] = await this.#objects.putPart(upload, number, part);
      failpoint();
      await this.#hooks.onBytes(part.length);
    });
    await this.#finish(upload, parts, bytes.length);
    this.#begun.delete(key);
    failpoint();
  }

  async #finish(upload: BegunUpload, parts: readonly Part[], length: number): Promise<void> {
    try {
      await this.#objects.finishUpload(upload, parts);
    } catch (error) {
      // The answer was lost, and a repetition finds the upload over.
      if (faultOf(error) !== 'absent' || (await this.#objects.look(upload.key))?.size !== length) throw error;
    }
  }
}
