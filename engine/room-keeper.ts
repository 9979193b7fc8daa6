/**
 * Keeps room on the disk for whoever writes: when little is left the oldest history goes, before anything fails. In: what the addon says of the room, and of requests that wait for
 * some. Out: less history; answers to the addon.
 *
 * Invariants:
 * 1. Nothing is given up while enough is free; what the policy's minimum, a pin or somebody's looking keeps is never given up.
 * 2. Requests that wait are answered: there is room again, or there is nothing left to give up.
 * 3. Whatever fails on the way is said, not too often, and tried again.
 */
import { codeOf, messageOf } from './errors.js';
import { lsn } from './ids.js';
import type { IndexService } from './index-service.js';
import type { RoomCalls, RoomState } from './native.js';
import type { InUse, Reclaim } from './reclaim.js';

export interface RoomKeeperOptions {
  readonly native: RoomCalls;
  readonly service: Pick<IndexService, 'readUpTo' | 'lacksRoom' | 'caughtUp'>;
  readonly reclaim: Pick<Reclaim, 'giveUpOldest' | 'historyBytes'>;
  readonly say: (line: string) => void;
}

export interface RoomUse {
  /** Snapshots that somebody is looking at. */
  readonly inUse: InUse;
  /** Moments were given up. */
  readonly onGivenUp: () => void;
}

/** 'short': the oldest history goes. 'none': nothing more may go, and who writes is told that the disk is full. */
export type RoomVerdict = 'enough' | 'short' | 'none';

const lookEveryMs = 250;
/** After nothing was left to give up: history grows old enough. */
const retryMs = 5_000;
/** So long after history was given up, or somebody was refused, the disk still counts as full. */
const shortForMs = 60_000;
/** The same thing is not said more often. */
const sayEveryMs = 10 * 60_000;
const mebibyte = 1 << 20;

/** With less than this history goes: 1/64 of the disk, 2 MiB … 1 GiB. */
function watchBytes({ totalBytes }: RoomState): number {
  return Math.min(Math.max(totalBytes / 64, 2 * mebibyte), 1024 * mebibyte);
}

export class RoomKeeper {
  readonly #options: RoomKeeperOptions;
  #use: RoomUse | undefined;
  #timer: NodeJS.Timeout | undefined;
  #making: Promise<void> | undefined;
  #nothingUntilMs = 0;
  #gaveUpAtMs = Number.NEGATIVE_INFINITY;
  /** Requests, by the last look. */
  #refused = 0;
  #refusedAtMs = Number.NEGATIVE_INFINITY;
  readonly #saidAtMs = new Map<string, number>();

  constructor(options: RoomKeeperOptions) {
    this.#options = options;
  }

  /** From now on it looks, until `close`. */
  start(use: RoomUse): void {
    this.#use = use;
    this.#timer = setInterval(() => { this.#look(); }, lookEveryMs).unref();
    this.#look();
  }

