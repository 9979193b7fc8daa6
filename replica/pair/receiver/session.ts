/**
 * One connection of a standby to its primary: says who it is and where it stands, makes the initial sync if need be, then takes transactions until the connection ends. In: the
 * primary's frames. Out: the spool; acknowledgements.
 *
 * Invariants:
 * 1. A transaction must follow on the one before it: `from` of its BEGIN is what the standby has, or comes to have.
 * 2. It is acknowledged when it is on the disk, and not before.
 * 3. What is taken in ahead of being applied is bounded: then nothing is read, and the primary waits.
 */
import { VolumeError, codeOf, messageOf } from '../../../engine/index.js';
import type { Transaction } from '../../../engine/index.js';
import type { Channel } from '../channel.js';
import type { Clock } from '../clock.js';
import { FrameError, encodeJson, frameType } from '../frame.js';
import type { Frame } from '../frame.js';
import { beginSchema, handedSchema, protocolVersion, readMessage, refusedSchema, welcomeSchema } from '../messages.js';
import type { Hello, Welcome } from '../messages.js';
import { positionOf } from '../position.js';
import type { Position } from '../position.js';
import { readTerms, writeTerms } from '../state.js';
import { transactionOf } from '../transfer.js';
import { Asking } from './asking.js';
import type { Applier } from './applier.js';
import type { Asks, Orders } from './ipc.js';
import type { Spool } from './spool.js';
import type { Standing } from './standing.js';

export interface SessionParts {
  readonly orders: Orders;
  readonly parent: Asks;
  readonly clock: Clock;
  /** Connects to the primary. Throws VolumeError. */
  readonly dial: () => Promise<Channel>;
  readonly spool: Spool;
  readonly applier: Applier;
  /** Makes the tree that of the moment of which questions are answered. `standsAlready`: most of it is there, from an earlier moment. */
  readonly initial: (asking: Asking, rootFile: string, standsAlready: boolean) => Promise<void>;
  readonly standing: Standing;
  /** A transaction cannot be applied. */
  readonly onFailure: (error: unknown) => void;
  /** What is known from one connection to the next. */
  readonly memory: SessionMemory;
}

export interface SessionMemory {
  /** What has come, whole; undefined: nothing yet. */
  latest?: Position;
  /** The moment that the initial sync began with. */
  base?: bigint;
}

/** The spool may take so much. */
const spoolBytesMax = 512 << 20;

export class Session {
  readonly #parts: SessionParts;
  #link!: Channel;
  #received = 0n;
  #committed = 0n;
  #synced = 0n;
  #syncing: Promise<void> | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Until the connection ends, however it does. */
  async run(): Promise<void> {
    const { standing, spool } = this.#parts;
    standing.link('connecting');
    try {
      await this.#connect();
    } catch (error) {
      if (!(error instanceof FrameError) && codeOf(error) === '') throw error;
      standing.link('connecting', messageOf(error));
    } finally {
      spool.cut();
      this.#link?.close();
      await this.#syncing?.catch(() => undefined);
      this.#apply();
    }
  }

  async #connect(): Promise<void> {
    const { standing } = this.#parts;
    this.#link = await this.#parts.dial();
    await this.#link.send(encodeJson(frameType.hello, this.#hello()));
    const answer = await this.#link.receive();
    if (answer === undefined) throw new VolumeError('EIO', 'the primary ended the connection');
    if (answer.type === frameType.refused) return this.#refused(answer);
    if (answer.type !== frameType.welcome) throw new FrameError(`a frame of type ${answer.type} is not expected here`);
    const welcome = readMessage(welcomeSchema, answer);
    const terms = readTerms(welcome.terms);
    if (welcome.history === 'diverged') {
      this.#parts.parent.tell({ diverged: BigInt(welcome.common ?? 0) });
      return standing.link('refused', 'this node has transactions that its primary never saw');
    }
    standing.whenOrdered(() => { this.#ordered(); });
    if (welcome.history === 'initial' || welcome.history === 'behind') await this.#initial(welcome);
    else this.#parts.parent.tell({ terms, begun: true });
    standing.link('following');
    this.#ordered();
    await this.#follow();
  }

  #hello(): Hello {
    const { state, volume } = this.#parts.orders;
    const { latest: position, base } = this.#parts.memory;
    this.#received = position?.txid ?? 0n;
    this.#synced = this.#committed = this.#received;
    return {
      protocol: protocolVersion, node: state.node, name: state.name, role: 'standby', terms: writeTerms(state.terms), purpose: 'follow', volume,
      ...(state.listen === undefined ? {} : { port: state.listen.port }),
      ...(position === undefined ? {} : { position: { txid: String(position.txid), checksum: position.checksum } }),
      ...(position === undefined || this.#parts.applier.last <= position.txid ? {} : { above: String(this.#parts.applier.last) }),
      ...(base === undefined ? {} : { base: String(base) }),
    };
  }

  #refused(frame: Frame): void {
    const { message } = readMessage(refusedSchema, frame);
    this.#parts.standing.link('refused', message);
  }

