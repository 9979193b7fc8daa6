/**
 * An application that works on the mount while everything is recorded: a database with its writers. In: a directory, randomness. Out: what its writers were
 * promised, which tells what has to be there after a power cut (check-application.ts). What lanes do (lane.ts) is known byte by byte; of an application only that.
 *
 * Invariants:
 * 1. A witness is plain data, so that it can be kept beside an image.
 * 2. What is written down as promised had been promised: the application had been told that it is committed.
 */
import { logSyncBegins } from '../witness.js';
import type { Operation, Witness, Worker } from '../witness.js';
import type { Digests } from './digests.js';
import type { PagesWitness } from './pages-log.js';
import type { PostgresqlWitness } from './postgresql.js';
import type { SqliteWitness } from './sqlite.js';

export type ApplicationWitness = SqliteWitness | PagesWitness | PostgresqlWitness;

/** What the witness of every application has. */
export interface ApplicationBase {
  /** Path from the protected directory. */
  readonly directory: string;
  readonly writers: readonly Worker[];
  readonly syncs: FileSync[];
  /** What was there before Tidemark. */
  initial: Digests;
}

/** A file or directory of an application was synced: its bytes, or names, as they were when this began. */
export interface FileSync {
  /** From the application's directory; "" is itself. */
  readonly path: string;
  /** When it began, among all that the witness counts. */
  readonly moment: number;
  /** The journal's length when it had returned. */
  readonly at: number;
}

/** What applications share with the lanes. */
export interface ApplicationSurroundings {
  readonly witness: Witness;
  /** The journal's length. */
  position(): number;
}

export interface Application {
  readonly witness: ApplicationWitness;
  /** Makes its files, in the bare directory, before Tidemark is there. `root`: the application's directory, which exists. */
  prepare(root: string): Promise<void>;
  /** One session, in the mount; ends with every file closed. */
  work(root: string, around: ApplicationSurroundings): Promise<void>;
}

export interface Performed {
  readonly what: string;
  /** As in Operation. */
  readonly commits?: number;
  /** Paths whose bytes are synced when it is over. Of an operation that changes files and syncs none: none. */
  readonly syncs: () => readonly string[];
}

/** One operation of a writer. Where it syncs what it changed, all that was in the log when it began is durable when it is over. */
export async function perform(around: ApplicationSurroundings, application: ApplicationWitness, writer: Worker, performed: Performed, act: () => Promise<void>): Promise<void> {
  const { witness } = around;
  const { what, commits } = performed;
  const operation: Operation = { what, endedAt: undefined, ...(commits === undefined ? {} : { commits }) };
  const began = logSyncBegins(witness);
  writer.operations.push(operation);
  await act();
  const at = around.position();
  operation.endedAt = at;
  witness.moment += 1;
  const synced = performed.syncs();
  for (const path of synced) application.syncs.push({ path, moment: began.moment, at });
  if (synced.length > 0) witness.logSyncs.push({ ...began, at });
}

/** How many transactions a writer had committed with the first so many operations. */
export function commitsBy({ operations }: Worker, op: number): number {
  return operations.slice(0, op + 1).findLast(({ commits }) => commits !== undefined)?.commits ?? 0;
}
