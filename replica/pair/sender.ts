/**
 * Brings one standby every moment after the one it has, as long as its connection lasts. In: a source, a connection, the moment. Out: frames; what the standby acknowledges.
 *
 * Moments are made ready several at a time and go out in order. While the standby keeps up each moment travels by itself; when it is far behind several travel as one.
 *
 * Invariants:
 * 1. Frames of a moment go out after all of the one before it.
 * 2. What was sent and is not acknowledged is bounded, in moments and in bytes; nobody who writes on the primary waits for it.
 * 3. A moment goes out when the primary's own log has it on the disk: after a power cut here the standby must not know more.
 * 4. The last acknowledged moment is held: from there the standby can go on, whatever is given up.
 */
import type { Step, Transaction, Txid } from '../../engine/index.js';
import type { Clock } from './clock.js';
import { packHere } from './pack.js';
import type { PackPool } from './pack-pool.js';
import { framesOf } from './transfer.js';
import type { Source } from './source.js';

/** Where frames go. */
export interface Outlet {
  readonly isOpen: boolean;
  send(frame: Buffer): Promise<void>;
}

export interface SenderOptions {
  readonly source: Source;
  readonly clock: Clock;
  readonly outlet: Outlet;
  readonly from: Txid;
  /** Moments with numbers up to here are passed over: what they did comes with the next one. */
  readonly above: Txid;
  /** Bytes a second; 0: no limit. Asked again for each frame. */
  readonly limitRate: () => number;
  readonly isPaused: () => boolean;
  readonly onDurable: (txid: Txid) => void;
  /** Behind by more moments than this, several become one. */
  readonly farBehind: number;
  /** Makes frames of what is large. Default: here. */
  readonly packs?: PackPool;
}

const readyAtOnce = 64;
/** Transactions with no more bytes than this are read ahead, several at once. */
const aheadBytes = 128 * 1024;
const unacknowledgedMax = 512;
const unacknowledgedBytesMax = 32 << 20;
/** Behind by more moments than this, several become one. */
export const farBehind = 20_000;
/** How often the primary's log is looked at: while something happens, and when nothing has for a while. */
const busyMs = 4;
const idleMs = 25;
const idleAfterMs = 2_000;
const rateMs = 10_000;

interface Ready {
  readonly transaction: Transaction;
  readonly frames: Iterable<Buffer> | AsyncIterable<Buffer>;
}

