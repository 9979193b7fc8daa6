/**
 * The primary's side of one connection: finds out who calls and what he may have, then sends him what he lacks. In: a link, the node. Out: a standby that follows, or a
 * refusal with its reason.
 *
 * Invariants:
 * 1. Who is not a peer gets nothing, and is told nothing but that; a token is good once.
 * 2. Nothing is sent before the two histories have been compared.
 */
import { messageOf } from '../../engine/index.js';
import type { Transaction, Txid } from '../../engine/index.js';
import type { Channel } from './channel.js';
import type { Clock } from './clock.js';
import { FrameError, encodeJson, frameType } from './frame.js';
import type { Frame } from './frame.js';
import { hashOf } from './identity.js';
import { acknowledgedSchema, helloSchema, readMessage } from './messages.js';
import type { Hello, Refused, Welcome } from './messages.js';
import type { PackPool } from './pack-pool.js';
import { checksumOf, compare } from './position.js';
import type { Term } from './position.js';
import { answerComparison, answerQuestion } from './questions.js';
import { Sender, farBehind } from './sender.js';
import type { SenderOptions } from './sender.js';
import type { Source } from './source.js';
import { readTerms, writeTerms } from './state.js';
import type { PairState, Peer } from './state.js';

const helloMs = 10_000;

/** What a connection needs of the node that it came to. */
export interface Host {
  readonly source: Source;
  readonly clock: Clock;
  readonly state: PairState;
  change(change: Partial<PairState>): void;
  /** Another node was promoted in a later term. */
  superseded(terms: readonly Term[], peer: Peer): void;
  /** Makes the volume read-only; resolves with the last transaction when the standby has it durably. */
  handOver(peer: Peer, durable: () => Txid): Promise<Txid>;
  /** Moments that initial syncs of peers began with. */
  readonly bases: Map<string, Txid>;
  say(line: string): void;
  /** A standby has everything up to here on its disk. */
  onDurable?(peer: Peer, txid: Txid): void;
  readonly packs?: PackPool;
  /** Instead of the sender's own. */
  readonly farBehind?: number;
}

export interface Served {
  readonly peer: Peer;
  readonly link: Channel;
  sender?: Sender;
  readonly sinceMs: number;
}

/** Until the connection ends. `onServed`: a peer has been recognized. */
export async function serve(link: Channel, host: Host, onServed: (served: Served) => void): Promise<void> {
  try {
    const first = await Promise.race([link.receive(), host.clock.wait(helloMs).then(() => undefined)]);
    if (first === undefined) return link.close();
    if (first.type !== frameType.hello) throw new FrameError('the connection did not begin with HELLO');
    const hello = readMessage(helloSchema, first);
    const answer = judge(link, host, hello);
    if ('code' in answer) return link.close(encodeJson(frameType.refused, answer));
    if (hello.purpose === 'compare') {
      await link.send(encodeJson(frameType.welcome, welcome(host, 'none')));
      return await answerComparison(host.source, link);
    }
    if (hello.purpose !== 'follow') return link.close(encodeJson(frameType.welcome, welcome(host, 'none')));
    await follow(link, host, hello, answer, onServed);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    host.say(`${link.remoteHost}: ${error.message}`);
    link.close(encodeJson(frameType.refused, { code: 'version', message: error.message } satisfies Refused));
  }
}

/** Who calls, or why he is sent away. */
function judge(link: Channel, host: Host, hello: Hello): Peer | Refused {
  const { fingerprint } = link;
  if (fingerprint === undefined) return { code: 'unknown', message: 'a certificate is needed' };
  if (!link.isValid) return { code: 'unknown', message: 'your certificate has expired; run "tidemark pair rotate" on your node' };
  if (hello.purpose === 'join') return redeem(link, host, hello, fingerprint);
  const peer = host.state.peers.find((known) => known.fingerprint === fingerprint && known.node === hello.node);
  if (peer === undefined) return { code: 'unknown', message: 'this node is not paired with yours; run "tidemark pair invite" here and join anew' };
  noteAddress(link, host, hello, peer);
  if (hello.purpose === 'compare') return peer;
  const [mine, theirs] = [lastTerm(host.state.terms), lastTerm(readTerms(hello.terms))];
  const terms = writeTerms(host.state.terms);
  if (host.state.role !== 'primary') return { code: 'not-primary', message: 'this node is a standby itself', terms };
  if (theirs > mine) {
    host.superseded(readTerms(hello.terms), peer);
    return { code: 'not-primary', message: 'this node becomes a standby of yours', terms };
  }
  if (hello.role !== 'primary') return peer;
  if (theirs < mine) return { code: 'superseded', message: 'this node was promoted since', terms };
  return { code: 'conflict', message: 'both nodes are primary in the same term; run "tidemark pair leave" on one of them and pair anew', terms };
}

function redeem(link: Channel, host: Host, hello: Hello, fingerprint: string): Peer | Refused {
  const hash = hashOf(hello.token ?? '');
  const invitation = host.state.invitations.find(({ tokenHash }) => tokenHash === hash);
  if (invitation === undefined || invitation.untilMs < Date.now()) return { code: 'token', message: 'the invitation has been used, or is too old; run "tidemark pair invite" again' };
  const peer: Peer = { node: hello.node, name: hello.name, fingerprint, ...(hello.port === undefined ? {} : { address: { host: link.remoteHost, port: hello.port } }) };
  const peers = [...host.state.peers.filter(({ node }) => node !== peer.node), peer];
  host.change({ invitations: host.state.invitations.filter((other) => other !== invitation), peers });
  host.say(`paired with ${peer.name} (${peer.node}) at ${link.remoteHost}`);
  return peer;
}

