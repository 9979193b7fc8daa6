/**
 * Whether a snapshot reads, after a power cut, as it did before. In: what a lane's witness knows, how far it had come. Out: complaints.
 *
 * What the promise is (docs/ARCHITECTURE.md, What each return means). Let s be the snapshot's last operation in the lane; `logged` the last operation
 * of which every record is on the disk: fsync promises that for the pre-images of what it synced, and the log is a row of which a prefix survives. Then:
 * 1. Bytes are those of s. Where the file was not synced as it was at s (by the last operation up to s, or by any sync behind it), each byte is that
 *    of s or of an earlier version since its last sync: what was never promised may be lost, from the past as from the present. Never is it a later one.
 * 2. A name leads to what it led to at s. Where the directory was not synced since, it may lead to what it led to at an earlier moment since the last sync.
 * 3. What operations behind `logged` (and behind s) did to names, sizes and times may show, "up to an interval too new": then a name may lead to what
 *    it led to later, and a file that was changed may have a tail and other attributes. But not what waited for the log (renames and changes
 *    of modes, of files that had been synced), and not that such a file lost its last name, which it takes along.
 *    Where every change waits for the log (--history=exact), nothing of this may show, nor may the moments of rule 6.
 * 4. Otherwise mode, size and mtime are those of s, of each file and directory that had been synced (fully) by s since it was last changed.
 * 5. There is nothing else.
 * 6. A moment whose transaction has no END on the disk is an earlier one, or has become one: it can be read, and shows nothing that never was.
 */
import { contentFault } from './trees.js';
import type { Found, Tree } from './trees.js';
import { directoryOf, lastSync, nodeOf, statesBetween, targetsBetween } from './witness.js';
import type { LaneWitness, Node, Reach, SnapshotWitness, Sync } from './witness.js';

interface Past {
  readonly lane: LaneWitness;
  readonly snapshot: SnapshotWitness;
  readonly reach: Reach;
}

/** `found`: what the snapshot shows. */
export function checkPast(lane: LaneWitness, snapshot: SnapshotWitness, reach: Reach, found: Tree): string[] {
  const past = { lane, snapshot, reach };
  const complaints: string[] = [];
  for (const path of lane.names.keys()) {
    const fault = nameFault(past, path, found.get(path));
    if (fault !== undefined) complaints.push(`@txn-${snapshot.txid}/${lane.directory}/${path} ${fault}`);
  }
  for (const path of found.keys()) {
    if (!lane.names.has(path)) complaints.push(`@txn-${snapshot.txid}/${lane.directory}/${path} was never made`);
  }
  return complaints;
}

/** A snapshot whose transaction is not in the log any more: what its time leads to. */
export function checkLostMoment(lane: LaneWitness, { txid }: SnapshotWitness, reach: Reach, found: Tree): string[] {
  const complaints: string[] = [];
  for (const [path, entry] of found) {
    const nodes = targetsBetween(lane, path, 0, reach.begun).filter((id) => id !== undefined).map((id) => nodeOf(lane, id));
    if (nodes.every((node) => everFault(node, reach, entry) !== undefined)) complaints.push(`${lane.directory}/${path} at the time of lost transaction ${txid} is nothing that was ever there`);
  }
  return complaints;
}

function nameFault(past: Past, path: string, found: Found | undefined): string | undefined {
  const { lane, snapshot, reach } = past;
  const syncs = lane.directorySyncs.get(directoryOf(path)) ?? [];
  const then = targetsBetween(lane, path, promised(syncs, snapshot.op, reach), snapshot.op);
  const later = changedNames(past, path);
  if (found === undefined) return [...then, ...later].includes(undefined) ? undefined : 'is gone';
  const fitting = then.map((id) => (id === undefined ? 'was not there' : thenFault(past, path, nodeOf(lane, id), found)));
  if (fitting.includes(undefined)) return undefined;
  if (later.some((id) => id !== undefined && everFault(nodeOf(lane, id), reach, found) === undefined)) return undefined;
  return fitting.join(', and ');
}

/** What a name led to after operations whose records may be lost. */
function changedNames({ lane, snapshot, reach }: Past, path: string): (number | undefined)[] {
  const from = Math.max(snapshot.op, reach.logged);
  return (lane.names.get(path) ?? []).filter(({ op, waited }) => op > from && op <= reach.begun && !waited).map(({ node }) => node);
}