export class Sender {
  readonly #options: SenderOptions;
  #sent: Txid;
  #durable: Txid;
  #applied: Txid;
  #bytes = 0;
  /** Sent and not acknowledged: moments with the bytes that had been sent until then. */
  readonly #open: { readonly txid: Txid; readonly bytes: number }[] = [];
  #acknowledgedBytes = 0;
  #wake: (() => void) | undefined;
  #lastWorkMs = 0;
  #endRest: (() => void) | undefined;
  /** Once a second at most: what had been sent by then. */
  #marks: { readonly atMs: number; readonly bytes: number }[] = [];

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#sent = this.#durable = this.#applied = options.from;
    this.#lastWorkMs = options.clock.nowMs();
    options.source.hold(this, options.from);
  }

  get sent(): Txid {
    return this.#sent;
  }

  get durable(): Txid {
    return this.#durable;
  }

  get applied(): Txid {
    return this.#applied;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes a second, over the last ten. */
  get rate(): number {
    const now = this.#options.clock.nowMs();
    this.#marks = this.#marks.filter(({ atMs }) => now - atMs <= rateMs);
    const [oldest] = this.#marks;
    return oldest === undefined ? 0 : Math.round((this.#bytes - oldest.bytes) / Math.max(1, (now - oldest.atMs) / 1000));
  }

  /** Until the connection ends; throws what broke it. */
  async run(): Promise<void> {
    const { outlet, source } = this.#options;
    try {
      while (outlet.isOpen) {
        if (this.#options.isPaused() || source.ended <= this.#sent || !await this.#sendNext()) await this.#rest();
      }
    } finally {
      source.hold(this, undefined);
    }
  }

  /** The standby has everything up to here on its disk. */
  acknowledge(txid: Txid): void {
    if (txid <= this.#durable || txid > this.#sent) return;
    this.#durable = txid;
    while (this.#open.length > 0 && this.#open[0]!.txid <= txid) this.#acknowledgedBytes = this.#open.shift()!.bytes;
    this.#options.source.hold(this, txid);
    this.#options.onDurable(txid);
    this.#wake?.();
  }

  /** Somebody waits for the standby: looks at once. */
  hurry(): void {
    this.#lastWorkMs = this.#options.clock.nowMs();
    this.#endRest?.();
  }

  /** The standby shows everything up to here. */
  shown(txid: Txid): void {
    if (txid > this.#applied) this.#applied = txid;
  }

  /** false when there was nothing. */
  async #sendNext(): Promise<boolean> {
    const { source } = this.#options;
    // Both at once; what ends meanwhile is not among what was made durable.
    const { ended } = source;
    const durable = source.durable();
    durable.catch(() => undefined);
    await source.caughtUp();
    const moments = this.#next().filter(({ txid }) => txid <= ended);
    const steps: Promise<Ready>[] = [];
    let from = this.#sent;
    for (const transaction of moments) {
      steps.push(this.#prepare(from, transaction));
      from = transaction.txid;
    }
    // Of those that fail behind one that failed nobody asks.
    for (const step of steps) step.catch(() => undefined);
    await durable;
    for (const step of steps) await this.#send(await step);
    this.#lastWorkMs = this.#options.clock.nowMs();
    return moments.length > 0;
  }

  async #prepare(from: Txid, transaction: Transaction): Promise<Ready> {
    const { source, packs } = this.#options;
    const step = await source.step(from, transaction.txid);
    const isLarge = bytesOf(step) > aheadBytes;
    const pack = packs !== undefined && (isLarge || packs.deflates) ? packs.pack : packHere;
    const frames = framesOf(step, transaction, (snapshot, file, offset, length) => source.read(snapshot, file, offset, length), pack);
    if (isLarge) return { transaction, frames };
    const made: Buffer[] = [];
    for await (const frame of frames) made.push(frame);
    return { transaction, frames: [Buffer.concat(made)] };
  }

  #next(): Transaction[] {
    const { source, farBehind, above } = this.#options;
    const from = this.#sent > above ? this.#sent : above;
    if (source.ended - from <= farBehind) return source.after(from, readyAtOnce);
    // Many numbers apart, but perhaps not many moments: a term has begun.
    const moments = source.after(from, farBehind + 1);
    if (moments.length <= farBehind) return moments.slice(0, readyAtOnce);
    const stride = Math.max(2, Math.ceil(moments.length / readyAtOnce));
    return moments.filter((_, index) => index % stride === stride - 1);
  }

  async #send({ transaction, frames }: Ready): Promise<void> {
    const { outlet } = this.#options;
    while (this.#isFull && outlet.isOpen) await this.#woken();
    this.#mark();
    for await (const frame of frames) {
      await this.#paced(frame.length);
      await outlet.send(frame);
      this.#bytes += frame.length;
    }
    this.#sent = transaction.txid;
    this.#open.push({ txid: transaction.txid, bytes: this.#bytes });
  }

  #mark(): void {
    const atMs = this.#options.clock.nowMs();
    if (atMs - (this.#marks.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) < 1000) return;
    this.#marks.push({ atMs, bytes: this.#bytes });
    if (this.#marks.length > rateMs / 1000 + 1) this.#marks.shift();
  }

  get #isFull(): boolean {
    return this.#open.length >= unacknowledgedMax || this.#bytes - this.#acknowledgedBytes > unacknowledgedBytesMax;
  }

  async #paced(bytes: number): Promise<void> {
    const rate = this.#options.limitRate();
    if (rate > 0) await this.#options.clock.wait(bytes / rate * 1000);
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      void this.#options.clock.wait(100).then(resolve);
    });
  }

  async #rest(): Promise<void> {
    const { clock } = this.#options;
    const hurried = new Promise<void>((resolve) => { this.#endRest = resolve; });
    await Promise.race([hurried, clock.wait(clock.nowMs() - this.#lastWorkMs > idleAfterMs ? idleMs : busyMs)]);
  }
}

/** What a step carries of files. */
export function bytesOf(step: Step): number {
  let bytes = 0;
  for (const { ranges } of step.files) for (const { start, end } of ranges) bytes += end - start;
  return bytes;
}