  async #initial(welcome: Welcome): Promise<void> {
    const { parent, standing } = this.#parts;
    if (welcome.base === undefined) throw new FrameError('the primary did not say with which moment to begin');
    const base = transactionOf(welcome.base);
    this.#parts.memory.base = base.txid;
    const standsAlready = welcome.history === 'behind';
    if (standsAlready) {
      // What has come before is a whole moment; from here on the tree is none until all has been compared.
      await standing.applyAll();
      await parent.does({ ask: 'catch-up' });
    }
    standing.link(standsAlready ? 'catching up' : 'initial sync');
    parent.tell({ base: base.txid });
    await parent.does({ ask: 'open', txid: base.txid });
    const asking = new Asking(this.#link);
    this.#reading = this.#readAnswers(asking);
    await this.#parts.initial(asking, rootOf(welcome), standsAlready);
    await this.#begun(base, welcome);
  }

  /** Gives answers to who asked, until the first frame that is none: then the sync is over. */
  async #readAnswers(asking: Asking): Promise<void> {
    try {
      for (let frame = await this.#link.receive(); frame !== undefined; frame = await this.#link.receive()) {
        if (!asking.take(frame)) {
          this.#early = frame;
          return;
        }
      }
      asking.fail(new VolumeError('EIO', 'the primary ended the connection'));
    } catch (error) {
      asking.fail(error instanceof Error ? error : new VolumeError('EIO', messageOf(error)));
    }
  }

  /** Whoever reads answers reads one frame too far. */
  #reading: Promise<void> | undefined;
  #early: Frame | undefined;

  async #begun(base: Transaction, welcome: Welcome): Promise<void> {
    const { parent } = this.#parts;
    await parent.does({ ask: 'end', transaction: base });
    await parent.does({ ask: 'durable' });
    if (welcome.history === 'initial') await parent.does({ ask: 'begin-history', txid: base.txid });
    parent.tell({ terms: readTerms(welcome.terms), begun: true });
    this.#parts.applier.started(base.txid);
    this.#parts.memory.latest = positionOf(base);
    this.#received = this.#committed = this.#synced = base.txid;
    await this.#acknowledge(base.txid);
  }

  async #follow(): Promise<void> {
    const { spool, standing } = this.#parts;
    standing.onApplied = (txid) => {
      if (this.#link.isOpen) void this.#link.send(encodeJson(frameType.applied, { txid: String(txid) })).catch(() => undefined);
    };
    await this.#link.send(encodeJson(frameType.applied, { txid: String(this.#parts.applier.last) }));
    for (let frame = await this.#next(); frame !== undefined; frame = await this.#next()) {
      if (frame.type === frameType.handed) this.#handed(frame);
      else this.#take(frame);
      while (spool.bytes > spoolBytesMax && this.#link.isOpen) await this.#parts.clock.wait(20);
    }
  }

  async #next(): Promise<Frame | undefined> {
    await this.#reading;
    this.#reading = undefined;
    const early = this.#early;
    this.#early = undefined;
    return early ?? this.#link.receive();
  }

  #take(frame: Frame): void {
    const { spool } = this.#parts;
    if (frame.type === frameType.begin && BigInt(readMessage(beginSchema, frame).from) !== this.#received) {
      throw new FrameError('a transaction came that does not follow on the last one');
    }
    if (!spool.add(frame)) return;
    const { transaction } = spool.last!;
    this.#parts.memory.latest = positionOf(transaction);
    this.#received = this.#committed = transaction.txid;
    this.#syncing ??= this.#sync().finally(() => { this.#syncing = undefined; });
    this.#syncing.catch(() => { this.#link.close(); });
  }

  #apply(): void {
    this.#parts.standing.applyDue().catch((error: unknown) => { this.#parts.onFailure(error); });
  }

  /** One flush for all that came while the one before was under way. */
  async #sync(): Promise<void> {
    while (this.#synced < this.#committed) {
      const target = this.#committed;
      await this.#parts.spool.sync();
      this.#synced = target;
      this.#parts.standing.note({ durable: target, bytes: this.#link.received });
      const told = this.#acknowledge(target);
      // Behind the acknowledgement, which somebody may wait for: to apply takes this thread.
      this.#apply();
      await told;
    }
  }

  async #acknowledge(txid: bigint): Promise<void> {
    await this.#link.send(encodeJson(frameType.acknowledged, { txid: String(txid) }));
  }

  #ordered(): void {
    const { standing } = this.#parts;
    if (standing.isFinishing || standing.isPaused) this.#link.close();
    else if (standing.wantsHandOver) {
      standing.wantsHandOver = false;
      void this.#link.send(encodeJson(frameType.handOver, {})).catch(() => undefined);
    }
  }

  /** The primary has stopped to take changes and everything is here: it is told when it is shown. */
  #handed(frame: Frame): void {
    const { txid, message } = readMessage(handedSchema, frame);
    const { parent, standing } = this.#parts;
    if (txid === undefined) return parent.tell({ handed: message ?? 'the primary refused' });
    void standing.applyAll().then(() => { parent.tell({ handed: BigInt(txid) }); });
  }
}

function rootOf(welcome: Welcome): string {
  if (welcome.root === undefined) throw new FrameError('the primary did not say where its tree begins');
  return welcome.root;
}
