/**
 * What commands and the daemon say to each other over the control socket: JSON lines. A request is one line with an `id`
 * and a `method`; the answer is any number of `{"id", "item"}` lines and then one of `{"id", "reply"}` or `{"id", "error"}`.
 *
 * Invariants:
 * 1. Every request that can be read gets exactly one reply or error, unless the connection ends first; an early end is an error.
 * 2. A line is at most `longestRequestBytes` (to the daemon) or `longestAnswerBytes` (from it): a longer one ends the connection.
 * 3. Paths are BytePaths from the volume's root, with a leading slash; 64-bit numbers are decimal strings.
 */
import type { z } from 'zod';
import type { LogFault } from '../engine/log-check.js';
import type { RoomVerdict } from '../engine/room-keeper.js';
import type { OperationLatency } from '../native/types.js';
import type { Report } from '../replica/progress.js';
import type { AlarmConfig } from './alarms/config.js';
import type { SinkResult } from './alarms/dispatcher.js';
import type { RunRecord } from './backup/record.js';
import type { BackupItem } from './backup/shown.js';
import type { PairReply } from './pair/requests.js';
import type { BinEntryItem, UndeleteReply, UndoItem } from './recovery-protocol.js';
import type { requestSchema } from './request-schema.js';

export const longestRequestBytes = 64 * 1024;
export const longestAnswerBytes = 16 * 1024 * 1024;

export type Request = z.infer<typeof requestSchema>;
export type Method = Request['method'];
/** A request's parameters. */
export type Parameters<M extends Method> = Omit<Extract<Request, { method: M }>, 'id' | 'method'>;

/** A change as it travels: the fields that `--json` shows, paths as BytePaths. */
export interface ChangeItem {
  readonly txid: string;
  readonly timeNs: string;
  readonly kind: string;
  readonly path: string;
  readonly from?: string;
  readonly size?: string;
  readonly uid: number;
  readonly pid: number;
  readonly command: string;
  readonly external: boolean;
}

export interface DifferenceItem {
  readonly kind: string;
  readonly path: string;
  readonly from?: string;
  readonly isWritten?: boolean;
  /** mode & S_IFMT */
  readonly type: number;
  readonly sizeBefore?: string;
  readonly sizeAfter?: string;
}

export interface DeletedItem {
  readonly name: string;
  readonly type: number;
  readonly txid: string;
  readonly timeNs: string;
}

export interface PinItem {
  readonly name: string;
  readonly txid: string;
  readonly timeNs: string;
  readonly madeAtNs: string;
}

export interface MomentReply {
  readonly txid: string;
  /** When that transaction ended; "0" for the moment before all history. */
  readonly timeNs: string;
}

export interface WatchItem {
  readonly change?: ChangeItem;
  /** Versions that came too fast to be shown. */
  readonly skipped?: number;
}

export interface TransactionItem {
  readonly txid: string;
  readonly timeNs: string;
  readonly uid: number;
  readonly pid: number;
  readonly command: string;
}

/** What a volume knows of itself, mounted or not. */
export interface VolumeFacts {
  readonly id: string;
  readonly txid: string;
  readonly lastTimeNs: string;
  readonly oldestNs: string;
  readonly transactions: number;
  readonly liveBytes?: string;
  readonly historyBytes: string;
  readonly indexLagBytes: string;
  readonly externalTransactions: number;
  readonly lastTransaction?: TransactionItem;
}

/** An alarm that is raised. */
export interface AlarmItem {
  readonly alarm: string;
  readonly what: string;
  readonly remedy: string;
  readonly sinceMs: number;
  readonly isAcknowledged: boolean;
}

/** How a mounted volume is looked after. */
export interface UpkeepFacts {
  readonly alarms: readonly AlarmItem[];
  readonly scrub: {
    readonly position: number;
    /** Of the present round, 0 … 1. */
    readonly progress: number;
    readonly rounds: number;
    readonly roundEndedMs: number;
    readonly records: number;
    readonly faults: readonly LogFault[];
    readonly failure?: string;
  };
  readonly room: RoomVerdict;
  /** Absent until it was looked at. */
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number; readonly fullInDays?: number };
}

export interface AlarmsReply extends UpkeepFacts {
  readonly config: AlarmConfig;
}

/** How often the daemon was started again since the volume was mounted; when, why, and how long nobody answered the last time. */
export interface RestartFacts {
  readonly count: number;
  readonly lastMs?: number;
  readonly why?: string;
  readonly pauseMs?: number;
}

