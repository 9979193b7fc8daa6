/**
 * Asks a peer, past the connection over which one follows the other: whether it was promoted while this node could not hear of it; what it holds. In: a peer, this node's terms. Out: the peer's terms, if
 * they go further; how the two compare.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VolumeError } from '../../engine/index.js';
import { compareNodes } from './comparing.js';
import type { Comparison } from './comparing.js';
import { encodeJson, frameType } from './frame.js';
import type { Identity } from './identity.js';
import { dial } from './link.js';
import { protocolVersion, readMessage, refusedSchema } from './messages.js';
import type { Hello } from './messages.js';
import type { Term } from './position.js';
import type { Host, Served } from './serving.js';
import { readTerms, writeTerms } from './state.js';
import type { PairState, Peer } from './state.js';

const lookEveryMs = 3_000;

/** A primary that nobody follows asks whether somebody was promoted meanwhile, as long as `isWanted`. */
export async function lookAround(host: Host & { readonly identity: Identity; readonly served: ReadonlySet<Served> }, isWanted: () => boolean): Promise<void> {
  for (; isWanted(); await sleep(lookEveryMs, undefined, { ref: false })) {
    for (const peer of host.state.peers) {
      if (peer.address === undefined || [...host.served].some((served) => served.peer.node === peer.node)) continue;
      const terms = await look(peer, host.identity, host.state, host.source.volume).catch(() => undefined);
      if (terms !== undefined) host.superseded(terms, peer);
    }
  }
}

/** Asks a peer for what it holds and compares. Throws VolumeError when it cannot be asked. */
export async function compareWith(host: Pick<Host, 'state' | 'source'> & { readonly identity: Identity }, peer: Peer, momentsMost: number): Promise<Comparison> {
  if (peer.address === undefined) throw new VolumeError('EINVAL', `nobody knows where ${peer.name} listens; join it anew`);
  const link = await dial(peer.address, host.identity, peer.fingerprint);
  try {
    await link.send(encodeJson(frameType.hello, helloOf(host.state, host.source.volume, 'compare')));
    const answer = await link.receive();
    if (answer?.type === frameType.refused) throw new VolumeError('EACCES', `${peer.name}: ${readMessage(refusedSchema, answer).message}`);
    if (answer?.type !== frameType.welcome) throw new VolumeError('EIO', `${peer.name} did not answer as it should; both nodes need the same version of tidemark`);
    return await compareNodes(host.source, link, momentsMost);
  } finally {
    link.close();
  }
}

function helloOf(state: PairState, volume: string, purpose: Hello['purpose']): Hello {
  return {
    protocol: protocolVersion, node: state.node, name: state.name, role: state.role, terms: writeTerms(state.terms), purpose, volume,
    ...(state.listen === undefined ? {} : { port: state.listen.port }),
  };
}

/** Undefined when it was not. Throws when the peer cannot be reached. */
async function look(peer: Peer, identity: Identity, state: PairState, volume: string): Promise<Term[] | undefined> {
  const link = await dial(peer.address!, identity, peer.fingerprint);
  try {
    await link.send(encodeJson(frameType.hello, helloOf(state, volume, 'look')));
    const answer = await link.receive();
    if (answer?.type !== frameType.refused) return undefined;
    const { code, terms } = readMessage(refusedSchema, answer);
    return code === 'superseded' && terms !== undefined ? readTerms(terms) : undefined;
  } finally {
    link.close();
  }
}
