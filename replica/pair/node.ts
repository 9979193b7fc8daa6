/**
 * One node of a pair, in its daemon: its role, who it is connected to, and how that changes. In: the volume, what surrounds it (the mount), peers. Out: a primary that sends, or a
 * standby that follows.
 *
 * Invariants:
 * 1. A role counts when pair.json says so on the disk; what has to follow from it is made up for at the next start.
 * 2. A standby's mount is read-only before it takes its first transaction; a primary's is not before its term has begun.
 * 3. Whoever learns of a later term stops being primary.
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VolumeError, messageOf } from '../../engine/index.js';
import type { Txid } from '../../engine/index.js';
import { realClock } from './clock.js';
import { Cursors } from './cursors.js';
import { makeIdentity, readIdentity } from './identity.js';
import type { Identity } from './identity.js';
import { Listening } from './listening.js';
import { lookAround } from './looking.js';
import { OneAtATime } from './one-at-a-time.js';
import { PackPool } from './pack-pool.js';
import type { Term } from './position.js';
import { askForHandOver, finishPromotion, firstTransaction, stopChanges } from './promotion.js';
import { ReceiverProcess } from './receiver-process.js';
import { rewind } from './rewinding.js';
import { serve } from './serving.js';
import type { Host, Served } from './serving.js';
import { sourceOf } from './source.js';
import type { Source } from './source.js';
import { ordersFor, positionIn } from './standby.js';
import { changed, freshState, peerCalled, readState, writeState } from './state.js';
import { SyncMode } from './sync-mode.js';
import type { PairState, Peer, StateChange } from './state.js';
import { untilReadOnly } from './surroundings.js';
import type { Surroundings } from './surroundings.js';

const handOverMs = 60_000;
/** Until the standby has heard that it was handed over to. */
const handedMs = 100;

export class PairNode implements Host {
  readonly source: Source;
  readonly clock = realClock;
  readonly bases = new Map<string, Txid>();
  readonly served = new Set<Served>();
  readonly surroundings: Surroundings;
  #state: PairState;
  #identity: Identity | undefined;
  readonly sync: SyncMode;
  readonly listening: Listening;
  readonly cursors: Cursors;
  readonly packs = new PackPool(() => this.state.compresses);
  receiver: ReceiverProcess | undefined;
  #isClosed = false;
  readonly #change = new OneAtATime('the role of this node is changing just now; try again in a moment');

  /** The node of a volume whose store knows of a pair; undefined for one that does not. */
  static async open(surroundings: Surroundings): Promise<PairNode | undefined> {
    const state = readState(surroundings.volume.replication.directory);
    if (state === undefined) {
      if (surroundings.volume.replication.isFollowing) throw new VolumeError('EFORMAT', 'the volume is a standby, but pair/pair.json is missing in its store; restore it from a backup of the store, or remove .tidemark/standby to make it an ordinary volume');
      return undefined;
    }
    const node = new PairNode(surroundings, state);
    await node.#begin();
    return node;
  }

  /** The node of a volume that is to be a primary. */
  static async make(surroundings: Surroundings, nodeId: string, name: string): Promise<PairNode> {
    const node = new PairNode(surroundings, freshState(nodeId, name, 'primary'));
    await surroundings.volume.settled();
    await surroundings.volume.replication.begin();
    await makeIdentity(surroundings.volume.replication.directory, nodeId);
    node.change({});
    await node.#begin();
    return node;
  }

