/**
 * What a sender needs of the volume that it sends: a port, so that a simulation can stand in. `sourceOf` makes one of a volume.
 *
 * Invariants:
 * 1. What is asked about a moment that is held, or younger than all that were given up, has an answer.
 */
import type { Attributes, FileId, ListedEntry, Step, Transaction, Txid, Volume } from '../../engine/index.js';

export interface Source {
  readonly volume: string;
  readonly rootId: FileId;
  /** The last transaction that has ended. */
  readonly ended: Txid;
  /** The last moment that can be asked for. */
  last(): Transaction;
  /** Ends what is open, and tells the last transaction then. */
  settled(): Promise<Transaction>;
  /** Resolves when moments that have ended can be asked for. */
  caughtUp(): Promise<unknown>;
  /** Resolves when what has ended by now cannot be lost any more. */
  durable(): Promise<void>;
  transaction(txid: Txid): Transaction | undefined;
  /** The next `most` moments after one, in order. */
  after(txid: Txid, most: number): Transaction[];
  step(from: Txid, to: Txid): Promise<Step>;
  read(snapshot: Txid, file: FileId, offset: bigint, length: number): Promise<Buffer>;
  list(snapshot: Txid, directory: FileId): Promise<ListedEntry[]>;
  attributes(snapshot: Txid, file: FileId): Promise<Attributes>;
  xattrs(snapshot: Txid, file: FileId): Promise<{ readonly name: Buffer; readonly value: Buffer }[]>;
  readLink(file: FileId): Promise<Buffer>;
  /** `holder` keeps a moment from being given up; undefined: none any more. */
  hold(holder: object | string, snapshot: Txid | undefined): void;
}

export function sourceOf(volume: Volume): Source {
  const { replication } = volume;
  return {
    volume: volume.id,
    rootId: volume.rootId,
    get ended() { return replication.ended; },
    last: () => replication.last,
    settled: () => volume.settled(),
    caughtUp: () => volume.caughtUp(),
    durable: () => replication.syncLog(),
    transaction: (txid) => volume.transaction(txid),
    after: (txid, most) => {
      const found: Transaction[] = [];
      for (const transaction of replication.momentsAfter(txid)) {
        found.push(transaction);
        if (found.length === most) break;
      }
      return found;
    },
    step: (from, to) => replication.step(from, to),
    read: (snapshot, file, offset, length) => volume.read(snapshot, file, offset, length),
    list: (snapshot, directory) => volume.list(snapshot, directory),
    attributes: async (snapshot, file) => volume.decode(await volume.attributes(snapshot, file)),
    xattrs: (snapshot, file) => volume.xattrs(snapshot, file),
    readLink: (file) => volume.readLink(file),
    hold: (holder, snapshot) => { replication.hold(holder, snapshot); },
  };
}
