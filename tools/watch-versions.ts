/**
 * Shows new versions as they come: looks at the volume's last transaction several times a second while somebody watches,
 * and emits the changes of each new one in order.
 *
 * Invariants:
 * 1. Each version is emitted once, or counted as skipped when they come faster than anyone could read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Volume } from '../engine/volume.js';
import type { Txid } from '../engine/types.js';
import type { Connection } from './control-server.js';
import type { WatchItem } from './protocol.js';
import { changeItem } from './wire.js';

const intervalMs = 150;
/** More new transactions than this at once are not shown one by one. */
const mostAtOnce = 500n;

/** Resolves when the connection has ended. */
export async function watchVersions(volume: Volume, connection: Connection, emit: (item: WatchItem) => Promise<void>): Promise<void> {
  let shownUpTo = volume.native.logState().ended;
  while (connection.isOpen) {
    const ended = volume.native.logState().ended;
    if (ended - shownUpTo > mostAtOnce) {
      const skipped = ended - shownUpTo - mostAtOnce;
      await emit({ skipped: Number(skipped) });
      shownUpTo = (shownUpTo + skipped) as Txid;
    }
    while (shownUpTo < ended && connection.isOpen) {
      shownUpTo = (shownUpTo + 1n) as Txid;
      for (const change of await volume.changesOf(shownUpTo)) await emit({ change: changeItem(change) });
    }
    await sleep(intervalMs);
  }
}
