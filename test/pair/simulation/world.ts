/**
 * Time and network of the simulation: a clock that is moved on when nothing else can happen, and connections that are slow, break, lose what is under way and turn bits. In: a seed.
 * Out: the ports Clock and Channel.
 *
 * Invariants:
 * 1. Nothing here depends on real time: the same seed gives the same run.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { FrameReader } from '../../../replica/pair/frame.js';
import type { Channel } from '../../../replica/pair/channel.js';
import type { Clock } from '../../../replica/pair/clock.js';
import type { Frame } from '../../../replica/pair/frame.js';
import type { Random } from '../../support/seed.js';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

export class World implements Clock {
  readonly random: Random;
  #nowMs = 0;
  #count = 0;
  #events: Event[] = [];
  readonly #connections = new Set<Connection>();
  isCut = false;

  constructor(random: Random) {
    this.random = random;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => { this.at(ms, resolve); });
  }

  at(inMs: number, act: () => void): void {
    const event = { atMs: this.#nowMs + Math.max(0, inMs), order: this.#count++, act };
    let index = this.#events.length;
    while (index > 0 && later(this.#events[index - 1]!, event)) index--;
    this.#events.splice(index, 0, event);
  }

  /** Lets time pass. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await turn();
      const next = this.#events[0];
      if (next === undefined || next.atMs > untilMs) break;
      // What happens at one moment happens before anybody looks.
      while (this.#events[0]?.atMs === next.atMs) {
        this.#nowMs = next.atMs;
        this.#events.shift()!.act();
      }
    }
    this.#nowMs = untilMs;
  }

  /** Two ends of a connection; undefined while the cable is cut. */
  connect(): [Connection, Connection] | undefined {
    if (this.isCut) return undefined;
    const [one, other] = [new Connection(this, 'b'), new Connection(this, 'a')];
    one.join(other);
    for (const end of [one, other]) {
      this.#connections.add(end);
      end.onEnd = () => { this.#connections.delete(end); };
    }
    return [one, other];
  }

  /** Every connection breaks; what is under way is lost. */
  breakAll(): void {
    for (const connection of [...this.#connections]) connection.break();
  }

  /** One bit of what is sent next turns over. */
  turnBit(): void {
    for (const connection of this.#connections) connection.turnsBit = true;
  }
}

export class Connection implements Channel {
  readonly #world: World;
  readonly #reader = new FrameReader();
  readonly #frames: Frame[] = [];
  #other!: Connection;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  #arrivesMs = 0;
  isOpen = true;
  turnsBit = false;
  onEnd: () => void = () => undefined;
  readonly isValid = true;
  readonly remoteHost = 'sim';
  readonly fingerprint: string;
  received = 0;
  sent = 0;

  /** `remote`: who is at the other end. */
  constructor(world: World, remote: string) {
    this.#world = world;
    this.fingerprint = remote;
  }

  join(other: Connection): void {
    this.#other = other;
    other.#other = this;
  }

  async send(frame: Buffer): Promise<void> {
    if (!this.isOpen) throw Object.assign(new Error('the connection has ended'), { code: 'EIO' });
    this.sent += frame.length;
    const bytes = Buffer.from(frame);
    if (this.turnsBit) bytes[this.#world.random.below(bytes.length)]! ^= 1 << this.#world.random.below(8);
    this.turnsBit = false;
    const now = this.#world.nowMs();
    this.#arrivesMs = Math.max(this.#arrivesMs, now + this.#world.random.below(10));
    this.#world.at(this.#arrivesMs - now, () => { this.#other.#arrive(bytes); });
    await Promise.resolve();
  }

  async receive(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.isOpen) return undefined;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }

  close(last?: Buffer): void {
    if (!this.isOpen) return;
    if (last !== undefined) void this.send(last);
    this.#end(undefined);
    this.#world.at(Math.max(0, this.#arrivesMs - this.#world.nowMs()), () => { this.#other.#end(undefined); });
  }

  break(): void {
    this.#end(Object.assign(new Error('the connection broke'), { code: 'EIO' }));
    this.#other.#end(Object.assign(new Error('the connection broke'), { code: 'EIO' }));
  }

  #arrive(bytes: Buffer): void {
    if (!this.isOpen) return;
    this.received += bytes.length;
    // In pieces of any length, as TCP gives them.
    const cut = this.#world.random.below(bytes.length + 1);
    try {
      for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        if (piece.length > 0) this.#reader.push(piece);
        for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#frames.push(frame);
      }
    } catch (error) {
      this.#end(error as Error);
      this.#other.#end(undefined);
    }
    this.#wake?.();
  }

  #end(error: Error | undefined): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#failure = error;
    this.onEnd();
    this.#wake?.();
  }
}

function later(one: Event, other: Event): boolean {
  return one.atMs > other.atMs || (one.atMs === other.atMs && one.order > other.order);
}
