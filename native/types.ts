/**
 * The whole surface of the addon, reviewed like a wire format. The addon moves bytes and runs threads; every
 * decision about history is made by its callers. Undo records and attributes cross as the packed bytes that
 * docs/FORMAT.md lays out, so that JavaScript decodes only what it looks at.
 *
 * Errors: every function throws (or rejects with) an Error whose `code` is an errno name ("ENOENT") or one of
 * "ELOCKED" (another daemon has the volume), "EFORMAT" (a store this version cannot read), "EUNSUPPORTED".
 */

/** Inode in the low 64 bits, generation above them. */
export type FileId = bigint & { readonly __fileId: unique symbol };
/** A transaction's number; also names the snapshot taken at its end. 0 is the moment before all history. */
export type Txid = bigint & { readonly __txid: unique symbol };
/** A byte position in the log (see FORMAT). */
export type Lsn = bigint & { readonly __lsn: unique symbol };

/** Who asks: ids as the kernel gave them. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

export interface VolumeOptions {
  /** The directory to protect, absolute. */
  readonly backing: string;
  /** false: overwrites do not wait until their pre-image is on the disk (exact after a crash of the process only). */
  readonly strict: boolean;
  /** Globs of names (or, with a slash, of paths from the root) that get no history. */
  readonly exclude: readonly string[];
  /** Label at which the process kills itself with SIGKILL, for crash tests; "" for none. "label:n" means its n-th passing. */
  readonly failpoint: string;
}

/** What opening found in the log. */
export interface RecoveryReport {
  /** true when the last session closed the volume properly (or the store is new). */
  readonly clean: boolean;
  /** Bytes of torn tail cut off the last segment. */
  readonly tornBytes: number;
  /** Transactions that had no END and were ended by recovery. */
  readonly recoveredCount: number;
  /** Damaged regions seen in the last segment, as log positions. */
  readonly damagedAt: readonly bigint[];
  /** Files to which synced bytes were written again out of the log. */
  readonly replayed: readonly FileId[];
  /** Time of the last record that told one (END or NOTE), ns; 0n for a new store. */
  readonly lastTimeNs: bigint;
}

export interface LogState {
  /** Everything below is whole records; an index that has read up to here has seen every change whose call returned. */
  readonly end: Lsn;
  /** Records appended since the volume was opened. */
  readonly recordCount: number;
  /** Everything below is on the disk. */
  readonly durable: Lsn;
  /** The last transaction that has an END. */
  readonly ended: Txid;
  readonly endedTimeNs: bigint;
}

/** One piece of a file as of a snapshot; pieces stand in order, without gaps, and cover [0, size). */
export const enum PieceKind {
  /** Bytes of the inode itself (live, or in objects/), at the same offset. */
  File = 0,
  /** Bytes of an EXTENT; `position` is the LSN of the record, whose checksum is looked at before its bytes are served. */
  Log = 1,
  /** Zeros. */
  Zero = 2,
}

/** What reads of an open file below .snapshots are served from. */
export interface Plan {
  /** The file whose inode `File` pieces read. */
  readonly file: FileId;
  /** Size in bytes at the snapshot. */
  readonly size: bigint;
  /** Four numbers a piece: offset, length, PieceKind, position (LSN for Log, else 0). */
  readonly pieces: BigUint64Array;
  /** The log end up to which the index had been read when the plan was made: File pieces are good while the file has no younger undo record. */
  readonly plannedAt: Lsn;
  /** Where the file may be, as `path` of NativeVolume's reads. */
  readonly path?: Buffer | null;
}

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
  /** The kernel forgot these nodes; no answer. */
  | { readonly op: 'forget'; readonly id: 0; readonly nodes: readonly number[] };

