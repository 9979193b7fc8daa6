/**
 * The words of the engine: what history is made of, as values. Everything that crosses from the engine to the
 * mount, the commands and (later) replication is declared here. Numbers that identify are bigint.
 */
import type { FileId, Lsn, Txid } from '../native/types.js';

export type { Caller, FileId, Lsn, LogState, Plan, RecoveryReport, Txid } from '../native/types.js';

/** Attributes of a file, decoded (FORMAT: 80 bytes). Times in ns since the epoch. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly rdev: bigint;
  readonly size: bigint;
  readonly blocks: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** A transaction that has ended. */
export interface Transaction {
  readonly txid: Txid;
  readonly timeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly command: string;
  readonly reason: string;
  readonly external: boolean;
  readonly recovered: boolean;
  /** Ended by a sync or a close while no other file was open for writing. */
  readonly quiescent: boolean;
  /** Other processes of the same user and program, or also other users and programs, may have made some of its changes. */
  readonly shared?: 'processes' | 'actors';
}

/** An entry of a directory as of a snapshot. */
export interface ResolvedEntry {
  readonly name: Buffer;
  readonly file: FileId;
  /** mode & S_IFMT */
  readonly type: number;
}

/** An entry of a directory as of a snapshot, with what was found out on the way. */
export interface ListedEntry extends ResolvedEntry {
  /** Packed attributes (FORMAT, 80 bytes). */
  readonly attributes: Buffer;
  /** Of a regular file, where that was quickly found out: where its bytes lie. No pieces: they are all still its own. */
  readonly plan: { readonly file: FileId; readonly plannedAt: Lsn; readonly pieces?: BigUint64Array } | undefined;
}

/** What happened to a file in a transaction. */
export type ChangeKind =
  | 'create' | 'write' | 'truncate' | 'attributes' | 'xattr' | 'rename' | 'link' | 'delete' | 'mkdir' | 'rmdir' | 'symlink' | 'mknod' | 'external';

/** One line of `tidemark log`. */
export interface Change {
  readonly txid: Txid;
  readonly timeNs: bigint;
  readonly kind: ChangeKind;
  /** From the volume's root, with a leading slash; after the change (before it for deletes). */
  readonly path: Buffer;
  /** For renames: where it came from. */
  readonly from?: Buffer;
  readonly file: FileId;
  /** Size in bytes at the end of the transaction; undefined for deletes and directories. */
  readonly size?: bigint;
  readonly uid: number;
  readonly pid: number;
  readonly command: string;
  readonly external: boolean;
}

export interface LogQuery {
  /** From the root, with a leading slash. */
  readonly path: Buffer;
  readonly sinceNs?: bigint;
  readonly untilNs?: bigint;
  readonly limit?: number;
}

export interface Pin {
  readonly name: string;
  readonly txid: Txid;
  readonly timeNs: bigint;
  readonly madeAtNs: bigint;
}

/** A difference between two snapshots of a directory. */
export interface Difference {
  readonly kind: 'added' | 'removed' | 'changed' | 'renamed' | 'attributes';
  readonly path: Buffer;
  readonly from?: Buffer;
  /** Of 'renamed': its bytes were changed, too. */
  readonly isWritten?: boolean;
  readonly type: number;
  readonly sizeBefore?: bigint;
  readonly sizeAfter?: bigint;
}

/** Something in the recovery bin. */
export interface BinItem {
  readonly kind: 'deleted' | 'replaced' | 'truncated' | 'overwritten';
  /** The transaction that took it away: it can be read at the moment before. */
  readonly txid: Txid;
  readonly timeNs: bigint;
  /** From the volume's root, with a leading slash, as it was. */
  readonly path: Buffer;
  readonly file: FileId;
  /** mode & S_IFMT */
  readonly type: number;
  /** Of a regular file: bytes it had then. */
  readonly size?: bigint;
  readonly uid: number;
  readonly pid: number;
  readonly command: string;
  readonly external: boolean;
  /** false: the transaction holds others' changes, too. */
  readonly isSure: boolean;
}

/** A name that a directory lost. */
export interface DeletedName extends ResolvedEntry {
  /** The last moment that shows it. */
  readonly snapshot: Txid;
  /** When it was deleted. */
  readonly timeNs: bigint;
}

/** What a directory lost. */
export interface DeletedContents {
  /** Newest first. */
  readonly deleted: readonly DeletedName[];
  /** Its present directories in which, or below which, something was lost. */
  readonly below: readonly ResolvedEntry[];
}

/** What was deleted under a path. */
export interface DeletedVersion {
  readonly file: FileId;
  /** mode & S_IFMT */
  readonly type: number;
  /** Shows it as it was, with all that was in it. */
  readonly snapshot: Txid;
  readonly deletedAt: Txid;
  /** Another name of the same file (hard link), which it still has. */
  readonly otherName: Buffer | undefined;
}

/** A fault that verify found, with what to do. */
export interface Fault {
  readonly where: string;
  readonly what: string;
  readonly remedy: string;
}

export interface VerifyReport {
  readonly segments: number;
  readonly records: number;
  readonly transactions: number;
  readonly objects: number;
  readonly files: number;
  readonly faults: readonly Fault[];
  /** Of a deep check. */
  readonly readBack?: ReadBackReport;
}

/** What was read back to its end: live files and objects. */
export interface ReadBackReport {
  readonly files: number;
  readonly bytes: number;
  /** Files and directories that this user may not read. */
  readonly forbidden: number;
}

/** How a check is to be made. */
export interface VerifyRequest {
  /** 'deep': also every live file and every object is read back to its end. */
  readonly depth?: 'log' | 'deep';
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends a deep check early. */
  readonly signal?: AbortSignal;
}

export interface VolumeStatus {
  readonly id: string;
  readonly txid: Txid;
  readonly lastTimeNs: bigint;
  /** Oldest moment that can be read, ns. */
  readonly oldestNs: bigint;
  readonly transactions: number;
  /** Bytes of the live tree as the file system counts them (statfs is not used: du of the tree would be slow; undefined until counted). */
  readonly liveBytes?: bigint;
  /** Bytes of log, index and objects. */
  readonly historyBytes: bigint;
  /** Bytes of log the index has not read yet. */
  readonly indexLagBytes: bigint;
  readonly externalTransactions: number;
}

/** Where a snapshot query stands: the index had read the log up to `readUpTo`. */
export interface SnapshotView {
  readonly snapshot: Txid;
  readonly readUpTo: Lsn;
}
