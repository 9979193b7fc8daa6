/**
 * A command's connection to a daemon (protocol.ts). Requests go out one after the other, answers come back as promises.
 *
 * Invariants:
 * 1. Every `ask` settles: with the reply, the daemon's error, or an error when the connection ends first.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { codeOf, CommandError, DaemonError } from './errors.js';
import { LineSplitter } from './lines.js';
import { answerSchema, longestAnswerBytes } from './protocol.js';
import type { Answers, Method, Parameters } from './protocol.js';
import type { RegistryEntry } from './registry.js';

interface Pending {
  readonly onItem: (item: unknown) => void;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class ControlClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const splitter = new LineSplitter(longestAnswerBytes, (line) => this.#answer(line));
    socket.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    let failure: Error | undefined;
    socket.on('error', (error) => (failure = error));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#failAll(new DaemonError(codeOf(failure) ?? 'ECLOSED', `the daemon ended the connection${failure ? ` (${failure.message})` : ''}`));
        resolve();
      });
    });
  }

  /** Connects to the daemon of an entry. Throws CommandError when this user may not, or nobody answers. */
  static async connect(entry: RegistryEntry): Promise<ControlClient> {
    const socket = connect(entry.socket);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      });
    } catch (error) {
      if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') {
        throw new CommandError(`${entry.mountpoint} was mounted by another user, whose daemon you may not ask`, 'run it as that user or with sudo');
      }
      throw new CommandError(`the daemon of ${entry.mountpoint} (pid ${entry.pid}) does not answer`, `look into ${entry.log}`);
    }
    return new ControlClient(socket);
  }

  /** Sends a request and waits for its answer; `onItem` gets each item that comes before. Throws DaemonError. */
  ask<M extends Method>(method: M, parameters: Parameters<M>, onItem?: (item: Answers[M]['item']) => void): Promise<Answers[M]['reply']> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, {
        // Both ends are the same program: what the daemon sends is what Answers declares.
        onItem: (item) => onItem?.(item as Answers[M]['item']),
        resolve: (reply) => resolve(reply as Answers[M]['reply']),
        reject,
      });
      if (this.#socket.destroyed) this.#failAll(new DaemonError('ECLOSED', 'the daemon ended the connection'));
      else this.#socket.write(`${JSON.stringify({ id, method, ...parameters })}\n`);
    });
  }

  /** As `ask`, with all items in a list. */
  async askAll<M extends Method>(method: M, parameters: Parameters<M>): Promise<Answers[M]['item'][]> {
    const items: Answers[M]['item'][] = [];
    await this.ask(method, parameters, (item) => items.push(item));
    return items;
  }

  close(): void {
    this.#socket.destroy();
  }

  #answer(line: string): void {
    const answer = answerSchema.parse(JSON.parse(line));
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return; // Late items of a request that has failed.
    if ('item' in answer) {
      pending.onItem(answer.item);
      return;
    }
    this.#pending.delete(answer.id);
    if ('error' in answer) pending.reject(new DaemonError(answer.error.code, answer.error.message));
    else pending.resolve(answer.reply);
  }

  #failAll(error: Error): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of all) pending.reject(error);
  }
}