  get verdict(): RoomVerdict {
    if (performance.now() - Math.max(this.#gaveUpAtMs, this.#refusedAtMs) > shortForMs) return 'enough';
    return this.#refusedAtMs > this.#gaveUpAtMs ? 'none' : 'short';
  }

  /** The policy has changed: what could not go may go now. */
  retry(): void {
    this.#nothingUntilMs = 0;
    // Who writes now waits until that is known.
    if (this.#use !== undefined) this.#options.native.answerRoom(Number.MAX_SAFE_INTEGER);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#use = undefined;
    await this.#making;
  }

  #state(): RoomState {
    return this.#options.native.room(lsn(this.#options.service.readUpTo));
  }

  #look(): void {
    const state = this.#state();
    if (state.refused > this.#refused) this.#refusedAtMs = performance.now();
    this.#refused = state.refused;
    if (this.#making !== undefined) return;
    const isUrgent = state.isShort || state.waiting > 0 || this.#options.service.lacksRoom;
    const isTight = state.availableBytes < watchBytes(state) || state.lacksInodes;
    if (isUrgent || (isTight && performance.now() >= this.#nothingUntilMs)) this.#making = this.#makeRoom().finally(() => { this.#making = undefined; });
    else if (!isTight && state.isRefusing) this.#options.native.answerRoom(Number.MAX_SAFE_INTEGER);
    else if (state.availableBytes > 0 && state.reserveBytes < state.reserveWanted) this.#making = this.#reserve().finally(() => { this.#making = undefined; });
  }

  async #makeRoom(): Promise<void> {
    try {
      if (await this.#refuseTooLarge()) return;
      while (this.#use !== undefined && !await this.#isEnough()) {
        const state = this.#state();
        // What is left of it is room to begin.
        if (state.availableBytes < 0) this.#options.native.giveReserve();
        const wanted = Math.max(2 * watchBytes(state), state.largestWaiting) - state.availableBytes;
        const given = await this.#options.reclaim.giveUpOldest(this.#use.inUse, Date.now(), wanted);
        if (given === undefined) return await this.#nothingLeft();
        this.#noteGivenUp(given.plan.gone, given.plan.oldestMs);
        // Who waits goes on as soon as there is some.
        const after = this.#state();
        if (after.waiting > 0 && after.availableBytes > watchBytes(after)) this.#options.native.answerRoom(after.availableBytes);
      }
      await this.#reserve();
      this.#options.native.answerRoom(Number.MAX_SAFE_INTEGER);
    } catch (error) {
      // Another pruning makes room as well.
      if (codeOf(error) === 'EBUSY') return;
      this.#options.native.giveReserve();
      this.#say('failed', `the disk is full, and room cannot be made yet: ${messageOf(error)}`);
    }
  }

  /** What the index has yet to write may be all that is missing. */
  async #isEnough(): Promise<boolean> {
    const before = this.#state();
    if (before.availableBytes < watchBytes(before)) await this.#options.service.caughtUp();
    const state = this.#state();
    return state.availableBytes >= Math.max(watchBytes(state), state.largestWaiting) && !state.lacksInodes && !this.#options.service.lacksRoom;
  }

  /** No history is given up for a request for which all of it would not make room. */
  async #refuseTooLarge(): Promise<boolean> {
    const { largestWaiting, availableBytes, totalBytes } = this.#state();
    if (largestWaiting <= totalBytes / 16 || largestWaiting <= availableBytes + await this.#options.reclaim.historyBytes()) return false;
    this.#options.native.answerRoom(largestWaiting - 1);
    return true;
  }

  async #nothingLeft(): Promise<void> {
    this.#nothingUntilMs = performance.now() + retryMs;
    await this.#reserve();
    const { availableBytes, lacksInodes } = this.#state();
    const isLeft = availableBytes > 0 && !lacksInodes;
    this.#options.native.answerRoom(isLeft ? availableBytes : 0);
    if (!isLeft) this.#say('none', 'the disk is full, and all history that is left is younger than the policy\'s at-least, pinned or in use: who writes is told that the disk is full');
  }

  async #reserve(): Promise<void> {
    try {
      await this.#options.native.makeReserve();
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'ENOSPC' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') this.#say('reserve', `no room can be set aside: ${messageOf(error)}`);
    }
  }

  #noteGivenUp(gone: number, oldestMs: number): void {
    if (gone === 0) return;
    this.#gaveUpAtMs = performance.now();
    this.#use?.onGivenUp();
    this.#say('given', `the disk is almost full: the oldest history is given up so that applications can write; it reaches back to ${new Date(oldestMs).toISOString().slice(0, 16)} now`);
  }

  #say(kind: string, line: string): void {
    if (performance.now() - (this.#saidAtMs.get(kind) ?? Number.NEGATIVE_INFINITY) < sayEveryMs) return;
    this.#saidAtMs.set(kind, performance.now());
    this.#options.say(line);
  }
}