function noteAddress(link: Channel, host: Host, { port }: Hello, peer: Peer): void {
  if (port === undefined || (peer.address?.host === link.remoteHost && peer.address.port === port)) return;
  host.change({ peers: host.state.peers.map((known) => known.node === peer.node ? { ...known, address: { host: link.remoteHost, port } } : known) });
}

async function follow(link: Channel, host: Host, hello: Hello, peer: Peer, onServed: (served: Served) => void): Promise<void> {
  const { source } = host;
  const holder = {};
  const served: Served = { peer, link, sinceMs: Date.now() };
  try {
    const compared = async (history: 'initial' | 'behind'): Promise<void> => {
      const base = await initialBase(host, hello, peer);
      source.hold(holder, base.txid);
      await link.send(encodeJson(frameType.welcome, { ...welcome(host, history), base: wire(base), root: String(source.rootId) } satisfies Welcome));
      onServed(served);
      await converse(link, host, served, base.txid, undefined);
    };
    if (hello.position === undefined) return await compared('initial');
    const txid = BigInt(hello.position.txid) as Txid;
    await source.caughtUp();
    const checksumAt = (asked: bigint): number | undefined => {
      const transaction = source.transaction(asked as Txid);
      return transaction === undefined ? undefined : checksumOf(transaction);
    };
    const verdict = compare(host.state.terms, readTerms(hello.terms), { txid, checksum: hello.position.checksum }, checksumAt, source.ended);
    if (verdict.kind === 'conflict') return link.close(encodeJson(frameType.refused, { code: 'conflict', message: verdict.what } satisfies Refused));
    if (verdict.kind === 'behind') return await compared('behind');
    if (verdict.kind === 'diverged') return link.close(encodeJson(frameType.welcome, { ...welcome(host, 'diverged'), common: String(verdict.common) } satisfies Welcome));
    host.bases.delete(peer.node);
    source.hold(peer.node, undefined);
    await link.send(encodeJson(frameType.welcome, welcome(host, 'follows')));
    onServed(served);
    await converse(link, host, served, undefined, { from: txid, above: BigInt(hello.above ?? 0) as Txid });
  } finally {
    source.hold(holder, undefined);
    link.close();
  }
}

/** The moment that an initial sync is of: the one it began with, as long as that is kept. */
async function initialBase({ source, bases }: Host, hello: Hello, peer: Peer): Promise<Transaction> {
  const last = await source.settled();
  const begun = hello.base === undefined ? undefined : BigInt(hello.base);
  const known = begun !== undefined && bases.get(peer.node) === begun ? source.transaction(begun as Txid) : undefined;
  const base = known ?? last;
  bases.set(peer.node, base.txid);
  source.hold(peer.node, base.txid);
  return base;
}

/** Where sending begins. */
type Begin = Pick<SenderOptions, 'from' | 'above'>;

/** Questions of an initial sync until it is over; then moments. */
async function converse(link: Channel, host: Host, served: Served, base: Txid | undefined, position: Begin | undefined): Promise<void> {
  let sending: Promise<void> | undefined;
  const begin = ({ from, above }: Begin): void => {
    const sender = new Sender({
      source: host.source, clock: host.clock, outlet: link, from, above,
      limitRate: () => host.state.limitRate, isPaused: () => host.state.isPaused,
      onDurable: (txid) => { host.onDurable?.(served.peer, txid); }, farBehind: host.farBehind ?? farBehind,
      ...(host.packs === undefined ? {} : { packs: host.packs }),
    });
    served.sender = sender;
    host.onDurable?.(served.peer, from);
    sending = sender.run().catch((error: unknown) => {
      if (link.isOpen) host.say(`${served.peer.name}: cannot be sent to: ${messageOf(error)}`);
      link.close();
    });
  };
  if (position !== undefined) begin(position);
  for (let frame = await link.receive(); frame !== undefined; frame = await link.receive()) {
    if (base !== undefined && await answerQuestion(host.source, base, frame, (answer) => link.send(answer))) continue;
    const { sender } = served;
    if (frame.type === frameType.acknowledged && sender === undefined) begin({ from: checked(frame, base), above: 0n as Txid });
    else if (frame.type === frameType.acknowledged) sender!.acknowledge(txidOf(frame));
    else if (frame.type === frameType.applied) sender?.shown(txidOf(frame));
    else if (frame.type === frameType.handOver && sender !== undefined) void handOver(link, host, served.peer, sender);
    else throw new FrameError(`a frame of type ${frame.type} is not expected here`);
  }
  await sending;
}

async function handOver(link: Channel, host: Host, peer: Peer, sender: Sender): Promise<void> {
  try {
    const txid = await host.handOver(peer, () => sender.durable);
    await link.send(encodeJson(frameType.handed, { txid: String(txid) }));
  } catch (error) {
    await link.send(encodeJson(frameType.handed, { message: messageOf(error) })).catch(() => undefined);
  }
}

function checked(frame: Frame, base: Txid | undefined): Txid {
  const txid = txidOf(frame);
  if (txid !== base) throw new FrameError('an initial sync ended with a moment that it did not begin with');
  return txid;
}

function txidOf(frame: Frame): Txid {
  return BigInt(readMessage(acknowledgedSchema, frame).txid) as Txid;
}

function welcome({ state }: Host, history: Welcome['history']): Welcome {
  return { node: state.node, name: state.name, role: state.role, terms: writeTerms(state.terms), history };
}

function wire({ txid, timeNs, ...rest }: Transaction): NonNullable<Welcome['base']> {
  return { ...rest, from: '0', txid: String(txid), timeNs: String(timeNs) };
}

function lastTerm(terms: readonly Term[]): number {
  return terms.at(-1)?.term ?? 0;
}
