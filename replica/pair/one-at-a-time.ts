/** Work of which one piece runs at a time; who comes meanwhile is told so. */
import { VolumeError } from '../../engine/index.js';

export class OneAtATime {
  readonly #refusal: string;
  #isBusy = false;

  /** `refusal`: what the second one is told. */
  constructor(refusal: string) {
    this.#refusal = refusal;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Throws VolumeError EBUSY while another piece runs. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new VolumeError('EBUSY', this.#refusal);
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }
}
