/**
 * What the engine promises to its users (mount, commands, later replication). `Volume` in volume.ts implements it.
 *
 * Invariants:
 * 1. An answer about snapshot n never changes once transaction n has ended, until retention gives n up.
 * 2. Every query first waits until the index has read the log as far as it stood when the query began, and reads the
 *    live tree *before* that wait: a change logs its pre-image before it acts, so a live value that is already new is
 *    always found with its pre-image in the index.
 */
import type { Attributes, Change, DeletedContents, Difference, FileId, ListedEntry, LogQuery, Lsn, Pin, Plan, ResolvedEntry, Transaction, Txid, VerifyReport, VerifyRequest, VolumeStatus } from './types.js';

export interface History {
  readonly rootId: FileId;

  /** Waits until the index has read the log as far as it stands now. */
  caughtUp(): Promise<Lsn>;
  /** Ends the open transaction first, so that everything written until now is in a snapshot. Returns the last transaction. */
  settled(): Promise<Transaction>;

  /** The entry of a directory as of a snapshot; undefined when the name did not exist then. */
  lookup(snapshot: Txid, directory: FileId, name: Buffer): Promise<ResolvedEntry | undefined>;
  /** All entries, without "." and "..". */
  list(snapshot: Txid, directory: FileId): Promise<ListedEntry[]>;
  /** Packed attributes as of a snapshot. Throws ENOENT-coded errors for files that are gone for good. */
  attributes(snapshot: Txid, file: FileId): Promise<Buffer>;
  readLink(file: FileId): Promise<Buffer>;
  xattrs(snapshot: Txid, file: FileId): Promise<{ name: Buffer; value: Buffer }[]>;
  /** Where the bytes of a file as of a snapshot lie. `size`: its size in bytes at the snapshot, where the caller knows it, so that it need not be found out. */
  plan(snapshot: Txid, file: FileId, size?: bigint): Promise<Plan>;
  /** Reads through a plan, planning again when it has gone stale; for commands without a mount. */
  read(snapshot: Txid, file: FileId, offset: bigint, length: number): Promise<Buffer>;
  /** The file behind a path as of a snapshot, symlinks not followed; undefined when absent. Path bytes with or without a leading slash. */
  resolvePath(snapshot: Txid, path: Buffer): Promise<ResolvedEntry | undefined>;
  /** Where a file was known to be as of a snapshot (from the root, with a leading slash); undefined when unknown or absent. */
  pathOf(snapshot: Txid, file: FileId): Buffer | undefined;
  /** Where the file is now as far as the index knows, from the root, without leading slash: the hint native calls take. */
  pathHint(file: FileId): Buffer | null;

  transaction(txid: Txid): Transaction | undefined;
  /** The last transaction that ended at or before the time; 0 when the time is before the first but not before the volume's start. Throws MomentError. */
  snapshotAt(timeNs: bigint): Txid;
  /**
   * Reads a moment as a user writes it (without "@"): `2026-11-22T07-00-00Z`, colons too, fractions to ns, local time without Z, `5m`, `2h30m`, `yesterday`,
   * `txn-1234`, a pin's name, `GMT-2026.11.22-07.00.00`. A whole-second name means the end of that second. Throws MomentError (unreadable, in the future, before the oldest).
   */
  parseMoment(text: string): Txid;
  /** The names to list in `.snapshots` (thinned to at most 500, pins always, newest first); for a directory, only times at which something in it changed. */
  snapshotNames(directory?: FileId): { readonly name: string; readonly txid: Txid; readonly timeNs: bigint }[];
  oldestNs(): bigint;

  /** Versions of a file (following renames), or all changes below a directory; newest first. Deleted files too. */
  log(query: LogQuery): Promise<Change[]>;
  /** Changes of one transaction, in order. */
  changesOf(txid: Txid): Promise<Change[]>;
  /** Differences between two snapshots below a path (a directory: its subtree). */
  diff(path: Buffer, from: Txid, to: Txid): Promise<Difference[]>;
  /** Entries that existed in the directory at some time ≤ snapshot and not at the snapshot. */
  deletedEntries(snapshot: Txid, directory: FileId): Promise<(ResolvedEntry & { readonly deletedAt: Txid })[]>;

  /** What was deleted in the last day: what `.snapshots/@deleted` shows. */
  readonly bin: { deletedIn(directory: FileId): Promise<DeletedContents> };

  pins(): Pin[];
  pin(name: string, txid: Txid): Promise<void>;
  unpin(name: string): Promise<void>;

  status(): Promise<VolumeStatus>;
  verify(request?: VerifyRequest): Promise<VerifyReport>;
  /** Decodes packed attributes. */
  decode(attributes: Buffer): Attributes;
}
