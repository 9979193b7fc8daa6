/**
 * The engine's values as they travel in protocol.ts: 64-bit numbers as decimal strings, paths with one character a byte.
 */
import type { History } from '../engine/ports.js';
import type { Change, Difference, Pin, Txid } from '../engine/types.js';
import type { ChangeItem, DifferenceItem, PinItem, VolumeFacts } from './protocol.js';

export function changeItem(change: Change): ChangeItem {
  return {
    txid: String(change.txid),
    timeNs: String(change.timeNs),
    kind: change.kind,
    path: toWire(change.path),
    ...(change.from === undefined ? {} : { from: toWire(change.from) }),
    ...(change.size === undefined ? {} : { size: String(change.size) }),
    uid: change.uid,
    pid: change.pid,
    command: change.command,
    external: change.external,
  };
}

export function differenceItem(difference: Difference): DifferenceItem {
  return {
    kind: difference.kind,
    path: toWire(difference.path),
    ...(difference.from === undefined ? {} : { from: toWire(difference.from) }),
    ...(difference.isWritten === true ? { isWritten: true } : {}),
    type: difference.type,
    ...(difference.sizeBefore === undefined ? {} : { sizeBefore: String(difference.sizeBefore) }),
    ...(difference.sizeAfter === undefined ? {} : { sizeAfter: String(difference.sizeAfter) }),
  };
}

export function pinItem(pin: Pin): PinItem {
  return { name: pin.name, txid: String(pin.txid), timeNs: String(pin.timeNs), madeAtNs: String(pin.madeAtNs) };
}

export function toWire(path: Buffer): string {
  return path.toString('latin1');
}

export function fromWire(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

export function txidOf(text: string): Txid {
  return BigInt(text) as Txid;
}

/** The part of a status that a volume knows without a mount. */
export async function wireStatus(volume: Pick<History, 'status' | 'transaction'>): Promise<VolumeFacts> {
  const status = await volume.status();
  const last = volume.transaction(status.txid);
  return {
    id: status.id,
    txid: String(status.txid),
    lastTimeNs: String(status.lastTimeNs),
    oldestNs: String(status.oldestNs),
    transactions: status.transactions,
    ...(status.liveBytes === undefined ? {} : { liveBytes: String(status.liveBytes) }),
    historyBytes: String(status.historyBytes),
    indexLagBytes: String(status.indexLagBytes),
    externalTransactions: status.externalTransactions,
    ...(last === undefined ? {} : { lastTransaction: { txid: String(last.txid), timeNs: String(last.timeNs), uid: last.uid, pid: last.pid, command: last.command } }),
  };
}
