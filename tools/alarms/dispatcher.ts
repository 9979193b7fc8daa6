/**
 * Brings messages to sinks. In: sinks and a message. Out: how it went at each, also as a line in the daemon's log.
 *
 * Invariants:
 * 1. Every sink is on its own: one that fails, hangs or is slow delays no other, and nothing that happens there reaches the daemon but a line in its log.
 * 2. A sink gets its messages one after the other, in their order; at most `longestQueue` wait for it, and what is dropped is said.
 */
import type { Logger } from 'pino';
import { sinkLabel, sinkName } from './config.js';
import type { Sink } from './config.js';
import type { Courier } from './courier.js';
import type { Message } from './message.js';

export interface SinkResult {
  readonly sink: string;
  /** How often it was tried; absent when it failed. */
  readonly tries?: number;
  readonly error?: string;
}

const defaultLongestQueue = 50;

export class Dispatcher {
  readonly #logger: Logger;
  readonly #longestQueue: number;
  readonly #courier: Courier;
  /** By name: the last delivery that waits, and how many do. */
  readonly #queues = new Map<string, { last: Promise<unknown>; waiting: number }>();

  constructor(logger: Logger, courier: Courier, longestQueue = defaultLongestQueue) {
    this.#logger = logger;
    this.#courier = courier;
    this.#longestQueue = longestQueue;
  }

  /** Resolves when each sink has taken the message or failed; never rejects. */
  send(sinks: readonly Sink[], message: Message): Promise<SinkResult[]> {
    return Promise.all(sinks.map((sink) => (sink.type === 'log' ? this.#log(sink, message) : this.#enqueue(sink, message))));
  }

  #log(sink: Sink, message: Message): SinkResult {
    const level = message.event === 'ended' || message.event === 'digest' || message.event === 'test' ? 'info' : 'warn';
    this.#logger[level]({ alarm: message }, message.lines.length === 0 ? message.text : `${message.text}: ${message.lines.join('; ')}`);
    return { sink: sinkName(sink), tries: 1 };
  }

  async #enqueue(sink: Sink, message: Message): Promise<SinkResult> {
    const name = sinkName(sink);
    const queue = this.#queues.get(name) ?? { last: Promise.resolve(), waiting: 0 };
    if (queue.waiting >= this.#longestQueue) return this.#failed(sink, `${this.#longestQueue} messages wait for it: "${message.text}" is dropped`);
    queue.waiting += 1;
    const delivery = queue.last.then(() => this.#courier.deliver({ sink, message }));
    queue.last = delivery;
    this.#queues.set(name, queue);
    const done = await delivery;
    queue.waiting -= 1;
    if (queue.waiting === 0) this.#queues.delete(name);
    if ('error' in done) return this.#failed(sink, done.error);
    this.#logger.info({ sink: sinkLabel(sink), tries: done.tries }, 'alarm sent');
    return { sink: name, tries: done.tries };
  }

  #failed(sink: Sink, error: string): SinkResult {
    this.#logger.error({ sink: sinkLabel(sink), error }, 'alarm not sent');
    return { sink: sinkName(sink), error };
  }
}
