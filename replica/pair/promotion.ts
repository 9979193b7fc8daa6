/**
 * What makes a standby's history a primary's: the first transaction of its term, which says who was promoted and when, and changes nothing, or takes the tree back to an earlier moment. In: the state as promoted. Out: that
 * transaction, durably.
 *
 * Invariants:
 * 1. Done again after a crash it makes the transaction once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VolumeError } from '../../engine/index.js';
import type { Transaction, Txid } from '../../engine/index.js';
import { firstOfTerm } from './position.js';
import type { ReceiverProcess } from './receiver-process.js';
import type { PairState, Peer } from './state.js';
import type { Source } from './source.js';
import type { Surroundings } from './surroundings.js';
import { spoolWayBack } from './way-back.js';

/** The node that was promoted. */
export interface Promoted {
  readonly state: PairState;
  readonly source: Source;
  readonly surroundings: Surroundings;
}

/** Later than what a returning primary puts before it. */
const laterNs = 1_000n;

/** The first txid of the present term. */
export function firstTransaction(state: PairState): bigint {
  return firstOfTerm(state.terms.at(-1)?.term ?? 1);
}

/** `apply`: resolves when what is in the spool has been applied. Throws VolumeError when the tree cannot go back to where it was told to; the next mount tries again. */
export async function finishPromotion({ state, source, surroundings: { volume, store } }: Promoted, apply: () => Promise<void>): Promise<void> {
  const { replication } = volume;
  const first = firstTransaction(state) as Txid;
  const last = await volume.settled();
  if (last.txid >= first) return;
  const now = BigInt(Date.now()) * 1_000_000n;
  const timeNs = now > last.timeNs + laterNs ? now : last.timeNs + laterNs;
  const transaction: Transaction = { txid: first, timeNs, uid: 0, gid: 0, pid: process.pid, command: 'tidemark', reason: 'name', external: false, recovered: false, quiescent: true };
  if (state.goBackTo === undefined) {
    await replication.openTransaction(first);
    await replication.endTransaction(transaction);
  } else {
    await spoolWayBack({ source, store, from: last.txid, to: BigInt(state.goBackTo) as Txid, transaction });
    await apply();
    if ((await volume.settled()).txid < first) throw new VolumeError('EIO', `the tree could not go back to transaction ${state.goBackTo}, and nobody can write; the log says why. Unmount and mount to try again`);
  }
  await replication.makeDurable();
}

/** The primary takes no more changes; resolves with its last transaction when the standby has it, durably. Throws VolumeError; then changes are taken as before. */
export async function stopChanges({ volume, setReadOnly }: Surroundings, peer: Peer, durable: () => Txid, limitMs: number): Promise<Txid> {
  if (peer.address === undefined) throw new VolumeError('EINVAL', `nobody knows where ${peer.name} listens; join it anew`);
  await setReadOnly(true);
  try {
    const { txid } = await volume.settled();
    for (const began = performance.now(); durable() < txid; await sleep(10)) {
      if (performance.now() - began > limitMs) throw new VolumeError('EBUSY', `the standby has not caught up within ${limitMs / 1000} s; try again when its lag is small`);
    }
    return txid;
  } catch (error) {
    await setReadOnly(false);
    throw error;
  }
}

/** Asks the primary to hand over; when this resolves it changes nothing any more, and all it has is here. Throws VolumeError. */
export async function askForHandOver(receiver: ReceiverProcess, limitMs: number): Promise<void> {
  if (receiver.status?.link !== 'following') {
    throw new VolumeError('EBUSY', 'the primary cannot be asked to hand over; if it is gone for good, or must not wait: "tidemark pair promote --takeover"');
  }
  const answer = await Promise.race([receiver.handOver(), sleep(limitMs * 1.5, 'the primary does not answer', { ref: false })]);
  if (typeof answer === 'string') throw new VolumeError('EBUSY', `the primary did not hand over: ${answer}`);
}