  private constructor(surroundings: Surroundings, state: PairState) {
    this.surroundings = surroundings;
    this.source = sourceOf(surroundings.volume);
    this.#state = state;
    this.cursors = new Cursors(this, surroundings.volume);
    this.listening = new Listening(this, (link) => this.#serve(link));
    this.sync = new SyncMode(surroundings.volume.native, this, surroundings.volume.external);
  }

  get state(): PairState {
    return this.#state;
  }

  get identity(): Identity {
    if (this.#identity === undefined) throw new VolumeError('ENOENT', 'the certificate of the pair is missing; run "tidemark pair leave" and pair anew');
    return this.#identity;
  }

  /** What changes is on the disk when this returns; a value of undefined takes the key away. */
  change = (change: StateChange): void => {
    this.#state = changed(this.#state, change);
    writeState(this.#directory, this.#state);
    this.sync.configure();
  };

  onDurable(peer: Peer, txid: Txid): void {
    this.cursors.noted(this.state.peers.find(({ node }) => node === peer.node) ?? peer, txid);
    this.sync.durable(txid);
  }

  onSync = (): void => { this.surroundings.onChange(); };
  say = (line: string): void => { this.surroundings.say(line); };

  /** A new key and certificate; peers have to be told by pairing anew. */
  async rotate(): Promise<void> {
    this.#identity = await makeIdentity(this.#directory, this.state.node);
    this.listening.use(this.#identity);
  }

  superseded(terms: readonly Term[], peer: Peer): void {
    if (this.#change.isBusy || this.state.role === 'standby') return;
    this.say(`${peer.name} was promoted in term ${terms.at(-1)?.term ?? 0}: this node becomes its standby`);
    this.change({ knownTerm: terms.at(-1)?.term });
    void this.#change.alone(() => this.#becomeStandby(peer, 'force')).catch((error: unknown) => { this.say(`cannot become a standby yet: ${messageOf(error)}`); });
  }

  handOver(peer: Peer, durable: () => Txid): Promise<Txid> {
    return new Promise((resolve, reject) => {
      // The role changes in the same breath: who asks in between is told to come again.
      const work = this.#change.alone(async () => {
        resolve(await stopChanges(this.surroundings, peer, durable, handOverMs));
        await sleep(handedMs);
        await this.#becomeStandby(peer, 'done');
      });
      work.catch((error: unknown) => {
        this.say(`cannot hand over: ${messageOf(error)}`);
        reject(error);
      });
    });
  }

  /** Makes a standby primary. `way`: 'take-over' when the primary cannot be asked. `at`: with the tree of this earlier moment. Throws VolumeError. */
  async promote(way: 'controlled' | 'take-over', at?: Txid): Promise<void> {
    const { receiver, state } = this;
    if (state.role === 'primary') throw new VolumeError('EINVAL', 'this node is primary already');
    if (state.phase !== 'following' || receiver === undefined) throw new VolumeError('EBUSY', 'the tree is being compared with the primary\'s; there is nothing whole to be primary with until that is over');
    await this.#change.alone(async () => {
      if (way === 'controlled') await askForHandOver(receiver, handOverMs);
      await receiver.finish();
      this.receiver = undefined;
      const position = await positionIn(this.state, this.source);
      const after = position?.txid ?? 0n;
      const term = { term: Math.max(state.terms.at(-1)?.term ?? 0, this.state.knownTerm ?? 0) + 1, after, node: state.node };
      this.change({ role: 'primary', terms: [...state.terms, term], phase: undefined, primary: undefined, rewound: undefined, isPaused: false, goBackTo: at === undefined ? undefined : String(at) });
      await this.#becomePrimary();
    });
  }

  pause(isPaused: boolean): void {
    this.change({ isPaused });
    this.receiver?.order(isPaused ? 'pause' : 'resume');
  }

  /** Forgets the pair: the volume is one of its own again. Throws VolumeError. */
  async leave(): Promise<void> {
    const { volume, setReadOnly } = this.surroundings;
    if (this.state.phase !== undefined && this.state.phase !== 'following') throw new VolumeError('EBUSY', 'the initial sync is not over, so there is nothing whole to go on with; unmount and remove the directory with its .tidemark');
    await this.#change.alone(async () => {
      await this.receiver?.finish();
      await this.close();
      if (volume.replication.isFollowing) volume.replication.lead((volume.replication.ended + 1n) as Txid);
      rmSync(this.#directory, { recursive: true, force: true });
      await setReadOnly(false);
    });
  }

  /** A standby is none any more: by its number, or its name where only one has it. Throws VolumeError. */
  forget(which: string): void {
    const peer = peerCalled(this.state, which);
    for (const { peer: { node }, link } of this.served) if (node === peer.node) link.close();
    this.cursors.forget(peer);
    this.change({ peers: this.state.peers.filter(({ node }) => node !== peer.node) });
  }

