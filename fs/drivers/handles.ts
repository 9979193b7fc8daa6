/**
 * Numbers for what is open, small as libfuse's binding wants them.
 *
 * Invariants:
 * 1. A number is given out again only after its handle was removed; 0 never is.
 */

/** An open file or directory: its node, which is held, and the handle that the addon has given. */
export interface Handle {
  readonly node: bigint;
  readonly kernels: bigint;
}

export class Handles {
  readonly #open = new Map<number, Handle>();
  readonly #free: number[] = [];

  add(handle: Handle): number {
    const number = this.#free.pop() ?? this.#open.size + 1;
    this.#open.set(number, handle);
    return number;
  }

  get(number: number): Handle | undefined {
    return this.#open.get(number);
  }

  remove(number: number): Handle | undefined {
    const handle = this.#open.get(number);
    if (handle !== undefined) {
      this.#open.delete(number);
      this.#free.push(number);
    }
    return handle;
  }
}
