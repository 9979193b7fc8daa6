/**
 * Applies whole transactions from the spool, in order, and ends each as the primary did. In: the spool, the tree, the daemon. Out: the standby's history.
 *
 * Which change of names is under way is noted in a file before it is made: after a crash the transaction is gone through again, what was done is left out, and of the one that was
 * under way it is seen whether it had been done. (Bytes and attributes are simply written again.)
 *
 * Invariants:
 * 1. A transaction that was ended is not applied again.
 * 2. Between two transactions the tree is that of the moment that ended last.
 */
import type { Clock } from '../clock.js';
import { FrameError, decodeJson, frameType } from '../frame.js';
import type { Frame } from '../frame.js';
import type { Operation } from '../operations.js';
import { unpackDeflated } from '../pack.js';
import type { Asks } from './ipc.js';
import type { SpoolDisk } from './spool-disk.js';
import type { Spool, Spooled } from './spool.js';
import type { Changeable } from './tree.js';

const nameChanges: ReadonlySet<string> = new Set(['remove', 'rmdir', 'mkdir', 'create', 'rename', 'link', 'symlink', 'mknod']);
const turnMs = 20;

export class Applier {
  readonly #spool: Spool;
  readonly #tree: Changeable;
  readonly #parent: Asks;
  readonly #disk: SpoolDisk;
  readonly #clock: Clock;
  /** The transaction that was under way when an earlier run ended, and the change of names in it. */
  readonly #interrupted: { readonly txid: bigint; readonly index: number };
  #last: bigint;

  /** `last`: the transaction that the standby has ended last. */
  constructor({ spool, tree, parent, disk, clock, last }: { spool: Spool; tree: Changeable; parent: Asks; disk: SpoolDisk; clock: Clock; last: bigint }) {
    this.#spool = spool;
    this.#tree = tree;
    this.#parent = parent;
    this.#disk = disk;
    this.#clock = clock;
    this.#last = last;
    const bytes = disk.readProgress();
    this.#interrupted = { txid: bytes.readBigUInt64LE(0), index: bytes.readUInt32LE(8) };
  }

  get last(): bigint {
    return this.#last;
  }

  /** The initial sync has ended with this transaction. */
  started(txid: bigint): void {
    this.#last = txid;
  }

  /** Applies the oldest that waits; undefined when none does. */
  async next(): Promise<Spooled | undefined> {
    const spooled = this.#spool.waiting[0];
    if (spooled === undefined) return undefined;
    const { txid } = spooled.transaction;
    if (txid > this.#last) {
      if (txid !== this.#last + 1n) await this.#parent.does({ ask: 'open', txid });
      await this.#apply(spooled);
      await this.#parent.does({ ask: 'end', transaction: spooled.transaction });
      this.#last = txid;
    }
    await this.#spool.applied(() => this.#parent.does({ ask: 'durable' }));
    return spooled;
  }

  close(): void {
    this.#tree.close();
  }

  async #apply(spooled: Spooled): Promise<void> {
    const { txid } = spooled.transaction;
    const interruptedAt = this.#interrupted.txid === txid ? this.#interrupted.index : -1;
    let index = 0;
    let turnedMs = this.#clock.nowMs();
    for (const frame of this.#spool.read(spooled)) {
      if (frame.type !== frameType.changes) this.#bytes(frame);
      else {
        for (const operation of decodeJson(frame) as readonly Operation[]) {
          if (!nameChanges.has(operation.do)) this.#tree.do(operation, false);
          else if (index++ >= interruptedAt) this.#change(operation, txid, index - 1, index - 1 === interruptedAt);
        }
      }
      if (this.#clock.nowMs() - turnedMs > turnMs) {
        await this.#clock.wait(0);
        turnedMs = this.#clock.nowMs();
      }
    }
    this.#tree.close();
  }

  #change(operation: Operation, txid: bigint, index: number, again: boolean): void {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(txid, 0);
    bytes.writeUInt32LE(index, 8);
    this.#disk.writeProgress(bytes);
    this.#tree.do(operation, again);
  }

  #bytes({ type, payload }: Frame): void {
    if (type === frameType.deflated) {
      const { offset, bytes } = unpackDeflated(payload);
      return this.#tree.write(offset, bytes);
    }
    const isZeros = type === frameType.zeros;
    if (payload.length < (isZeros ? 16 : 8)) throw new FrameError('a frame of bytes is cut');
    const offset = Number(payload.readBigUInt64LE(0));
    if (isZeros) this.#tree.zero(offset, Number(payload.readBigUInt64LE(8)));
    else this.#tree.write(offset, payload.subarray(8));
  }
}
