/**
 * Reads a file as of a snapshot through plans, for commands without a mount. In: plans, the addon. Out: bytes.
 *
 * Invariants:
 * 1. A plan that has gone stale is made anew: the bytes are those of the snapshot, whatever is written meanwhile.
 * 2. Few plans are kept: reads of one file come in many small steps, one after the other.
 */
import { decodeAttributes } from './attributes.js';
import { codeOf } from './errors.js';
import { lsn } from './ids.js';
import type { IndexStore } from './index-store.js';
import type { NativeVolume } from './native.js';
import { planPieces } from './pieces.js';
import type { Resolver } from './resolve.js';
import type { FileId, Plan } from './types.js';

const plansMax = 8;
const replansMax = 20;

export class PlanReader {
  readonly #native: NativeVolume;
  readonly #index: IndexStore;
  readonly #resolver: Resolver;
  readonly #caughtUp: () => Promise<number>;
  readonly #plans = new Map<string, Plan>();

  constructor(native: NativeVolume, index: IndexStore, resolver: Resolver, caughtUp: () => Promise<number>) {
    this.#native = native;
    this.#index = index;
    this.#resolver = resolver;
    this.#caughtUp = caughtUp;
  }

  /** `knownSize`: in bytes at the snapshot. */
  async plan(snapshot: number, file: FileId, knownSize?: bigint): Promise<Plan> {
    const size = knownSize ?? decodeAttributes(await this.#resolver.attributes(snapshot, file)).size;
    const plannedAt = lsn(await this.#caughtUp());
    const pieces = planPieces(this.#index, file, snapshot, Number(size));
    this.#resolver.refuseBelowFloor(file, snapshot);
    return { file, size, plannedAt, pieces };
  }

  async read(snapshot: number, file: FileId, offset: bigint, length: number): Promise<Buffer> {
    const key = `${snapshot}/${file}`;
    for (let attempt = 0; ; attempt++) {
      const plan = this.#plans.get(key) ?? await this.plan(snapshot, file);
      this.#keep(key, plan);
      try {
        return await this.#native.readPlan(plan, offset, length);
      } catch (error) {
        this.#plans.delete(key);
        // The file was changed since the plan was made: the next plan knows of the pre-image.
        if (codeOf(error) !== 'ESTALE' || attempt === replansMax) throw error;
      }
    }
  }

  #keep(key: string, plan: Plan): void {
    this.#plans.delete(key);
    const [oldest] = this.#plans.keys();
    if (this.#plans.size >= plansMax && oldest !== undefined) this.#plans.delete(oldest);
    this.#plans.set(key, plan);
  }
}
