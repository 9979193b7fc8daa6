/**
 * Threads that hash and deflate what goes to standbys, so that the daemon's main thread, which answers `.snapshots`, does not. In: bytes. Out: frames. Who asks keeps the order, and a bound on
 * how many are asked for.
 *
 * Invariants:
 * 1. No thread is there before the first bytes, nor some seconds after the last.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import type { PackOrder } from './pack-worker.js';

const threadsMost = 4;
const idleMs = 5_000;

export class PackPool {
  readonly #deflates: () => boolean;
  #pool: Promise<Piscina<PackOrder, Uint8Array>> | undefined;

  constructor(deflates: () => boolean) {
    this.#deflates = deflates;
  }

  /** Whether frames are to be made smaller: then it pays for little ones, too. */
  get deflates(): boolean {
    return this.#deflates();
  }

  pack = async (offset: number, bytes: Buffer): Promise<Buffer> => {
    this.#pool ??= this.#start();
    const pool = await this.#pool;
    // A copy of its own, which can be given away.
    const own = Uint8Array.from(bytes);
    const frame = await pool.run({ offset, bytes: own, deflates: this.#deflates() }, { transferList: [own.buffer] });
    return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  };

  async close(): Promise<void> {
    await (await this.#pool)?.destroy();
    this.#pool = undefined;
  }

  async #start(): Promise<Piscina<PackOrder, Uint8Array>> {
    const { Piscina } = await import('piscina');
    const filename = fileURLToPath(new URL('./pack-worker.js', import.meta.url));
    return new Piscina<PackOrder, Uint8Array>({ filename, minThreads: 0, maxThreads: Math.min(threadsMost, availableParallelism()), idleTimeout: idleMs, atomics: 'disabled' });
  }
}