export interface StatusReply extends VolumeFacts, UpkeepFacts {
  readonly pid: number;
  readonly directory: string;
  readonly mountpoint: string;
  readonly log: string;
  readonly driver: string;
  readonly protocol: string;
  readonly features: readonly string[];
  readonly knownInodes: number;
  readonly openHandles: number;
  /** How far back history reaches at the present rate, days; absent: not known yet. */
  readonly reachDays?: number | 'forever';
  /** Since it was mounted. */
  readonly operations: readonly OperationLatency[];
  readonly notices: readonly string[];
  readonly backups: readonly BackupItem[];
  /** The mount outlives its daemon. */
  readonly isKept: boolean;
  /** How what the next daemon would go on with is laid out. */
  readonly keptLayout: number;
  readonly restarts: RestartFacts;
}

export interface PolicyReply {
  readonly ladder: string;
  readonly diskShare: string;
  readonly atLeast: string;
  readonly versions: string;
  readonly keep: readonly string[];
  /** What does not hold yet, a line each. */
  readonly notes: readonly string[];
}

/** What some rules for files give up together. */
export interface FloorItem {
  readonly rules: readonly string[];
  /** Files of which something goes. */
  readonly files: number;
  /** Where it is a matter of age: only what is younger stays. */
  readonly youngerThanNs?: string;
  /** Deleted files that go whole, and what they take of the disk. */
  readonly objects: number;
  readonly objectBytes: string;
}

export interface PruneReply {
  /** Moments that were looked at. */
  readonly judged: number;
  readonly gone: number;
  /** History takes more of the disk than the policy allows: of a dry run, before; else still, for what is left is too young, pinned or in use. */
  readonly takesTooMuch: boolean;
  /** The oldest moment afterwards. */
  readonly oldestNs: string;
  readonly floors: readonly FloorItem[];
  /** Of the log: what only those needed (of a dry run), or what came free. */
  readonly bytes: string;
}

export interface FaultItem {
  readonly where: string;
  readonly what: string;
  readonly remedy: string;
}

export interface VerifyReply {
  readonly segments: number;
  readonly records: number;
  readonly transactions: number;
  readonly objects: number;
  readonly files: number;
  readonly faults: readonly FaultItem[];
  /** Of a deep check. */
  readonly readBack?: { readonly files: number; readonly bytes: number; readonly forbidden: number };
}

export interface ProgressItem {
  readonly done: number;
  readonly total: number;
}

/** What each method answers with, and the items that come before the answer. */
export interface Answers {
  status: { reply: StatusReply; item: never };
  log: { reply: Record<string, never>; item: ChangeItem };
  moment: { reply: MomentReply; item: never };
  diff: { reply: Record<string, never>; item: DifferenceItem };
  trace: { reply: { path?: string }; item: never };
  deleted: { reply: Record<string, never>; item: DeletedItem };
  /** `backup`: the pin since which was looked, when nobody said since when. */
  bin: { reply: { readonly backup?: string }; item: BinEntryItem };
  undelete: { reply: UndeleteReply; item: never };
  /** The transactions that the moments meant. */
  undo: { reply: { readonly after: string; readonly upTo: string }; item: UndoItem };
  pins: { reply: { pins: readonly PinItem[] }; item: never };
  pin: { reply: MomentReply; item: never };
  unpin: { reply: Record<string, never>; item: never };
  policy: { reply: PolicyReply; item: never };
  prune: { reply: PruneReply; item: never };
  verify: { reply: VerifyReply; item: ProgressItem };
  hold: { reply: MomentReply & { exclude: readonly string[] }; item: never };
  hidden: { reply: Record<string, never>; item: { readonly path: string } };
  release: { reply: MomentReply; item: never };
  watch: { reply: Record<string, never>; item: WatchItem };
  alarms: { reply: AlarmsReply; item: never };
  'alarms-change': { reply: AlarmsReply; item: never };
  'alarms-test': { reply: { readonly results: readonly SinkResult[] }; item: never };
  'alarms-acknowledge': { reply: { readonly count: number }; item: never };
  'alarms-release': { reply: { readonly count: number }; item: never };
  'alarms-digest': { reply: { readonly sinks: readonly string[] }; item: never };
  'backup-add': { reply: BackupItem; item: never };
  'backup-list': { reply: { readonly backups: readonly BackupItem[] }; item: never };
  'backup-run': { reply: RunRecord; item: Report };
  'backup-change': { reply: Record<string, never>; item: never };
  /** isKnown: false: history does not reach back that far. */
  'backup-changes': { reply: { readonly isKnown: boolean }; item: DifferenceItem };
  upgrade: { reply: Record<string, never>; item: never };
  unmount: { reply: Record<string, never>; item: never };
  pair: { reply: PairReply; item: never };
}

/** A line from the daemon: what it says of the request with this id. */
export type Answer = { readonly id: number } & ({ readonly item: unknown } | { readonly error: { readonly code: string; readonly message: string } } | { readonly reply: unknown });
