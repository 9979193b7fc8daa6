/** What the kernel was told below `.snapshots` by the daemon before this one. In: the nodes that the addon has kept. Out: the same nodes in the table. */
import type { History } from '../engine/ports.js';
import type { RestoredNode } from '../native/types.js';
import type { NodeTable } from './node-table.js';

/** Parents first, which have the lower numbers. */
export function restoreNodes(table: NodeTable, history: Pick<History, 'pathOf'>, nodes: readonly RestoredNode[]): void {
  for (const node of nodes.toSorted((left, right) => left.node - right.node)) {
    // A name that was too long to be kept; of several names of one file any will do.
    const place = node.name.length > 0 || node.snapshot === undefined ? undefined : history.pathOf(node.snapshot, node.file);
    table.restore(node, node.name.length > 0 ? node.name : place?.subarray(place.lastIndexOf('/') + 1) ?? Buffer.alloc(0));
  }
}