export interface MountOptions {
  /** Where to mount, absolute. Equal to the backing directory: over it. */
  readonly mountpoint: string;
  /** The source shown in /proc/mounts. */
  readonly source: string;
  /** false: every write(2) is seen and is its own transaction. */
  readonly writeback: boolean;
  /** How long unsynced writes may stay without a barrier, milliseconds. */
  readonly intervalMs: number;
  /** List ".snapshots" in the root directory. */
  /** Ask the kernel to keep processors awake while requests stream (PM QoS; root only). */
  readonly keepAwake: boolean;
  readonly snapshotsVisible: boolean;
  /** Other users than the one who mounts may enter (always so for root). */
  readonly allowOther: boolean;
  /** Answers requests below .snapshots. Called on the JavaScript thread. */
  readonly onSnapshotRequest: (request: SnapshotRequest) => void;
  /**
   * A live directory's mode, owner, ACL or name has changed (after the fact, coalesced) while the kernel knows nodes below some
   * ".snapshots": what it remembers there may show too much. Called on the JavaScript thread.
   */
  readonly onAccessChanged: () => void;
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
   * `entries`, one behind the other, little-endian: node (8), ino (8), plannedAt (8; 0 without a plan), the plan's file (inode 8, generation 4), timeoutMs (4),
   * length of the name (4), pieces (4; 0xffffffff for none), attributes (80), four numbers (8) a piece, name.
   */
  replyListing(id: number, entries: Uint8Array): void;
  replyPlan(id: number, plan: Plan): void;
  /** Drops what the kernel remembers below every ".snapshots" (permissions of now have changed, a pin was removed). */
  invalidateSnapshots(): void;
  /** Nodes below a ".snapshots" that somebody has open now; the same one several times. */
  openSnapshotNodes(): number[];
  /** Drops what the kernel remembers of a live file's attributes and pages. */
  invalidateFile(file: FileId): void;
  state(): SessionState;
  /** Flushes, ends the open transaction, unmounts. Rejects with EBUSY while somebody uses the mount. */
  unmount(): Promise<void>;
}

/** The protected directory with its store, opened; no mount yet. One at a time per directory, in any process. */
export interface NativeVolume {
  readonly rootId: FileId;
  readonly recovery: RecoveryReport;
  logState(): LogState;
  /** Ends the open transaction if it has changes and waits until every begun transaction has its END. */
  settle(): Promise<LogState>;
  /** Waits until the log is on the disk. */
  syncLog(): Promise<void>;
  /**
   * Closed segments that end at or below this position may be packed (docs/FORMAT.md): should the process or the power go now, recovery would not read them. It only
   * grows while the volume is open.
   */
  packableBelow(): Lsn;
  /**
   * The file of this closed segment has been replaced, durably, by one that holds the same records at the same positions, or some of them: from now on it is read. Who
   * is reading goes on in the old file, which is let go then. Rejects with EBUSY when the segment may not be packed (the newest, and others that recovery needs), EINVAL
   * when there is no such segment or the new file stands for other positions, EFORMAT when it is no segment of this volume; then the old file is still read.
   */
  replaceSegment(number: number): Promise<void>;
  /** Makes barriers end no transaction until release: what happens meanwhile is one transaction. Counted; never longer than 10 minutes. */
  holdTransaction(): void;
  releaseTransaction(actor: Caller, command: string): void;
  /** Appends a PIN record and makes it durable. */
  appendPin(name: Buffer, txid: Txid, removed: boolean): Promise<void>;
  /**
   * Appends what is kept up to a transaction (bodies of KEPT records, docs/FORMAT.md, at least one) and resolves when that is on the disk.
   */
  appendKept(horizon: Txid, parts: readonly Buffer[]): Promise<void>;
  /**
   * Appends undo records found by comparing the tree with the index (changes made while nothing was mounted) as one external transaction.
   * `records`: encoded records as in FORMAT; txid and crc are filled in. Returns the transaction.
   */
  appendExternal(records: readonly Buffer[], timeNs: bigint): Promise<Txid>;

