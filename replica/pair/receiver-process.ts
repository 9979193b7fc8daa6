/**
 * The daemon's side of its receiver: starts it, answers its questions, starts it again when it ends before it was told to. In: orders, the volume's replication. Out: status, and
 * what it found out.
 *
 * Invariants:
 * 1. One receiver runs at a time, also of those that an earlier daemon has left.
 * 2. After `finish` everything that was in the spool has been applied, and nobody changes the tree any more.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { codeOf, messageOf } from '../../engine/index.js';
import type { Replication, Txid } from '../../engine/index.js';
import type { FromReceiver, Orders, PositionAnswer, Question, ReceiverStatus, ToReceiver } from './receiver/ipc.js';
import type { Term } from './position.js';

export interface ReceiverEvents {
  /** Where this node's history stands, as its primary counts. */
  position(): Promise<PositionAnswer | undefined>;
  onTerms(terms: readonly Term[], begun: boolean): void;
  /** The tree is compared with the primary's again. */
  onCatchUp(): void;
  onDiverged(common: bigint): void;
  /** Its pid, as long as it runs. */
  onRunning(pid: number): void;
  say(line: string): void;
}

/** After it has ended by itself; longer and longer while it does so soon. */
const restartMs = 1_000;
const slowestRestartMs = 30_000;

export class ReceiverProcess {
  readonly #replication: Replication;
  readonly #orders: () => Promise<Orders>;
  readonly #events: ReceiverEvents;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  /** Once the first one has been started, or could not be. */
  readonly #begun: Promise<void>;
  #begin!: () => void;
  #isWanted = true;
  #onHanded: ((answer: bigint | string) => void) | undefined;
  status: ReceiverStatus | undefined;

  constructor(parts: { replication: Replication; orders: () => Promise<Orders>; events: ReceiverEvents }) {
    this.#replication = parts.replication;
    this.#orders = parts.orders;
    this.#events = parts.events;
    this.#begun = new Promise((resolve) => { this.#begin = resolve; });
    void this.#run().finally(this.#begin);
  }

  order(order: 'pause' | 'resume'): void {
    this.#send({ do: order });
  }

  /** The primary stops to take changes; resolves with its last transaction when that is shown here, or with why not. */
  handOver(): Promise<bigint | string> {
    return new Promise((resolve) => {
      this.#onHanded = resolve;
      this.#send({ do: 'hand-over' });
    });
  }

  /** Applies what is in the spool, and ends. */
  async finish(): Promise<void> {
    await this.#begun;
    this.#isWanted = false;
    this.#send({ do: 'finish' });
    await this.#ended;
  }

  /** Ends it where it is; what it was at is gone through again when it is started again. */
  async stop(): Promise<void> {
    await this.#begun;
    this.#isWanted = false;
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  async #run(): Promise<void> {
    for (let waitMs = restartMs; this.#isWanted;) {
      const orders = await this.#orders();
      const began = performance.now();
      this.#ended = this.#once(orders);
      this.#begin();
      await this.#ended;
      if (this.#isWanted) await new Promise((resolve) => { setTimeout(resolve, waitMs); });
      waitMs = performance.now() - began > slowestRestartMs ? restartMs : Math.min(waitMs * 1.5, slowestRestartMs);
    }
  }

  #once(orders: Orders): Promise<void> {
    const main = fileURLToPath(new URL('./receiver/main.js', import.meta.url));
    // A receiver whose daemon was killed may still be at something that this mount, which outlived it, has yet to do: this one begins when that one is gone.
    const alone = ['flock', '--no-fork', orders.directory];
    const child = spawn('unshare', ['--mount', '--propagation', 'private', ...alone, process.execPath, main], { cwd: '/', stdio: ['ignore', 'inherit', 'pipe', 'ipc'], serialization: 'advanced' });
    this.#child = child;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { said = (said + text).slice(-4000); });
    child.on('message', (message: FromReceiver) => { this.#take(message); });
    if (child.pid !== undefined) this.#events.onRunning(child.pid);
    this.#send({ orders });
    return new Promise((resolve) => {
      child.once('error', (error) => { this.#events.say(`the receiver cannot be started (${error.message}); it needs unshare, flock and mount (util-linux)`); resolve(); });
      child.once('exit', (status, signal) => {
        if (status !== 0) this.#events.say(`the receiver ended (${signal ?? `status ${status}`}): ${said.trim()}`);
        this.#child = undefined;
        resolve();
      });
    });
  }

  #send(message: ToReceiver): void {
    if (this.#child?.connected === true) this.#child.send(message, () => undefined);
  }

  #take(message: FromReceiver): void {
    if ('question' in message) void this.#answer(message.id, message.question);
    else if ('status' in message) this.status = message.status;
    else if ('terms' in message) this.#events.onTerms(message.terms, message.begun);
    else if ('diverged' in message) this.#events.onDiverged(message.diverged);
    else if ('handed' in message) this.#onHanded?.(message.handed);
  }

  async #answer(id: number, question: Question): Promise<void> {
    try {
      this.#send({ id, answer: await this.#do(question) });
    } catch (error) {
      this.#send({ id, error: { code: codeOf(error), message: messageOf(error) } });
    }
  }

  async #do(question: Question): Promise<unknown> {
    switch (question.ask) {
      case 'position': return this.#events.position();
      case 'open': return this.#replication.openTransaction(question.txid as Txid);
      case 'end': return this.#replication.endTransaction(question.transaction);
      case 'begin-history': return this.#replication.beginHistory(question.txid as Txid);
      case 'catch-up': return this.#events.onCatchUp();
      case 'durable': return this.#replication.makeDurable();
      default: throw new Error('a question that nobody asks');
    }
  }
}