/** What keeps the found from being the node as it was. */
function thenFault(past: Past, path: string, node: Node, found: Found): string | undefined {
  const { lane, snapshot, reach } = past;
  if (node.kind !== found.kind) return `is a ${found.kind}`;
  const logged = Math.max(snapshot.op, reach.logged);
  if (node.kind === 'directory') return isSettledDirectory(lane, path, snapshot.op, { ...reach, logged }) ? attributesFault(past, path, found) : undefined;
  const mayBeNew = hasChanged(lane, node, logged, reach.begun);
  const versions = statesBetween(node.versions, promised(node.syncs, snapshot.op, reach), snapshot.op).map(({ bytes }) => bytes);
  const fault = contentFault(found.bytes, { versions, mayBeLonger: mayBeNew });
  if (fault !== undefined) return fault;
  if (!isSettled(lane, node, path, snapshot.op)) return undefined;
  return mayBeNew ? modeFault(past, path, node, found) : attributesFault(past, path, found);
}

/** Of a file whose size and times may be too new: its mode is not, unless it was changed without waiting. */
function modeFault({ snapshot, reach }: Past, path: string, node: Node, found: Found): string | undefined {
  const then = snapshot.attributes.get(path);
  const later = node.versions.filter(({ op, waited }) => op > snapshot.op && op <= reach.begun && !waited);
  const { mode } = found.attributes;
  if (then === undefined || mode === then.mode || later.some((version) => version.mode === (mode & 0o7777))) return undefined;
  return `has mode ${mode.toString(8)} instead of ${then.mode.toString(8)}`;
}

function attributesFault({ snapshot }: Past, path: string, found: Found): string | undefined {
  const then = snapshot.attributes.get(path);
  const { mode, size, mtimeNs } = found.attributes;
  // A directory's size is the file system's affair.
  if (then === undefined || (mode === then.mode && (size === then.size || found.kind === 'directory') && mtimeNs === then.mtimeNs)) return undefined;
  return `has mode ${mode.toString(8)}, size ${size}, mtime ${mtimeNs} instead of ${then.mode.toString(8)}, ${then.size}, ${then.mtimeNs}`;
}

/** What keeps the found from being this node at any time. */
function everFault(node: Node, reach: Reach, found: Found): string | undefined {
  if (node.kind !== found.kind) return `is a ${found.kind}`;
  if (node.kind === 'directory') return undefined;
  const versions = statesBetween(node.versions, 0, reach.begun).map(({ bytes }) => bytes);
  return contentFault(found.bytes, { versions, mayBeLonger: false });
}

/** The operation from which on a state of a snapshot may show: itself when a sync behind it was promised, else the last sync before it. */
function promised(syncs: readonly Sync[], op: number, { done }: Reach): number {
  return syncs.some((sync) => sync.op >= op && sync.op <= done) ? op : lastSync(syncs, op) ?? 0;
}

/** true when operations in (from, to] that did not wait for the log changed the file or one of its names. */
function hasChanged(lane: LaneWitness, node: Node, from: number, to: number): boolean {
  const isIn = ({ op, waited }: { readonly op: number; readonly waited: boolean }): boolean => op > from && op <= to && !waited;
  if (node.versions.some(isIn)) return true;
  return [...lane.names.values()].some((states) => states.some((state, index) => isIn(state) && (state.node === node.id || states[index - 1]?.node === node.id)));
}

/** true when the file under this name had been synced with all its attributes since it was last changed. */
function isSettled(lane: LaneWitness, node: Node, path: string, op: number): boolean {
  if (!targetsBetween(lane, path, op, op).includes(node.id)) return false;
  const changed = node.versions.findLast((version) => version.op <= op)?.op ?? 0;
  return node.syncs.some((sync) => sync.isFull && sync.op >= changed && sync.op <= op);
}

/** true when the directory had been synced since its names last changed, and no later change of them may show. */
function isSettledDirectory(lane: LaneWitness, path: string, op: number, { logged, begun }: Reach): boolean {
  const changes = [...lane.names].filter(([name]) => directoryOf(name) === path).flatMap(([, states]) => states);
  const changed = Math.max(0, ...changes.filter((change) => change.op <= op).map((change) => change.op));
  const isSynced = lane.directorySyncs.get(path)?.some((sync) => sync.op >= changed && sync.op <= op) === true;
  return isSynced && !changes.some((change) => change.op > logged && change.op <= begun && !change.waited);
}