  /**
   * Reads of the backing tree by file id. `path`: where the caller believes the file to be, from the root, without a leading slash, "" for the root; used only where the
   * file system cannot open by id, and verified. All throw ENOENT when the file is neither in the tree nor in objects/.
   */
  stat(file: FileId, path: Buffer | null): Buffer;
  /** Entries one behind the other, little-endian: inode (8), generation (4), length of the name (4), attributes (80), name. */
  readDirectory(file: FileId, path: Buffer | null): Buffer;
  readLink(file: FileId, path: Buffer | null): Buffer;
  xattrs(file: FileId, path: Buffer | null): { name: Buffer; value: Buffer }[];
  /** The file id behind a name in a live directory; undefined when absent. Never follows symlinks. */
  lookup(directory: FileId, path: Buffer | null, name: Buffer): { file: FileId; type: number } | undefined;
  /** true when the inode has left the tree and lies in objects/. */
  isObject(file: FileId): boolean;
  /**
   * What the kernel says when `caller` (with his supplementary groups) asks for `mask` (4 read, 2 write, 1 search) on the file as it is now, its present
   * parents included; objects: the inode alone. 0 or an errno number.
   */
  access(file: FileId, path: Buffer | null, caller: Caller, mask: number): number;
  /** Reads a plan's bytes without a mount (for an unmounted volume). Throws ESTALE when the plan is out of date. */
  readPlan(plan: Plan, offset: bigint, length: number): Promise<Buffer>;

  mount(options: MountOptions): Promise<Session>;
  /** Ends the open transaction, writes the clean mark, syncs, releases the lock. The session must have ended. */
  close(): Promise<void>;
}

export interface NativeAddon {
  /** Opens (or creates) the store below `backing` and recovers its log. */
  openVolume(options: VolumeOptions): NativeVolume;
  /** crc32c (Castagnoli), as in the log. */
  crc32c(bytes: Uint8Array, seed?: number): number;
  /** Lets a thread of this process run only on a processor that nobody else wants (SCHED_IDLE), or like any other again. Does nothing where that is refused. */
  setThreadIdle(threadId: number, isIdle: boolean): void;
  /** Takes the pages of a file out of this process's shared mappings (they stay in the page cache), so that they do not count as its memory. */
  releaseMapped(path: string): void;
  /** What removing a file would give back: the bytes of its blocks, without those that it shares with other files (reflink). */
  unsharedBytes(path: string): number;
}

/**
 * System calls on ordinary paths that node:fs lacks; what `restore` copies with. They work on any file system and never
 * follow a symlink at the end of `path`. All throw errno-coded errors.
 */
export interface FileCalls {
  /** All extended attributes, ACLs (system.posix_acl_*) included; [] where the file system has none. llistxattr, lgetxattr. */
  getXattrs(path: Buffer): { name: Buffer; value: Buffer }[];
  /** lsetxattr, creating or replacing. */
  setXattr(path: Buffer, name: Buffer, value: Buffer): void;
  /** lremovexattr. */
  removeXattr(path: Buffer, name: Buffer): void;
  /** Where the next data at or after `offset` begins; undefined when there is none up to the end of the file. lseek(SEEK_DATA). */
  seekData(fd: number, offset: bigint): bigint | undefined;
  /** Where the next hole at or after `offset` begins (the end of the file counts as one). lseek(SEEK_HOLE). */
  seekHole(fd: number, offset: bigint): bigint;
  /** Sets access and modification time to the nanosecond (ns since the epoch, may be negative). utimensat(AT_SYMLINK_NOFOLLOW). */
  setTimes(path: Buffer, atimeNs: bigint, mtimeNs: bigint): void;
  /** Makes a FIFO, socket, device or (with S_IFREG) an empty file; `mode` holds type and permissions, `rdev` as stat gives it. mknod, umask as the process has it. */
  makeNode(path: Buffer, mode: number, rdev: bigint): void;
}
