/**
 * The pins of a backup: `backup-NAME` keeps the snapshot that the destination has, `backup-NAME-next` the one that a run is bringing there; of a sync, `sync-NAME` and `sync-NAME-next`. In: a volume. Out: pins.
 *
 * Invariants:
 * 1. A snapshot that the record speaks of is pinned before it does, and until it does no more.
 */
import type { Volume } from '../../engine/volume.js';
import type { Kind } from './names.js';
import type { Txid } from '../../engine/types.js';

export class BackupPins {
  readonly #volume: Volume;
  readonly #cursor: string;
  readonly #next: string;

  constructor(volume: Volume, kind: Kind, name: string) {
    this.#volume = volume;
    this.#cursor = `${kind}-${name}`;
    this.#next = `${kind}-${name}-next`;
  }

  /** A run begins that is to bring this snapshot. */
  begin(txid: Txid): Promise<void> {
    return this.#set(this.#next, txid);
  }

  /** It has been brought. */
  async arrived(txid: Txid): Promise<void> {
    await this.#set(this.#cursor, txid);
    await this.#clear(this.#next);
  }

  async remove(): Promise<void> {
    await this.#clear(this.#cursor);
    await this.#clear(this.#next);
  }

  async #set(name: string, txid: Txid): Promise<void> {
    const known = this.#volume.pins().find((pin) => pin.name === name);
    if (known?.txid === txid) return;
    if (known !== undefined) await this.#volume.unpin(name);
    await this.#volume.pin(name, txid);
  }

  async #clear(name: string): Promise<void> {
    if (this.#volume.pins().some((pin) => pin.name === name)) await this.#volume.unpin(name);
  }
}
