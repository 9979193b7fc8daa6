/**
 * The receiver's way to its daemon. In: questions. Out: answers, and what the daemon has it do.
 *
 * Invariants:
 * 1. When the daemon is gone the receiver ends: its mount is dead.
 */
import { VolumeError } from '../../../engine/index.js';
import type { VolumeErrorCode } from '../../../engine/index.js';
import type { Asks, FromReceiver, Orders, PositionAnswer, Question, ToReceiver } from './ipc.js';

interface Waiter {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Parent implements Asks {
  readonly #waiting = new Map<number, Waiter>();
  #count = 0;

  /** `onOrder`: told what to do. */
  static async connect(onOrder: (order: 'pause' | 'resume' | 'hand-over' | 'finish') => void): Promise<{ parent: Parent; orders: Orders }> {
    const parent = new Parent();
    process.on('disconnect', () => { process.exit(0); });
    const orders = await new Promise<Orders>((resolve) => {
      process.on('message', (message: ToReceiver) => {
        if ('orders' in message) resolve(message.orders);
        else if ('do' in message) onOrder(message.do);
        else parent.#answered(message);
      });
    });
    return { parent, orders };
  }

  position(): Promise<PositionAnswer | undefined> {
    return this.#ask({ ask: 'position' }) as Promise<PositionAnswer | undefined>;
  }

  async does(question: Exclude<Question, { ask: 'position' }>): Promise<void> {
    await this.#ask(question);
  }

  tell(message: Exclude<FromReceiver, { id: number }>): void {
    process.send?.(message);
  }

  #ask(question: Question): Promise<unknown> {
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      process.send?.({ id, question } satisfies FromReceiver);
    });
  }

  #answered({ id, answer, error }: Extract<ToReceiver, { id: number }>): void {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error !== undefined) waiter?.reject(new VolumeError(error.code as VolumeErrorCode, error.message));
    else waiter?.resolve(answer);
  }
}
