/**
 * A group of rows that share their preparation (a file, a tree, a database). One run of a group on one target is one call of
 * `run`, with a fresh directory and a fresh mount; samples go out through `record`.
 *
 * Invariants:
 * 1. A group does the same calls on every target, in the same order.
 * 2. `sync` stands before every timed part, so that nobody pays for the writes of the part before.
 */
import type { Account } from '../command.js';
import type { Sizes } from '../sizes.js';
import type { RunningTarget } from '../targets/target.js';

export interface Group {
  readonly id: string;
  /** Only targets with a past can run it. */
  readonly needsHistory?: boolean;
  /** Only targets that are served by a process can run it. */
  readonly needsProcess?: boolean;
  /** Only the bare directory runs it. */
  readonly needsBare?: boolean;
  /** Left out unless one of its rows is asked for by name. */
  readonly onlyWhenAsked?: boolean;
  /** Fewer rounds than asked for: one, for a group that takes very long. */
  readonly once?: boolean;
  /** Why it cannot run on this host, or undefined. */
  unavailable?(): Promise<string | undefined>;
  /** Who does the work in the target, where that is not the benchmark's own user. */
  account?(): Promise<Account>;
  /** Once before the first run: what all runs share, on the bare disk. */
  prepare?(bench: Bench): Promise<void>;
  /** Before each mount: what the directory holds already. */
  fill?(bench: Bench, directory: string): Promise<void>;
  run(context: RunContext): Promise<void>;
}

/** What groups share. */
export interface Bench {
  readonly sizes: Sizes;
  /** A directory on the bare disk, for archives, copies and sockets. */
  readonly scratch: string;
  /** Runs the compiled workload program and returns the seconds it printed, one number a line. */
  work(...words: readonly (string | number)[]): Promise<number[]>;
  /** Everything written so far is on the disk. */
  sync(): Promise<void>;
  /** Forgets all clean pages, names and inodes, of every target alike. Throws when the host does not permit it. */
  dropCaches(): Promise<void>;
}

export interface RunContext extends Bench {
  /** Where to work: inside the target. */
  readonly path: string;
  readonly target: RunningTarget;
  /** 1, 2, …: seeds differ from round to round, not from target to target. */
  readonly round: number;
  wanted(row: string): boolean;
  /** A sample: seconds for the row's amount of work, or bytes. */
  record(row: string, value: number): void;
  /** Does the row's measured part, under a profiler's eyes if there is one. */
  during<T>(row: string, work: () => Promise<T>): Promise<T>;
  /** sync, run the workload, record its only number. */
  measure(row: string, ...words: readonly (string | number)[]): Promise<void>;
}
