/**
 * How far each standby of a primary has come, also while it is away: from there it can go on as long as that moment is kept. In: acknowledgements, connections that end. Out: moments
 * held, within a budget; positions in the state.
 *
 * Invariants:
 * 1. The moment of a standby that is away is held until the log has grown by the budget since it left, or the disk gets short; then it is given up like any other.
 * 2. A standby whose moment was given up catches up by comparing hashes.
 */
import type { Txid, Volume } from '../../engine/index.js';
import type { Host, Served } from './serving.js';
import type { Peer } from './state.js';

export type CursorHost = Pick<Host, 'source' | 'state' | 'change' | 'say' | 'bases'> & { readonly served: ReadonlySet<Served> };

const lookEveryMs = 1_000;
/** A position is written down once in a while: after a crash the standby says itself where it is. */
const writeEveryMs = 30_000;

export class Cursors {
  readonly #host: CursorHost;
  readonly #volume: Volume;
  readonly #durable = new Map<string, Txid>();
  #timer: NodeJS.Timeout | undefined;
  #writtenMs = performance.now();

  constructor(host: CursorHost, volume: Volume) {
    this.#host = host;
    this.#volume = volume;
  }

  /** Up to here it has everything, durably; undefined when nobody knows. */
  durableOf({ node, durable }: Peer): Txid | undefined {
    return this.#durable.get(node) ?? (durable === undefined ? undefined : BigInt(durable) as Txid);
  }

  /** This node is primary: those who are away are waited for. */
  begin(): void {
    this.#timer ??= setInterval(() => { this.#look(); }, lookEveryMs).unref();
    for (const peer of this.#host.state.peers) this.#hold(peer);
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#write();
    for (const { node } of this.#host.state.peers) this.#host.source.hold(holderOf(node), undefined);
  }

  /** A standby that is connected has everything up to here; its sender holds that. */
  noted({ node, awaySince }: Peer, txid: Txid): void {
    this.#durable.set(node, txid);
    if (awaySince === undefined) return;
    this.#change(node, (peer) => withoutAway(peer));
    this.#host.source.hold(holderOf(node), undefined);
  }

  /** It will not come back. */
  forget({ node }: Peer): void {
    this.#durable.delete(node);
    this.#host.bases.delete(node);
    for (const holder of [holderOf(node), node]) this.#host.source.hold(holder, undefined);
  }

  /** Its connection has ended. */
  left({ node }: Peer): void {
    if (this.#timer === undefined || this.#isConnected({ node })) return;
    this.#change(node, (peer) => ({ ...this.#written(peer), awaySince: String(this.#volume.native.logState().end) }));
    const peer = this.#host.state.peers.find((one) => one.node === node);
    if (peer !== undefined) this.#hold(peer);
  }

  #hold(peer: Peer): void {
    const txid = this.durableOf(peer);
    if (txid !== undefined && peer.isGivenUp !== true && !this.#isConnected(peer)) this.#host.source.hold(holderOf(peer.node), txid);
  }

  #look(): void {
    const { state, bases, say } = this.#host;
    for (const peer of state.peers) {
      const hasMoment = this.durableOf(peer) !== undefined || bases.has(peer.node);
      if (this.#isConnected(peer) || peer.isGivenUp === true || !hasMoment || !this.#isTooMuch(peer)) continue;
      this.#change(peer.node, (one) => ({ ...one, isGivenUp: true }));
      for (const holder of [holderOf(peer.node), peer.node]) this.#host.source.hold(holder, undefined);
      bases.delete(peer.node);
      say(`${peer.name} has been away for so long that its place in the history is given up; when it is back it catches up by comparing`);
    }
    if (performance.now() - this.#writtenMs >= writeEveryMs) this.#write();
  }

  #write(): void {
    this.#writtenMs = performance.now();
    const { peers } = this.#host.state;
    if (peers.some((peer) => this.#written(peer).durable !== peer.durable)) this.#host.change({ peers: peers.map((peer) => this.#written(peer)) });
  }

  #isTooMuch({ awaySince }: Peer): boolean {
    if (this.#volume.room.verdict !== 'enough') return true;
    return awaySince !== undefined && Number(this.#volume.native.logState().end - BigInt(awaySince)) > this.#host.state.pinBudget;
  }

  #isConnected({ node }: Pick<Peer, 'node'>): boolean {
    return [...this.#host.served].some(({ peer, link }) => peer.node === node && link.isOpen);
  }

  #written(peer: Peer): Peer {
    const durable = this.durableOf(peer);
    return durable === undefined ? peer : { ...peer, durable: String(durable) };
  }

  #change(node: string, to: (peer: Peer) => Peer): void {
    this.#host.change({ peers: this.#host.state.peers.map((peer) => peer.node === node ? to(peer) : peer) });
  }
}

function holderOf(node: string): string {
  return `away ${node}`;
}

function withoutAway({ awaySince: _, isGivenUp: __, ...peer }: Peer): Peer {
  return peer;
}
