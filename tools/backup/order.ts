/**
 * What the daemon tells a runner (runner.ts) to do, and what it hears of it. One order a process.
 */
import type { Place } from '../../replica/place.js';
import type { Report } from '../../replica/progress.js';
import type { RunResult } from '../../replica/run.js';
import type { VerifyResult } from '../../replica/verify.js';
import type { Choice } from '../../replica/sync/decide.js';
import type { SyncResult } from '../../replica/sync/run.js';
import type { BackupConfig } from './record.js';

export interface RunnerOrder {
  readonly task: 'bind' | 'run' | 'verify' | 'test';
  readonly config: BackupConfig;
  /** As in the configuration, or where the drive is mounted. */
  readonly place: Place;
  readonly volume: string;
  /** For people. */
  readonly directory: string;
  /** The store, by a descriptor of the runner. */
  readonly store: string;
  readonly mountpoint: string;
  /** The daemon's control socket. */
  readonly socket: string;
  /** Globs of names that have no history. */
  readonly withoutHistory: readonly string[];
  readonly txid: string;
  readonly timeNs: string;
  readonly again: readonly string[];
  /** Of verify: which part of the files is read back. */
  readonly percent: number;
  /** Of a sync: the snapshot that its last run knew. */
  readonly since?: string;
  /** Of a sync: what somebody asked for this run. */
  readonly asked: Asked;
}

/** What may be asked of one run of a sync. */
export interface Asked {
  /** More than half of a side may go. */
  readonly force?: boolean | undefined;
  /** What to do about conflicts; paths as in replica/paths.ts. */
  readonly choices?: readonly (readonly [path: string, choice: Choice])[] | undefined;
}

export type RunnerAnswer =
  | { readonly report: Report }
  | { readonly bound: true }
  | { readonly result: RunResult }
  | { readonly synced: SyncResult }
  | { readonly verified: VerifyResult }
  | { readonly tested: { readonly files: number; readonly output: string } }
  | { readonly failed: { readonly fault: string; readonly message: string } };
