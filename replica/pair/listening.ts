/**
 * Where a node listens: nowhere at first, at one address afterwards, at another one when it is told so. In: addresses, the node's state. Out: a listener, and its address in the state.
 *
 * Invariants:
 * 1. A node listens at one address at most, and nowhere that it was not told of.
 */
import { messageOf } from '../../engine/index.js';
import type { Identity } from './identity.js';
import type { Link } from './link.js';
import { Listener } from './listener.js';
import type { Host } from './serving.js';
import type { Address } from './state.js';

export type ListeningHost = Pick<Host, 'state' | 'change' | 'say'> & { readonly identity: Identity };

const againMs = 5_000;

export class Listening {
  readonly #host: ListeningHost;
  readonly #serve: (link: Link) => Promise<void>;
  #listener: Listener | undefined;
  #isClosed = false;

  constructor(host: ListeningHost, serve: (link: Link) => Promise<void>) {
    this.#host = host;
    this.#serve = serve;
  }

  /** From now on here, and nowhere else. Throws VolumeError; then it listens where it did. */
  async at(wanted: Address): Promise<Address> {
    return this.#open(wanted, false);
  }

  /** Where it did before. An address may not be there yet: it is tried again, and is no reason not to mount. */
  async again(): Promise<void> {
    const { state: { listen, role }, say } = this.#host;
    if (listen === undefined || this.#isClosed || this.#listener !== undefined) return;
    try {
      await this.#open(listen, role === 'primary');
    } catch (error) {
      say(messageOf(error));
      setTimeout(() => void this.again(), againMs).unref();
    }
  }

  /** Another certificate, for those who connect from now on. */
  use(identity: Identity): void {
    this.#listener?.use(identity);
  }

  close(): void {
    this.#isClosed = true;
    this.#listener?.close();
  }

  /** `isFixed`: no other port will do. */
  async #open(wanted: Address, isFixed: boolean): Promise<Address> {
    const { identity, change, say } = this.#host;
    const before = this.#listener;
    if (before?.address.host === wanted.host && before.address.port === wanted.port) return before.address;
    this.#listener = await Listener.open(identity, wanted, isFixed, this.#serve, say);
    before?.close();
    change({ listen: this.#listener.address });
    return this.#listener.address;
  }
}
