/**
 * A directory's listing on its way to the addon. In: the nodes of its entries. Out: their bytes (native/types.ts, replyListing, has the layout).
 */
import { generationOf } from '../engine/ids.js';
import type { NodeReply, Plan } from '../native/types.js';

export interface ListedNode extends NodeReply {
  readonly name: Buffer;
  /** Of a regular file: root's opens are then answered without asking. No pieces: the bytes of then are all still its own. */
  readonly plan: (Pick<Plan, 'plannedAt'> & Partial<Pick<Plan, 'pieces'>>) | undefined;
}

const attributesStart = 48;
const snapshotStart = 128;
const piecesStart = 136;
const pieceBytes = 32;
const noPieces = 0xffff_ffff;

export function packListing(entries: readonly ListedNode[]): Uint8Array {
  let length = 0;
  for (const { name, plan } of entries) length += piecesStart + (plan?.pieces?.byteLength ?? 0) + name.length;
  const packed = new Uint8Array(length);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const entry of entries) at = write(entry, packed, view, at);
  return packed;
}

/** Writes one entry; returns where the next one begins. */
function write({ node, ino, timeoutMs, attributes, name, plan, file, snapshot }: ListedNode, packed: Uint8Array, view: DataView, at: number): number {
  const pieces = plan?.pieces;
  const nameStart = at + piecesStart + (pieces?.byteLength ?? 0);
  view.setUint32(at, node >>> 0, true);
  view.setUint32(at + 4, Math.floor(node / 0x1_0000_0000), true);
  view.setBigUint64(at + 8, ino, true);
  if (plan !== undefined) view.setBigUint64(at + 16, plan.plannedAt, true);
  // Takes the low 64 bits: the inode.
  if (file !== undefined) {
    view.setBigUint64(at + 24, file, true);
    view.setUint32(at + 32, generationOf(file), true);
  }
  view.setUint32(at + 36, timeoutMs, true);
  view.setUint32(at + 40, name.length, true);
  view.setUint32(at + 44, pieces === undefined ? noPieces : pieces.byteLength / pieceBytes, true);
  packed.set(attributes, at + attributesStart);
  if (snapshot !== undefined) view.setBigUint64(at + snapshotStart, snapshot, true);
  if (pieces !== undefined) packed.set(new Uint8Array(pieces.buffer, pieces.byteOffset, pieces.byteLength), at + piecesStart);
  packed.set(name, nameStart);
  return nameStart + name.length;
}
