/**
 * Whether the live tree kept, over a power cut, what fsync had promised. In: what a lane's witness knows, how far it had come. Out: complaints.
 *
 * What the promise is (docs/SEMANTICS.md, Durability): "When fsync(2) or fdatasync(2) returns 0, the bytes … are on the disk. When fsync(2) of a directory
 * returns 0, the names in it are on the disk." So, of the operations whose call had returned before the cut:
 * 1. A name leads to what it led to at the last fsync of its directory, or at any operation after it that had begun.
 * 2. A file's bytes are those of its last sync, or of any write after it that had begun: each of those, and each part of one, may be there or not. Its
 *    mode is that of its last fsync (fdatasync does not take it along), or any after it; so is its mtime, if nothing changed the file since.
 * 3. A file with a promised name, and with some name ever since, is under one of its names.
 * 4. There is nothing else.
 * 5. Documents of editors are as apps/check-saves.ts says.
 */
import { checkSaves } from './apps/check-saves.js';
import { contentFault, readTree } from './trees.js';
import type { Found } from './trees.js';
import { directoryOf, lastSync, nodeOf, statesBetween, targetsBetween } from './witness.js';
import type { LaneWitness, Node, Reach } from './witness.js';

/** `root`: the lane's directory. */
export async function checkLive(lane: LaneWitness, reach: Reach, root: string): Promise<string[]> {
  const found = await readTree(root);
  const complaints: string[] = [];
  const seen = new Set<number>();
  for (const path of lane.names.keys()) {
    const fault = nameFault(lane, reach, path, found.get(path), seen);
    if (fault !== undefined) complaints.push(`${lane.directory}/${path} ${fault}`);
  }
  for (const path of found.keys()) {
    if (!lane.names.has(path)) complaints.push(`${lane.directory}/${path} was never made`);
  }
  for (const node of lane.nodes) {
    if (!seen.has(node.id) && mustBeFound(lane, reach, node)) complaints.push(`${lane.directory}: file ${node.id}, once synced, is under none of its names`);
  }
  return [...complaints, ...checkSaves(lane, reach, found)];
}

function nameFault(lane: LaneWitness, reach: Reach, path: string, found: Found | undefined, seen: Set<number>): string | undefined {
  const targets = targetsBetween(lane, path, promisedName(lane, reach, path), reach.begun);
  if (found === undefined) return targets.includes(undefined) ? undefined : 'is gone';
  const nodes = targets.filter((id) => id !== undefined).map((id) => nodeOf(lane, id));
  const faults = nodes.map((node) => (node.kind !== found.kind ? `is a ${found.kind}` : node.kind === 'file' ? fileFault(node, reach, found) : undefined));
  const fitting = nodes.filter((_, index) => faults[index] === undefined);
  for (const { id } of fitting) seen.add(id);
  if (fitting.length > 0) return undefined;
  return nodes.length === 0 ? 'is there again' : nodes.map(({ id }, index) => `${faults[index]} (as file ${id})`).join(', and ');
}

function fileFault(node: Node, reach: Reach, found: Found): string | undefined {
  const { done, begun } = reach;
  const states = statesBetween(node.versions, lastSync(node.syncs, done) ?? 0, begun);
  const modes = statesBetween(node.versions, lastSync(node.syncs.filter(({ isFull }) => isFull), done) ?? 0, begun);
  const mtimeNs = promisedMtime(node, reach);
  if (mtimeNs !== undefined && mtimeNs !== found.attributes.mtimeNs) return `has mtime ${found.attributes.mtimeNs} instead of ${mtimeNs}`;
  if (!modes.some(({ mode }) => mode === (found.attributes.mode & 0o7777))) return `has mode ${(found.attributes.mode & 0o7777).toString(8)}`;
  return contentFault(found.bytes, { versions: states.map(({ bytes }) => bytes), mayBeLonger: false });
}

/** What fsync promised of a file's mtime; undefined when the file may have changed since. */
function promisedMtime({ syncs, versions }: Node, { done, begun }: Reach): bigint | undefined {
  const last = syncs.findLast(({ op, isFull }) => isFull && op <= done);
  if (last === undefined || versions.some(({ op }) => op > last.op && op <= begun)) return undefined;
  return last.mtimeNs;
}

/** The operation with which the name's directory was last synced. */
function promisedName(lane: LaneWitness, { done }: Reach, path: string): number {
  return lastSync(lane.directorySyncs.get(directoryOf(path)) ?? [], done) ?? 0;
}

/** true when the node's name was promised once and it had a name at every moment since. */
function mustBeFound(lane: LaneWitness, reach: Reach, node: Node): boolean {
  const paths = [...lane.names.keys()];
  const isNamed = (op: number): boolean => paths.some((path) => targetsBetween(lane, path, op, op).includes(node.id));
  return paths.some((path) => {
    const from = promisedName(lane, reach, path);
    if (!targetsBetween(lane, path, from, from).includes(node.id)) return false;
    for (let op = from; op <= reach.begun; op += 1) if (!isNamed(op)) return false;
    return true;
  });
}
