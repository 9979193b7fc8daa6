/**
 * Redeems an invitation: makes this node's certificate, shows the token to the node that invited, and notes both as peers. In: the line, the store to be. Out: a store that
 * follows, as soon as it is mounted.
 *
 * Invariants:
 * 1. The token is said to nobody but who shows the certificate that the line names.
 * 2. The store follows only when the other node knows this one.
 */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { VolumeError, syncDirectory } from '../../engine/index.js';
import { encodeJson, frameType } from './frame.js';
import { makeIdentity, newNode } from './identity.js';
import { decodeInvitation, defaultPort } from './invitation.js';
import { dial } from './link.js';
import { protocolVersion, readMessage, refusedSchema, welcomeSchema } from './messages.js';
import type { Hello } from './messages.js';
import { freshState, readTerms, writeState } from './state.js';
import type { Address } from './state.js';

export interface JoinOptions {
  /** The store (`.tidemark`) of the directory that is to follow. */
  readonly store: string;
  readonly volume: string;
  readonly line: string;
  readonly name: string;
  /** Where this node will listen. Default: at the address from which it reaches the other node. */
  readonly listen?: Address;
  readonly isSeeded: boolean;
}

/** Throws VolumeError with the remedy. */
export async function redeem({ store, volume, line, name, isSeeded, ...wanted }: JoinOptions): Promise<{ primaryName: string }> {
  const invitation = decodeInvitation(line);
  if (invitation.volume === volume) throw new VolumeError('EINVAL', 'this is the volume that the invitation is for; join with another directory, on the other node');
  const directory = join(store, 'pair');
  const node = newNode();
  const identity = await makeIdentity(directory, node);
  const link = await dial(invitation.address, identity, invitation.fingerprint);
  const listen = wanted.listen ?? { host: link.localHost, port: defaultPort };
  const hello: Hello = { protocol: protocolVersion, node, name, role: 'standby', terms: [], purpose: 'join', volume, token: invitation.token, port: listen.port };
  await link.send(encodeJson(frameType.hello, hello));
  const answer = await link.receive();
  if (answer?.type === frameType.refused) throw new VolumeError('EACCES', readMessage(refusedSchema, answer).message);
  if (answer?.type !== frameType.welcome) throw new VolumeError('EIO', 'the other node did not answer as it should; both need the same version of tidemark');
  const welcome = readMessage(welcomeSchema, answer);
  link.close();
  writeState(directory, {
    ...freshState(node, name, 'standby'), terms: readTerms(welcome.terms), listen, primary: welcome.node, phase: 'initial', isSeeded,
    peers: [{ node: welcome.node, name: welcome.name, fingerprint: invitation.fingerprint, address: invitation.address }],
  });
  writeFileSync(join(store, 'standby'), '');
  syncDirectory(store);
  return { primaryName: welcome.name };
}