  /** Lets go of the mount, so that it can be unmounted. */
  async letGo(): Promise<void> {
    this.sync.suspend();
    await this.receiver?.stop();
    this.receiver = undefined;
  }

  /** Goes on after `letGo`, by the settings of now. */
  goOn(): void {
    this.sync.resume();
    if (this.state.role === 'standby' && this.receiver === undefined) this.#receive();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.cursors.end();
    this.listening.close();
    await this.packs.close();
    await this.letGo();
  }

  get #directory(): string {
    return this.surroundings.volume.replication.directory;
  }

  async #begin(): Promise<void> {
    this.#identity = readIdentity(this.#directory);
    this.sync.configure();
    await this.listening.again();
    if (this.state.role === 'standby') {
      if (!this.surroundings.volume.replication.isFollowing) this.surroundings.volume.replication.follow();
      await this.surroundings.setReadOnly(true);
      this.surroundings.volume.native.releaseChanges();
      this.#receive();
    } else {
      if (this.surroundings.volume.replication.isFollowing) {
        await this.#becomePrimary();
        this.surroundings.volume.native.releaseChanges();
      }
      this.#lookAround();
    }
  }

  async #serve(link: Parameters<typeof serve>[0]): Promise<void> {
    let mine: Served | undefined;
    try {
      await serve(link, this, (served) => {
        for (const other of this.served) if (other.peer.node === served.peer.node) other.link.close();
        this.served.add(mine = served);
      });
    } finally {
      if (mine !== undefined) {
        this.served.delete(mine);
        this.cursors.left(mine.peer);
      }
    }
  }

  async #becomePrimary(): Promise<void> {
    const { replication } = this.surroundings.volume;
    await finishPromotion(this, async () => { await this.#newReceiver().finish(); });
    replication.lead((firstTransaction(this.state) + 1n) as Txid);
    await this.surroundings.setReadOnly(false);
    this.say(`this node is primary now, in term ${this.state.terms.at(-1)?.term ?? 1}`);
    this.#lookAround();
  }

  /** 'force': changes are made to wait until nobody has a file open for writing. */
  async #becomeStandby(peer: Peer, way: 'force' | 'done'): Promise<void> {
    if (way === 'force') await untilReadOnly(this.surroundings, () => !this.#isClosed);
    await this.source.settled();
    for (const { link } of this.served) link.close();
    this.cursors.end();
    this.change({ role: 'standby', primary: peer.node, phase: 'following', isPaused: false });
    this.surroundings.volume.replication.follow();
    this.#receive();
  }

  #receive(): void {
    if (!this.#isClosed) this.receiver = this.#newReceiver();
  }

  #newReceiver(): ReceiverProcess {
    const { surroundings } = this;
    return new ReceiverProcess({
      replication: surroundings.volume.replication,
      orders: () => ordersFor(this.state, surroundings),
      events: {
        position: () => positionIn(this.state, this.source),
        onTerms: (terms, begun) => { this.#noteTerms(terms, begun); },
        onCatchUp: () => { this.change({ phase: 'catching-up' }); },
        onDiverged: (common) => { void this.#diverged(common).catch((error: unknown) => { this.say(`cannot rewind: ${messageOf(error)}`); }); },
        onRunning: (pid) => { surroundings.onReceiver(pid); },
        say: this.say,
      },
    });
  }

  #noteTerms(terms: readonly Term[], begun: boolean): void {
    const isKnown = JSON.stringify(terms.map(({ term }) => term)) === JSON.stringify(this.state.terms.map(({ term }) => term));
    if (isKnown && (!begun || this.state.phase === 'following')) return;
    this.change({ terms, knownTerm: undefined, ...(begun ? { phase: 'following', isSeeded: undefined } : {}) });
  }

  async #diverged(common: bigint): Promise<void> {
    await this.#change.alone(async () => {
      await this.receiver?.stop();
      await rewind({ volume: this.surroundings.volume, source: this.source, store: this.surroundings.store, node: this.state.node, common: common as Txid, say: this.say, note: (rewound) => { this.change({ rewound }); } });
      this.#receive();
    });
  }

  #lookAround(): void {
    this.cursors.begin();
    void lookAround(this, () => !this.#isClosed && this.state.role === 'primary');
  }
}
