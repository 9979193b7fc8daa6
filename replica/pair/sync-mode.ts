/**
 * The mode `sync` on a primary: syncs of applications (fsync and its like) are answered when a standby has, on its disk, what they promise. In: the pair's settings, what standbys
 * acknowledge. Out: the addon's gate, open or closed; how it stands.
 *
 * ```
 * off ◄──► guarded ──(gone for the time set)──► alone (go-on) or stopped (stop) ──(a standby has caught up)──► guarded
 * ```
 *
 * Invariants:
 * 1. While guarded or stopped no sync is answered that a standby does not have.
 * 2. Whoever goes on alone says so, and the alarms tell it as long as it lasts.
 * 3. Off, it costs nothing: the gate is open, no timer runs.
 */
import type { NativeVolume } from '../../engine/native.js';
import type { Txid } from '../../engine/index.js';
import { readState } from './state.js';
import type { Host, Served } from './serving.js';
import type { PairState } from './state.js';

export type SyncStanding = 'off' | 'guarded' | 'alone' | 'stopped';

/** The addon's part. */
export type Gate = Pick<NativeVolume, 'closePeerGate' | 'openPeerGate' | 'peerHas' | 'waitingForPeer' | 'holdChanges' | 'releaseChanges'>;

/** The node that is in this mode. */
export type SyncHost = Pick<Host, 'source' | 'clock' | 'state' | 'say'> & { readonly served: ReadonlySet<Served>; onSync(): void };

const tickMs = 200;
/** A standby that lacks fewer moments has caught up, as far as syncs go that would wait for it. */
const closeBehind = 64;
/** This process stood still itself: what it did not hear meanwhile says nothing. */
const stoodStillMs = 2_000;

/** What has to hold before the first request of a mount; SyncMode takes over from here. */
export function guardFromTheStart(gate: Gate, directory: string): void {
  const state = readState(directory);
  if (state !== undefined && isWanted(state)) gate.closePeerGate(0n as Txid, () => undefined);
}

export class SyncMode {
  readonly #gate: Gate;
  readonly #host: SyncHost;
  readonly #search: { over(): Promise<void> };
  #holds = false;
  #standing: SyncStanding = 'off';
  #isSuspended = false;
  /** When a standby was heard of last, or nobody waited for one that follows. */
  #heardMs = 0;
  #tickedMs = 0;
  #isTicking = false;
  #had = 0n as Txid;

  /** `search`: for changes made while nothing was mounted; it holds changes itself, and lets go of them. */
  constructor(gate: Gate, host: SyncHost, search: { over(): Promise<void> }) {
    this.#gate = gate;
    this.#host = host;
    this.#search = search;
  }

  get standing(): SyncStanding {
    return this.#standing;
  }

  /** The settings, the role or the peers may have changed. */
  configure(): void {
    const isOn = !this.#isSuspended && isWanted(this.#host.state);
    if (isOn === (this.#standing !== 'off')) return;
    if (isOn) this.#guard();
    else this.#end();
  }

  /** Nobody waits while it is unmounted, or for good. */
  suspend(): void {
    this.#isSuspended = true;
    this.configure();
  }

  resume(): void {
    this.#isSuspended = false;
    this.configure();
  }

  /** A standby has everything up to here on its disk. */
  durable(txid: Txid): void {
    if (txid > this.#had) this.#had = txid;
    if (this.#standing === 'off') return;
    this.#heardMs = this.#host.clock.nowMs();
    if (this.#standing !== 'alone') this.#gate.peerHas(txid);
    if (this.#standing === 'guarded' || this.#host.source.after(txid, closeBehind).length === closeBehind) return;
    this.#host.say('the standby has caught up: syncs wait for it again');
    this.#letChange();
    this.#guard();
    this.#host.onSync();
  }

  #guard(): void {
    this.#gate.closePeerGate(this.#had, () => { for (const { sender } of this.#host.served) sender?.hurry(); });
    this.#standing = 'guarded';
    this.#heardMs = this.#tickedMs = this.#host.clock.nowMs();
    if (!this.#isTicking) void this.#tick();
  }

  #end(): void {
    this.#letChange();
    this.#standing = 'off';
    this.#gate.openPeerGate();
  }

  async #tick(): Promise<void> {
    const { clock } = this.#host;
    for (this.#isTicking = true; this.#standing !== 'off';) {
      await clock.wait(tickMs);
      if (this.#standing === 'guarded') this.#look(clock.nowMs());
      else if (this.#standing === 'stopped' && this.#host.state.whenGone === 'go-on') this.#goOn();
    }
    this.#isTicking = false;
  }

  #look(nowMs: number): void {
    const { served, state: { patienceMs, whenGone }, say, onSync } = this.#host;
    const isFollowed = [...served].some(({ sender, link }) => sender !== undefined && link.isOpen);
    const stoodStill = nowMs - this.#tickedMs > stoodStillMs;
    this.#tickedMs = nowMs;
    if (stoodStill || (isFollowed && this.#gate.waitingForPeer() === 0)) this.#heardMs = nowMs;
    if (nowMs - this.#heardMs <= patienceMs) return;
    say(`no standby has answered for ${patienceMs / 1000} s`);
    if (whenGone === 'go-on') return this.#goOn();
    this.#standing = 'stopped';
    void this.#hold();
    say('writes have stopped until a standby is back ("tidemark pair set --when-gone go-on" lets them go on)');
    onSync();
  }

  async #hold(): Promise<void> {
    await this.#search.over();
    if (this.#standing !== 'stopped') return;
    this.#holds = true;
    this.#gate.holdChanges();
  }

  #letChange(): void {
    if (this.#holds) this.#gate.releaseChanges();
    this.#holds = false;
  }

  #goOn(): void {
    this.#letChange();
    this.#standing = 'alone';
    this.#gate.openPeerGate();
    this.#host.say('this node goes on ALONE: what is synced from now on is on this node only, until a standby is back');
    this.#host.onSync();
  }
}

function isWanted({ role, mode, peers }: PairState): boolean {
  return role === 'primary' && mode === 'sync' && peers.length > 0;
}
