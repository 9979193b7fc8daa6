/**
 * The whole surface of the addon (that of a mount: session-types.ts; room on the disk: room.ts), reviewed like a wire format. The addon moves bytes and runs threads; every
 * decision about history is made by its callers. Undo records and attributes cross as the packed bytes that
 * docs/FORMAT.md lays out, so that JavaScript decodes only what it looks at.
 *
 * Errors: every function throws (or rejects with) an Error whose `code` is an errno name ("ENOENT") or one of
 * "ELOCKED" (another daemon has the volume), "EFORMAT" (a store this version cannot read), "EUNSUPPORTED".
 */
import type { CallSession, ServeOptions } from './call-types.js';
import type { RoomCalls } from './room.js';
import type { Keeper, MountOptions, Session } from './session-types.js';

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

export type HistoryKind = 'exact' | 'strict' | 'relaxed';

export interface VolumeOptions {
  /** The directory to protect, absolute. */
  readonly backing: string;
  /**
   * What waits until its undo records are on the disk: "strict": what destroys bytes, moves names or changes permissions; "exact": every change; "relaxed": nothing (then
   * history is exact after a crash of the process only).
   */
  readonly history: HistoryKind;
  /** Globs of names (or, with a slash, of paths from the root) that get no history. */
  readonly exclude: readonly string[];
  /** The volume follows another (see openFollowed): a transaction that a crash left open stays open. Default: false. */
  readonly follows?: boolean;
  /** Label at which the process kills itself with SIGKILL, for crash tests; "" for none. "label:n" means its n-th passing. */
  readonly failpoint: string;
  /** The session will go on with a mount that another process has left (Keeper): waits for its lock, and leaves to the session what that process had yet to do. */
  readonly resumes?: boolean;
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
  /** Until when the log tells of all changes: time of the last END or clean unmount, ns; 0n for a new store. */
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

export type * from './call-types.js';
export type * from './session-types.js';

/** The protected directory with its store, opened; no mount yet. One at a time per directory, in any process. */
export interface NativeVolume extends RoomCalls {
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
  /**
   * A standby's volume has the transactions of another. From here on changes belong to this one of them, and no barrier ends it. Txids may leave gaps, but only grow; the
   * open one may be opened again. Rejects with EINVAL otherwise.
   */
  openFollowed(txid: Txid): Promise<void>;
  /** Ends it, once its last change has acted, with the actor, reason, flags and time (ns) that the other volume's END has. Rejects with EINVAL when another is open. */
  endFollowed(txid: Txid, actor: Caller, command: string, reason: number, flags: number, timeNs: bigint): Promise<void>;
  /** The volume has transactions of its own again, from `next` on. Throws EINVAL while a transaction of the other has changes, or when `next` has been. */
  stopFollowing(next: Txid): void;
  /**
   * From now on a sync (fsync, fdatasync, also of directories) is answered when a peer has what it promises: `had` is the last transaction that it is known to have. `onWaiting` is called for each
   * that begins to wait. Closed before, those who wait go on to.
   */
  closePeerGate(had: Txid, onWaiting: () => void): void;
  /** Nobody waits any more; whoever did is answered. */
  openPeerGate(): void;
  /** A peer has all up to this transaction, durably. */
  peerHas(txid: Txid): void;
  /** How many syncs wait. */
  waitingForPeer(): number;
  /** syncfs of the backing file system: all that has acted is on the disk. */
  syncTree(): Promise<void>;
  /** Until releaseChanges, whoever would change the live tree through a mount waits; who only looks does not. */
  holdChanges(): void;
  releaseChanges(): void;
  /** Appends a PIN record and makes it durable. */
  appendPin(name: Buffer, txid: Txid, removed: boolean): Promise<void>;
  /** Appends what is kept up to a transaction (bodies of KEPT records, docs/FORMAT.md, at least one) and resolves when that is on the disk. */
  appendKept(horizon: Txid, parts: readonly Buffer[]): Promise<void>;
  /** Appends floors of files (FLOOR records: their txids and bodies) and resolves when they are on the disk. */
  appendFloors(txids: readonly Txid[], bodies: readonly Buffer[]): Promise<void>;
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
  /** As `mount`, for a mount that somebody else makes: its operations come as calls. Begins at once; end it by attach() and the mount's end, or by abandon(). */
  serve(options: ServeOptions): CallSession;
  /** Ends the open transaction, writes the clean mark, syncs, releases the lock. The session must have ended. */
  close(): Promise<void>;
}

export interface NativeAddon {
  /** Opens (or creates) the store below `backing` and recovers its log. */
  openVolume(options: VolumeOptions): NativeVolume;
  /** `descriptor`: this process's end of the socket, which TIDEMARK_KEEPER in its environment tells. */
  connectKeeper(descriptor: number): Keeper;
  /** How what outlives a daemon is laid out: only a daemon that has the same number can go on with a mount. */
  readonly keptLayout: number;
  /** crc32c (Castagnoli), as in the log. */
  crc32c(bytes: Uint8Array, seed?: number): number;
  /** Lets a thread of this process run only on a processor that nobody else wants (SCHED_IDLE), or like any other again. Does nothing where that is refused. */
  setThreadIdle(threadId: number, isIdle: boolean): void;
  /** Takes the pages of a file out of this process's shared mappings (they stay in the page cache), so that they do not count as its memory. */
  releaseMapped(path: string): void;
  /**
   * Paths below a directory (without a leading slash; "" for itself) whose ctime is younger than `sinceNs`, in the order of their bytes, `most` of them at most. Several threads look at
   * every inode on its file system, but at nothing below the name `skip`; what vanishes, or may not be looked at, is passed over.
   */
  changedSince(root: string, skip: string, sinceNs: bigint, most: number): Promise<Buffer[]>;
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
  /** Who connected to a Unix socket, as the kernel noted it then. getsockopt(SO_PEERCRED, SO_PEERGROUPS). */
  peerOf(fd: number): { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** Renames a file to a name that must be free: EEXIST otherwise. renameat2(RENAME_NOREPLACE). */
  moveNew(source: Buffer, target: Buffer): void;
  /** Makes a FIFO, socket, device or (with S_IFREG) an empty file; `mode` holds type and permissions, `rdev` as stat gives it. mknod, umask as the process has it. */
  makeNode(path: Buffer, mode: number, rdev: bigint): void;
}
