/** How a node of a pair stands, in the words of requests.ts. In: the node. Out: roles, positions, lag, the oldest change that a standby lacks. */
import type { Txid } from '../../engine/index.js';
import { formatAddress } from '../../replica/pair/invitation.js';
import type { PairNode } from '../../replica/pair/node.js';
import { bytesOf } from '../../replica/pair/sender.js';
import type { Peer } from '../../replica/pair/state.js';
import { toWire } from '../wire.js';
import type { OldestChange, PairStanding, StandbyItem } from './requests.js';

/** More transactions than this are not counted one by one. */
const countedMax = 100_000;
/** Of no more transactions it is looked up what they wrote. */
const weighedMax = 2_000;

export async function standing(node: PairNode): Promise<PairStanding> {
  const { state, receiver, source } = node;
  // What is open ends: what was changed before the question is in the answer, and counts as lag until the standby has it.
  const last = await source.settled();
  const primary = state.peers.find((peer) => peer.node === state.primary);
  const standbys = state.role === 'primary' ? await Promise.all(state.peers.map((peer) => standbyItem(node, peer))) : [];
  const { link = 'connecting', why, files = 0, bytes = 0, pending = 0, durable } = receiver?.status ?? {};
  return {
    role: state.role, node: state.node, name: state.name, term: state.terms.at(-1)?.term ?? 0, txid: String(last.txid), timeNs: String(last.timeNs),
    ...(state.listen === undefined ? {} : { listen: formatAddress(state.listen) }),
    mode: state.mode, sync: node.sync.standing, whenGone: state.whenGone, patienceMs: state.patienceMs, isPaused: state.isPaused, limitRate: state.limitRate, pinBudget: state.pinBudget, alarmLagMs: state.alarmLagMs, readDelayMs: state.readDelayMs, compresses: state.compresses, standbys,
    ...(primary === undefined ? {} : {
      primary: {
        node: primary.node, name: primary.name, link, files, bytes, pending,
        ...(primary.address === undefined ? {} : { address: formatAddress(primary.address) }), ...(why === undefined ? {} : { why }),
        ...(durable === undefined ? {} : { durable: String(durable) }),
      },
    }),
  };
}

async function standbyItem(node: PairNode, peer: Peer): Promise<StandbyItem> {
  const served = [...node.served].find((one) => one.peer.node === peer.node);
  const known = { node: peer.node, name: peer.name, ...(peer.address === undefined ? {} : { address: formatAddress(peer.address) }) };
  const durable = node.cursors.durableOf(peer);
  const lag = durable === undefined ? {} : { durable: String(durable), ...await lagOf(node, durable) };
  if (served === undefined) return { ...known, isConnected: false, ...lag, ...(peer.isGivenUp === true ? { isGivenUp: true } : {}) };
  const { sender, link, sinceMs } = served;
  const connected = { ...known, isConnected: true, sinceMs, sentBytes: link.sent };
  if (sender === undefined) return { ...connected, phase: 'initial sync' };
  return { ...connected, phase: 'following', applied: String(sender.applied), rate: sender.rate, ...lag };
}

async function lagOf({ source, surroundings }: PairNode, durable: Txid): Promise<Pick<StandbyItem, 'lagTransactions' | 'lagSeconds' | 'lagBytes' | 'oldest'>> {
  const missing = source.after(durable, countedMax);
  const [first] = missing;
  if (first === undefined) return { lagTransactions: 0, lagSeconds: 0, lagBytes: 0 };
  const isShort = missing.length <= weighedMax && source.transaction(durable) !== undefined;
  const bytes = isShort ? { lagBytes: bytesOf(await source.step(durable, missing.at(-1)!.txid)) } : {};
  const [change] = await surroundings.volume.changesOf(first.txid);
  const oldest: OldestChange = { txid: String(first.txid), timeNs: String(first.timeNs), command: first.command, ...(change === undefined ? {} : { path: toWire(change.path) }) };
  return { lagTransactions: missing.length, lagSeconds: Math.max(0, (Date.now() - Number(first.timeNs / 1_000_000n)) / 1000), ...bytes, oldest };
}
