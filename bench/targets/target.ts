/**
 * What the benchmark compares: anything that makes a directory usable at a path. A fresh directory comes in; a path to
 * work in goes out, and is taken away again by `stop`.
 *
 * Invariants:
 * 1. After `stop` nothing is mounted and no process of the target runs, also when the target misbehaved.
 * 2. `directory` lies on the disk that every other target uses; files put there before `start` are seen at the path.
 */
import type { Account } from '../command.js';

export interface Target {
  readonly name: string;
  /** It takes part in so many rounds at most, spread evenly: for one that is very slow. */
  readonly mostRounds?: number;
  /** One line on what this is: program, version, options. */
  describe(): Promise<string>;
  /**
   * Why it cannot run on this host, or undefined when it can. Before anything else is asked of the target.
   * @param scratch a directory that is removed at the end, for what has to be built
   */
  unavailable(scratch: string): Promise<string | undefined>;
  /**
   * @param directory an existing directory, absolute
   * @param account who will work in it, where that is not the benchmark's own user
   */
  start(directory: string, account: Account): Promise<RunningTarget>;
}

export interface RunningTarget {
  /** Where the workload works, absolute. */
  readonly path: string;
  /** The process that serves the path, when there is one. */
  readonly pid: number | undefined;
  /** Names of the kernel features in use. */
  readonly features: readonly string[];
  /** The past, where the target keeps one. */
  readonly history: HistoryAccess | undefined;
  stop(): Promise<void>;
}

export interface HistoryAccess {
  /** The last transaction's number. */
  lastTransaction(): Promise<bigint>;
  /** The path of the whole tree as it stood after a transaction. */
  pathAt(transaction: bigint): string;
}
