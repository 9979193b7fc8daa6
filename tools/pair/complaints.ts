/**
 * What the alarms have to tell of a node of a pair. In: the node, the time. Out: lines.
 *
 * Invariants:
 * 1. A standby that lacks nothing is no reason to complain, whether it is there or not.
 */
import type { PairNode } from '../../replica/pair/node.js';

export function complaintsOf(node: PairNode, nowMs: number): string[] {
  const complaints: string[] = [];
  if (node.sync.standing === 'alone') complaints.push('no standby answers: in spite of the mode sync this node goes on alone, and what is synced is on this node only');
  if (node.sync.standing === 'stopped') complaints.push('no standby answers: writes have stopped until one is back');
  if (node.state.role === 'primary') complaints.push(...lagsOf(node, nowMs));
  return complaints;
}

function lagsOf({ source, cursors, state: { peers, alarmLagMs } }: PairNode, nowMs: number): string[] {
  return peers.flatMap((peer) => {
    const durable = cursors.durableOf(peer);
    const [oldest] = durable === undefined ? [] : source.after(durable, 1);
    const lagMs = oldest === undefined ? 0 : nowMs - Number(oldest.timeNs / 1_000_000n);
    return lagMs > alarmLagMs ? [`${peer.name} is ${Math.round(lagMs / 1000)} s behind`] : [];
  });
}
