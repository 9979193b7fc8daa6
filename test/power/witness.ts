/**
 * What the witness of a workload remembers, outside of the disk: every state that each file and name of a lane had, what was promised
 * (fsync returned 0) and at which place of the journal the promise was known. Plain data, so that it can be kept beside an image.
 *
 * A lane is a directory with one worker, so its operations have an order: their numbers, from 1; 0 is what was there before Tidemark. Several lanes
 * work at the same time, and beside them applications (apps/application.ts), whose writers have their operations numbered in the same way.
 *
 * Invariants:
 * 1. An operation whose `endedAt` is at or before a cut had returned before the power went; the one after the last such operation may have been
 *    under way; of those behind it nothing had begun.
 * 2. States are in the order of their operations. One operation may give a file several (created empty, then written).
 */

import type { ApplicationWitness } from './apps/application.js';
import type { MomentWitness } from './apps/digests.js';

/** What a file was, from an operation on. */
export interface Version {
  readonly op: number;
  readonly bytes: Buffer;
  readonly mode: number;
  /** The change waited until history had the state before it on the disk, or took it along. */
  readonly waited: boolean;
}

/** An fsync or fdatasync that returned 0: the operation that it ended, or was. */
export interface Sync {
  readonly op: number;
  readonly isFull: boolean;
  /** What the file's mtime was then; of a full one. */
  readonly mtimeNs?: bigint;
}

/** A file or directory, by whatever name. */
export interface Node {
  readonly id: number;
  readonly kind: 'file' | 'directory';
  /** Of a file; a directory has none. */
  readonly versions: Version[];
  readonly syncs: Sync[];
}

/** From an operation on a name leads to this node; undefined: to nothing. */
export interface NameState {
  readonly op: number;
  readonly node: number | undefined;
  /** As in Version. */
  readonly waited: boolean;
}

export interface Operation {
  readonly what: string;
  /** The journal's length when it had returned; undefined when it never did. */
  endedAt: number | undefined;
  /** Of a database: transactions that its writer has committed with this operation. */
  readonly commits?: number;
}

/** Whoever does one operation after the other. */
export interface Worker {
  readonly operations: Operation[];
}

export interface Attributes {
  readonly mode: number;
  readonly size: number;
  readonly mtimeNs: bigint;
}

/** The lane's directory between two operations, and the transaction that the daemon named for it. */
export interface SnapshotWitness {
  /** The last operation in it. */
  readonly op: number;
  readonly txid: string;
  readonly timeNs: bigint;
  /** The journal's length when the daemon had answered. */
  readonly at: number;
  /** When that was, among all lanes. */
  readonly moment: number;
  /** Of what every name led to. */
  readonly attributes: ReadonlyMap<string, Attributes>;
}

export interface LaneWitness extends Worker {
  /** Path from the protected directory. */
  readonly directory: string;
  readonly nodes: Node[];
  /** By path from the lane's directory. */
  readonly names: Map<string, NameState[]>;
  /** Syncs of the lane's directories, by path from the lane's. */
  readonly directorySyncs: Map<string, Sync[]>;
  readonly snapshots: SnapshotWitness[];
}

/**
 * The log was made durable: all that had been told it when this began. As fsync promises that what a change destroyed is on the disk, and
 * the log is one row, that is everything that had been done before the change that was synced.
 */
export interface LogSync {
  /** The journal's length when it was known. */
  readonly at: number;
  /** When it began, among all lanes. */
  readonly moment: number;
  /** The last operation that each worker had ended when it began, in the order of workersOf. */
  readonly done: readonly number[];
}

export interface Witness {
  readonly lanes: LaneWitness[];
  readonly applications: readonly ApplicationWitness[];
  /** What the past of the applications was read as. */
  readonly moments: MomentWitness[];
  /** Syncs of the whole file system, by somebody else. */
  readonly fileSystemSyncs: LogSync[];
  readonly logSyncs: LogSync[];
  /** The journal's length when the kernel had just written something to the disk by itself. */
  readonly writeBacks: number[];
  /** Every change waits for the log: nothing shows too early, and no moment that was seen is lost. */
  readonly isExact: boolean;
  /** Counts what happens in all lanes, to tell before from after. */
  moment: number;
}

/** What a worker may have done when the power went. */
export interface Reach {
  /** The last operation that had returned. */
  readonly done: number;
  /** The last one that may have begun. */
  readonly begun: number;
  /** Of the operations up to this one every record of history is on the disk. */
  readonly logged: number;
}

/** The lanes, then the writers of the applications. */
export function workersOf({ lanes, applications }: Witness): Worker[] {
  return [...lanes, ...applications.flatMap(({ writers }) => writers)];
}

export function reachAt(witness: Witness, worker: Worker, position: number): Reach {
  const { operations } = worker;
  const done = operations.findLastIndex(({ endedAt }) => endedAt !== undefined && endedAt <= position);
  const index = workersOf(witness).indexOf(worker);
  const logged = witness.logSyncs.reduce((most, sync) => (sync.at <= position ? Math.max(most, sync.done[index] ?? 0) : most), 0);
  return { done, begun: Math.min(done + 1, operations.length - 1), logged };
}

/** true when the log with all that had ended by a moment was on the disk. */
export function isLogged(witness: Witness, moment: number, position: number): boolean {
  return witness.logSyncs.some((sync) => sync.at <= position && sync.moment > moment);
}

/** The state at `from` and every later one up to `to`; those of names begin with nothing. */
export function statesBetween<T extends { readonly op: number }>(states: readonly T[], from: number, to: number): T[] {
  const start = states.findLastIndex(({ op }) => op <= from);
  return states.slice(Math.max(0, start)).filter(({ op }) => op <= to);
}

/** What a name may have led to between two operations. */
export function targetsBetween(lane: LaneWitness, path: string, from: number, to: number): (number | undefined)[] {
  const states = [{ op: -1, node: undefined, waited: false }, ...(lane.names.get(path) ?? [])];
  return [...new Set(statesBetween(states, from, to).map(({ node }) => node))];
}

/** The last sync that had returned by an operation. */
export function lastSync(syncs: readonly Sync[], op: number): number | undefined {
  return syncs.findLast((sync) => sync.op <= op)?.op;
}

/** "" for the lane's own directory. */
export function directoryOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

export function nodeOf(lane: LaneWitness, id: number): Node {
  const node = lane.nodes[id];
  if (node === undefined) throw new RangeError(`${lane.directory} has no node ${id}`);
  return node;
}

/** What a sync of the log that begins now will make durable. */
export function logSyncBegins(witness: Witness): Omit<LogSync, 'at'> {
  witness.moment += 1;
  const done = workersOf(witness).map(({ operations }) => (operations.at(-1)?.endedAt === undefined ? operations.length - 2 : operations.length - 1));
  return { moment: witness.moment, done };
}

/** History is promised to be there before permissions or names of such a file change. */
export function isOnDisk(node: Node): boolean {
  return node.syncs.length > 0;
}
