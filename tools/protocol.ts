/**
 * What commands and the daemon say to each other over the control socket: JSON lines. A request is one line with an `id`
 * and a `method`; the answer is any number of `{"id", "item"}` lines and then one of `{"id", "reply"}` or `{"id", "error"}`.
 *
 * Invariants:
 * 1. Every request that can be read gets exactly one reply or error, unless the connection ends first; an early end is an error.
 * 2. A line is at most `longestRequestBytes` (to the daemon) or `longestAnswerBytes` (from it): a longer one ends the connection.
 * 3. Paths are BytePaths from the volume's root, with a leading slash; 64-bit numbers are decimal strings.
 */
import { z } from 'zod';
import type { LogFault } from '../engine/log-check.js';
import type { OperationLatency } from '../native/types.js';
import { changeSchema } from './alarms/config.js';
import type { AlarmConfig } from './alarms/config.js';
import type { SinkResult } from './alarms/dispatcher.js';

export const longestRequestBytes = 64 * 1024;
export const longestAnswerBytes = 16 * 1024 * 1024;

const path = z.string().startsWith('/').max(16 * 1024);
const moment = z.string().min(1).max(300);
const pinName = z.string().min(1).max(255);
const id = z.number().int().nonnegative();
const userId = z.number().int().min(0).max(0xffffffff);

const policyPart = z.string().max(1000);
const policyChange = z.strictObject({ ladder: policyPart.optional(), diskShare: policyPart.optional(), atLeast: policyPart.optional() });

export const requestSchema = z.discriminatedUnion('method', [
  z.strictObject({ id, method: z.literal('status') }),
  /** Changes of a path, newest first, as items. `since` and `until` are moments as users write them. */
  z.strictObject({ id, method: z.literal('log'), path, since: moment.optional(), until: moment.optional(), limit: z.number().int().positive().optional() }),
  /** Which transaction a moment means. */
  z.strictObject({ id, method: z.literal('moment'), text: moment }),
  /** Differences below a path between two transactions, as items. */
  z.strictObject({ id, method: z.literal('diff'), path, from: z.string(), to: z.string() }),
  /** Where the file that is at `path` as of `at` was as of `before`. */
  z.strictObject({ id, method: z.literal('trace'), path, at: z.string(), before: z.string() }),
  /** Entries a directory had once and has no more as of `at`, as items. */
  z.strictObject({ id, method: z.literal('deleted'), path, at: z.string() }),
  z.strictObject({ id, method: z.literal('pins') }),
  z.strictObject({ id, method: z.literal('pin'), name: pinName, at: moment.optional() }),
  z.strictObject({ id, method: z.literal('unpin'), name: pinName }),
  /** Changes the policy, if anything is given, and answers with what holds then. */
  z.strictObject({ id, method: z.literal('policy'), change: z.union([z.literal('reset'), policyChange]).optional() }),
  /** Gives up what the policy no longer keeps, or says what that would be. */
  z.strictObject({ id, method: z.literal('prune'), dryRun: z.boolean() }),
  /** Progress comes as items. */
  z.strictObject({ id, method: z.literal('verify'), depth: z.enum(['log', 'deep']).optional() }),
  /**
   * Until `release`, or the end of the connection, all changes are one transaction (at most as long as the addon allows). Answers with the
   * transaction before and the globs of names that have no history.
   */
  z.strictObject({ id, method: z.literal('hold') }),
  z.strictObject({ id, method: z.literal('release'), uid: userId, gid: userId, pid: z.number().int().nonnegative(), command: z.string().max(255) }),
  /** New versions as items as they come; ends with the connection. */
  z.strictObject({ id, method: z.literal('watch') }),
  /** Configuration and state of the alarms. */
  z.strictObject({ id, method: z.literal('alarms') }),
  z.strictObject({ id, method: z.literal('alarms-change'), change: changeSchema }),
  /** Sends a test to each sink. */
  z.strictObject({ id, method: z.literal('alarms-test') }),
  z.strictObject({ id, method: z.literal('alarms-acknowledge') }),
  /** Sends the digest now. */
  z.strictObject({ id, method: z.literal('alarms-digest') }),
  /** Flushes, unmounts (EBUSY while it is in use), closes the volume; the daemon then ends. */
  z.strictObject({ id, method: z.literal('unmount') }),
]);

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
  /** Absent until it was looked at. */
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number; readonly fullInDays?: number };
}

export interface AlarmsReply extends UpkeepFacts {
  readonly config: AlarmConfig;
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
  /** Since it was mounted. */
  readonly operations: readonly OperationLatency[];
  readonly notices: readonly string[];
}

export interface PolicyReply {
  readonly ladder: string;
  readonly diskShare: string;
  readonly atLeast: string;
}

export interface PruneReply {
  /** Moments that were looked at. */
  readonly judged: number;
  readonly gone: number;
  /** History takes more of the disk than the policy allows: of a dry run, before; else still, for what is left is too young, pinned or in use. */
  readonly takesTooMuch: boolean;
  /** The oldest moment afterwards. */
  readonly oldestNs: string;
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
  pins: { reply: { pins: readonly PinItem[] }; item: never };
  pin: { reply: MomentReply; item: never };
  unpin: { reply: Record<string, never>; item: never };
  policy: { reply: PolicyReply; item: never };
  prune: { reply: PruneReply; item: never };
  verify: { reply: VerifyReply; item: ProgressItem };
  hold: { reply: MomentReply & { exclude: readonly string[] }; item: never };
  release: { reply: MomentReply; item: never };
  watch: { reply: Record<string, never>; item: WatchItem };
  alarms: { reply: AlarmsReply; item: never };
  'alarms-change': { reply: AlarmsReply; item: never };
  'alarms-test': { reply: { readonly results: readonly SinkResult[] }; item: never };
  'alarms-acknowledge': { reply: { readonly count: number }; item: never };
  'alarms-digest': { reply: { readonly sinks: readonly string[] }; item: never };
  unmount: { reply: Record<string, never>; item: never };
}

/** A line from the daemon, before its content is known. */
export const answerSchema = z.union([
  z.object({ id, item: z.unknown() }).refine((line) => line.item !== undefined),
  z.object({ id, error: z.object({ code: z.string(), message: z.string() }) }),
  z.object({ id, reply: z.unknown() }).refine((line) => line.reply !== undefined),
]);
