/**
 * A command's connection to a daemon (protocol.ts). Requests go out one after the other, answers come back as promises.
 *
 * What the daemon says is taken as it comes: both ends are the same program, its socket is its owner's alone, and what checks JSON takes longer to load than most commands to run.
 *
 * Invariants:
 * 1. Every `ask` settles: with the reply, the daemon's error, or an error when the connection ends first.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, CommandError, DaemonError } from './errors.js';
import { LineSplitter } from './lines.js';
import { longestAnswerBytes } from './protocol.js';
import type { Answer, Answers, Method, Parameters } from './protocol.js';
import { isBetweenDaemons } from './registry.js';
import type { RegistryEntry } from './registry.js';

/** How long a command waits for the next daemon. */
const longestRestartMs = 15_000;
const askAgainMs = 50;

interface Pending {
  readonly onItem: (item: unknown) => void;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
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
    const untilMs = Date.now() + longestRestartMs;
    for (;;) {
      try {
        return await ControlClient.connectTo(entry.socket);
      } catch (error) {
        if (!isBetweenDaemons(entry) || Date.now() > untilMs) throw ControlClient.#refused(entry, error);
        await sleep(askAgainMs);
      }
    }
  }

  /** Connects to a daemon's socket. Throws what connecting throws. */
  static async connectTo(path: string): Promise<ControlClient> {
    return new ControlClient(await connected(path));
  }

  static #refused(entry: RegistryEntry, error: unknown): CommandError {
    if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') {
      return new CommandError(`${entry.mountpoint} was mounted by another user, whose daemon you may not ask`, 'run it as that user or with sudo');
    }
    return new CommandError(`the daemon of ${entry.mountpoint} (pid ${entry.pid}) does not answer`, `look into ${entry.log}`);
  }

  /** Sends a request and waits for its answer; `onItem` gets each item that comes before. Throws DaemonError. */
  ask<M extends Method>(method: M, parameters: Parameters<M>, onItem?: (item: Answers[M]['item']) => void): Promise<Answers[M]['reply']> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, {
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
    const answer = JSON.parse(line) as Answer;
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
