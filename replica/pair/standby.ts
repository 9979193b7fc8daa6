/**
 * What a standby tells its receiver, and where its history stands as its primary counts. In: the node's state, the volume. Out: orders, a position.
 *
 * Invariants:
 * 1. A standby has no position before its first whole moment.
 */
import { VolumeError } from '../../engine/index.js';
import { positionOf } from './position.js';
import type { Orders, PositionAnswer } from './receiver/ipc.js';
import type { Source } from './source.js';
import type { PairState } from './state.js';
import type { Surroundings } from './surroundings.js';

/** Of a node that is being promoted: to apply what it has, and no more. Throws VolumeError when nobody knows where the primary is. */
export async function ordersFor(state: PairState, { mount, store, volume }: Surroundings): Promise<Orders> {
  const { mountpoint, flags } = await mount();
  const primary = state.peers.find(({ node }) => node === state.primary);
  const common = { mountpoint, mountFlags: flags, directory: `${store}/pair`, volume: volume.id, state, isSeeded: state.isSeeded === true };
  if (state.role === 'primary') return common;
  if (primary?.address === undefined) throw new VolumeError('EINVAL', 'nobody knows where the primary listens; join anew');
  return { ...common, primary: { node: primary.node, fingerprint: primary.fingerprint, address: primary.address } };
}

/** After a rewind the own last transaction stands for one of the primary's. */
export async function positionIn({ rewound, phase }: PairState, source: Source): Promise<PositionAnswer | undefined> {
  if (phase === 'initial') return undefined;
  const last = await source.settled();
  if (rewound !== undefined && BigInt(rewound.own) === last.txid) return { own: last.txid, txid: BigInt(rewound.txid), checksum: rewound.checksum };
  return { own: last.txid, ...positionOf(last) };
}
