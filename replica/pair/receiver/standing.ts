/**
 * How the receiver stands: what it was told to do, what waits to be applied, what it tells the daemon of that. In: orders, transactions that became whole. Out: the loop that
 * applies them, status.
 *
 * Invariants:
 * 1. Transactions are applied one at a time, in order.
 * 2. The daemon is told of a change at once when the link changes, else at most twice a second.
 */
import type { Clock } from '../clock.js';
import type { Applier } from './applier.js';
import type { Asks, ReceiverStatus } from './ipc.js';
import type { Spool, Spooled } from './spool.js';

const tellMs = 500;
const watchMs = 500;
/** What is held back takes no more room than this. */
const delayedBytesMax = 384 << 20;

export class Standing {
  readonly #clock: Clock;
  #parent: Asks | undefined;
  #spool: Spool | undefined;
  #applier: Applier | undefined;
  #status: ReceiverStatus = { link: 'connecting', sinceMs: Date.now(), files: 0, bytes: 0, pending: 0 };
  #applying: Promise<void> | undefined;
  #isTelling = false;
  #onOrder: () => void = () => undefined;
  /** Transactions are shown no sooner than so long after their time. */
  readDelayMs = 0;
  /** How many wait until all is applied. */
  #wantAll = 0;
  isPaused = false;
  isFinishing = false;
  wantsHandOver = false;
  /** Told of each transaction that was applied. */
  onApplied: (txid: bigint) => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(parent: Asks, spool: Spool, applier: Applier): void {
    this.#parent = parent;
    this.#spool = spool;
    this.#applier = applier;
  }

  order(order: 'pause' | 'resume' | 'hand-over' | 'finish'): void {
    if (order === 'finish') this.isFinishing = true;
    else if (order === 'hand-over') this.wantsHandOver = true;
    else this.isPaused = order === 'pause';
    this.#onOrder();
  }

  /** `act`: told of each order. */
  whenOrdered(act: () => void): void {
    this.#onOrder = act;
  }

  async pause(ms: number): Promise<void> {
    for (let waited = 0; waited < ms && !this.isFinishing; waited += 50) await this.#clock.wait(50);
    while (this.isPaused && !this.isFinishing) await this.#clock.wait(100);
  }

  /** Resolves when nothing waits any more, however young. Throws what keeps a transaction from being applied. */
  async applyAll(): Promise<void> {
    this.#wantAll++;
    try {
      await this.#applying;
      await this.applyDue();
    } finally {
      this.#wantAll--;
    }
  }

  /** The same of what is old enough, and of what there is no room for. */
  async applyDue(): Promise<void> {
    this.#applying ??= this.#apply().finally(() => { this.#applying = undefined; });
    await this.#applying;
  }

  /** Looks again and again whether something has become old enough, while there is a delay. `onFailure`: a transaction cannot be applied. */
  async watch(onFailure: (error: unknown) => void): Promise<void> {
    for (; this.readDelayMs > 0 && !this.isFinishing; await this.#clock.wait(watchMs)) await this.applyDue().catch(onFailure);
  }

  link(link: ReceiverStatus['link'], why?: string): void {
    const { why: _, ...rest } = this.#status;
    this.#status = { ...rest, link, sinceMs: Date.now(), ...(why === undefined ? {} : { why }) };
    this.#tell();
  }

  note(change: Partial<ReceiverStatus>): void {
    this.#status = { ...this.#status, ...change };
    if (this.#isTelling) return;
    this.#isTelling = true;
    void this.#clock.wait(tellMs).then(() => { this.#tell(); });
  }

  async #apply(): Promise<void> {
    for (let done = await this.#next(); done !== undefined; done = await this.#next()) {
      const { txid, timeNs } = done.transaction;
      this.note({ applied: txid, appliedNs: timeNs, pending: this.#spool!.waiting.length });
      this.onApplied(txid);
    }
  }

  async #next(): Promise<Spooled | undefined> {
    const oldest = this.#spool!.waiting[0];
    const isYoung = oldest !== undefined && Number(oldest.transaction.timeNs / 1_000_000n) > Date.now() - this.readDelayMs;
    if (this.readDelayMs > 0 && isYoung && this.#wantAll === 0 && this.#spool!.bytes < delayedBytesMax) return undefined;
    return this.#applier!.next();
  }

  #tell(): void {
    this.#isTelling = false;
    this.#parent?.tell({ status: this.#status });
  }
}
