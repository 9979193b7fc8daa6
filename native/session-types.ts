/**
 * The addon's surface for a mount: what it asks about the past, what it is answered, what it tells of itself. As in types.ts, with its errors.
 */
import type { Caller, FileId, Plan, Txid } from './types.js';

/** A node's answer to lookup and getattr. */
export interface NodeReply {
  /** The caller's number for the node, 1 … 2^48. The same number always means the same node until it is forgotten. */
  readonly node: number;
  /** st_ino to show. */
  readonly ino: bigint;
  /** 80 bytes as in FORMAT. */
  readonly attributes: Buffer;
  /** How long the kernel may answer from memory: entry and attributes, in milliseconds; 0 = ask each time. */
  readonly timeoutMs: number;
  /** What the node is: this file as of this snapshot; without a snapshot the ".snapshots" of this live directory. Absent: the daemon after this one will not know it, and the kernel looks it up again. */
  readonly file?: FileId;
  readonly snapshot?: Txid;
}

/** A node that the kernel knows from a daemon before this one. */
export interface RestoredNode {
  readonly node: number;
  /** The node it was looked up in; 0 for a ".snapshots". */
  readonly parent: number;
  /** 0 when nothing but the number is known. */
  readonly file: FileId;
  /** Absent for a ".snapshots", and where nothing but the number is known. */
  readonly snapshot?: Txid;
  /** Bytes at the snapshot. */
  readonly size: number;
  /** Empty when it is not known. */
  readonly name: Buffer;
}

/** A request below .snapshots that needs a decision. Each must be answered once by the reply of its kind, or by replyError. */
export type SnapshotRequest =
  /** LOOKUP of ".snapshots" in a live directory. → replyNode */
  | { readonly op: 'root'; readonly id: number; readonly directory: FileId; readonly caller: Caller }
  /** → replyNode */
  | { readonly op: 'lookup'; readonly id: number; readonly node: number; readonly name: Buffer; readonly caller: Caller }
  /** → replyNode */
  | { readonly op: 'getattr'; readonly id: number; readonly node: number; readonly caller: Caller }
  /** → replyData (the target, without NUL) */
  | { readonly op: 'readlink'; readonly id: number; readonly node: number; readonly caller: Caller }
  /** OPENDIR: the whole listing at once, without "." and ".."; the addon serves READDIR(PLUS) from it. → replyListing */
  | { readonly op: 'list'; readonly id: number; readonly node: number; readonly caller: Caller }
  /** → replyPlan */
  | { readonly op: 'open'; readonly id: number; readonly node: number; readonly caller: Caller }
  /** An open file's plan went stale (its file was changed after `plannedAt`). → replyPlan */
  | { readonly op: 'replan'; readonly id: number; readonly node: number }
  /** → replyData (the value), or replyError('ENODATA') */
  | { readonly op: 'getxattr'; readonly id: number; readonly node: number; readonly name: Buffer; readonly caller: Caller }
  /** → replyData (names, each ended by NUL) */
  | { readonly op: 'listxattr'; readonly id: number; readonly node: number; readonly caller: Caller }
  /** Comes first, if at all: what the kernel knows already; no answer. */
  | { readonly op: 'restore'; readonly id: 0; readonly nodes: readonly RestoredNode[] }
  /** The kernel forgot these nodes; no answer. */
  | { readonly op: 'forget'; readonly id: 0; readonly nodes: readonly number[] };

/** Somebody changes many files at once (native/src/mass_watch.h): one user, in one session of processes. */
export interface MassChange {
  readonly uid: number;
  /** getsid(2) of the processes: 0 when its leader cannot be seen from here. With `uid` it names the group in later calls. */
  readonly session: number;
  /** Who made the change that was one too many: a process or a thread of one; 0 when it cannot be seen from here. */
  readonly pid: number;
  readonly command: Buffer;
  /** Files until now: overwritten by what looks like noise; removed or emptied; renamed. */
  readonly overwritten: number;
  readonly removed: number;
  readonly renamed: number;
  /** The transaction before this one is the last that shows all of them as they were. */
  readonly firstTxid: Txid;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** Those who made the changes, latest first, at most 64; they may have ended. */
  readonly pids: readonly number[];
  /** A few of the files: paths from the root, as they were. */
  readonly examples: readonly Buffer[];
}

/**
 * The way to the process that holds a mount's connection open while daemons come and go (native/keeper). Once connected, what that holds is here as well.
 */
export interface Keeper {
  readonly pid: number;
  /** A daemon before this one has left a mount to go on with. */
  readonly resumes: boolean;
  /** Then: a descriptor of the backing directory, which the mount may hide. */
  readonly root?: number;
  /** How often a daemon was started again, why and when (ms since the epoch) the last time: "" and 0 for never. */
  readonly restarts: number;
  readonly why: string;
  readonly downAtMs: number;
  /** Since when nobody has answered the kernel, in milliseconds. */
  downForMs(): number;
  /** false: it has died, and the mount will end with this process. */
  isAlive(): boolean;
  /** 'ready': the volume can be used; 'served': and is; 'alive': a sign of life, for systemd's watchdog; 'ended': the mount has ended. */
  say(word: 'ready' | 'served' | 'alive' | 'ended'): void;
}

export interface MountOptions {
  /** Where to mount, absolute. Equal to the backing directory: over it. */
  readonly mountpoint: string;
  /** The source shown in /proc/mounts. */
  readonly source: string;
  /** false: every write(2) is seen and is its own transaction. */
  readonly writeback: boolean;
  /** How long unsynced writes may stay without a barrier, milliseconds. */
  readonly intervalMs: number;
  /** Ask the kernel to keep processors awake while requests stream (PM QoS; root only). */
  readonly keepAwake: boolean;
  /** List ".snapshots" in the root directory. */
  readonly snapshotsVisible: boolean;
  /** Other users than the one who mounts may enter (always so for root). */
  readonly allowOther: boolean;
  /** Lets the mount outlive this process, and goes on with one that it has. */
  readonly keeper?: Keeper;
  /** Answers requests below .snapshots. Called on the JavaScript thread. */
  readonly onSnapshotRequest: (request: SnapshotRequest) => void;
  /**
   * A live directory's mode, owner, ACL or name has changed (after the fact, coalesced) while the kernel knows nodes below some
   * ".snapshots": what it remembers there may show too much. Called on the JavaScript thread.
   */
  readonly onAccessChanged: () => void;
  /**
   * Too many files are being changed at once. Told once of a group until it has been quiet for a minute. Its next changes wait for `massChangeSeen`, half a second at
   * most. Called on the JavaScript thread.
   */
  readonly onMassChange: (change: MassChange) => void;
  /** The mount has ended (unmounted by someone, or the connection broke); called once. */
  readonly onEnd: (reason: string) => void;
}

/** How many requests took less than `belowUs` microseconds, and no less than the bucket before it ends at. */
export interface LatencyBucket {
  readonly belowUs: number;
  readonly count: number;
}

/**
 * How long requests of one kind took, from when they were read until they were answered (forgets, which have no answer: until they were done).
 * Kinds that never came are left out.
 */
export interface OperationLatency {
  /** The kernel's name in lower case: "lookup", "write", "fsync", "batch-forget". */
  readonly operation: string;
  /** All of them together, and the longest. */
  readonly totalUs: number;
  readonly maxUs: number;
  /**
   * The buckets that are not empty, shortest first; never none. From 1 µs on each is at most 1/8 as wide as its `belowUs`, and powers of two of a
   * microsecond are always borders. The bucket below 2^26 µs (67 s) takes longer ones too.
   */
  readonly buckets: readonly LatencyBucket[];
}

export interface SessionState {
  /** "7.45" */
  readonly protocol: string;
  /** Names of the kernel features in use: "writeback", "readdirplus", … */
  readonly features: readonly string[];
  /** The mount outlives this process. */
  readonly isKept: boolean;
  readonly knownInodes: number;
  readonly openHandles: number;
  readonly operations: readonly OperationLatency[];
}

/** One mount. Replies may come from any turn of the event loop, in any order. */
export interface Session {
  replyError(id: number, code: string): void;
  replyNode(id: number, reply: NodeReply): void;
  replyData(id: number, data: Buffer): void;
  /**
   * `entries`, one behind the other, little-endian: node (8), ino (8), plannedAt (8; 0 without a plan), file (inode 8, generation 4), timeoutMs (4),
   * length of the name (4), pieces (4; 0xffffffff for none), attributes (80), snapshot (8), four numbers (8) a piece, name.
   */
  replyListing(id: number, entries: Uint8Array): void;
  replyPlan(id: number, plan: Plan): void;
  /** Asks anew which node every ".snapshots" is. Answered with another number than before, the kernel drops what it remembers below the old one. */
  invalidateSnapshots(): void;
  /** Nodes below a ".snapshots" that somebody has open now; the same one several times. */
  openSnapshotNodes(): number[];
  /** How many files, overwritten by noise within 10 s, are too many (of removed, emptied and renamed ones half as many again); 0, as at first: nothing is watched. */
  watchMassChanges(files: number): void;
  /** What had to be done at once about a group's mass change is done. */
  massChangeSeen(uid: number, session: number): void;
  /** The group may go on: it is told of again only when it has been quiet for a minute. */
  allowMassChange(uid: number, session: number): void;
  /** How many files the group has changed until now; 0 when it has been quiet. */
  massChangeCount(uid: number, session: number): number;
  state(): SessionState;
  /** Flushes, ends the open transaction, unmounts. Rejects with EBUSY while somebody uses the mount. */
  unmount(): Promise<void>;
  /** As Mounted.handOver (fs/mount.ts). */
  handOver(program: readonly string[]): Promise<void>;
}
