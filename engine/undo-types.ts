/**
 * What the planner of an undo (undo-plan.ts) gets and gives: the history of the things that somebody's changes touched, and what has to be done to take these back. Values
 * only; undo-history.ts makes the first of an index, the commands act on the second.
 *
 * Words: *mine* are the changes that are to be taken back, *others'* all that came besides or after. Names are strings with one character a byte.
 */
import type { FileId } from './types.js';

/** One transaction's change of one thing. Steps of a thing stand in the order of transactions, and begin with the first of mine. */
export interface Step {
  readonly txid: number;
  readonly isMine: boolean;
}

export interface NameStep extends Step {
  /** 0 when the name was, or is then, absent. */
  readonly before: FileId;
  readonly after: FileId;
}

/** A name in a directory. */
export interface NameHistory {
  readonly directory: FileId;
  readonly name: string;
  readonly steps: readonly NameStep[];
}

/** A change of a range of bytes. `size`: the file's, before. */
export interface BytesStep extends Step {
  readonly start: number;
  readonly end: number;
  readonly size: number;
}

/** A change of a number. */
export interface ValueStep extends Step {
  readonly before: bigint;
}

/** What is known of a file's bytes and attributes since the first change of mine to it. */
export interface FileHistory {
  /** mode & S_IFMT */
  readonly type: number;
  /** Names it has now; 0 when it has left the tree. */
  readonly linkCount: number;
  /** The transaction that took its last name; 0 while it has one. */
  readonly goneAt: number;
  /** Bytes it has now. */
  readonly size: number;
  /** Who made it, if that was after the beginning. */
  readonly birth: Step | undefined;
  /** What it went through since is no longer kept change by change. */
  readonly isCut: boolean;
  /** Transactions that gave it names since. */
  readonly namings: readonly Step[];
  /** Those that took a name from it for another one. */
  readonly renamings: ReadonlySet<number>;
  readonly bytes: readonly BytesStep[];
  readonly sizes: readonly ValueStep[];
  readonly modes: readonly ValueStep[];
  readonly uids: readonly ValueStep[];
  readonly gids: readonly ValueStep[];
  readonly mtimes: readonly ValueStep[];
  /** By the name of the extended attribute. */
  readonly xattrs: ReadonlyMap<string, readonly Step[]>;
}

export interface Place {
  readonly parent: FileId;
  readonly name: string;
}

/** A transaction of which some changes may be mine, and nobody knows which. */
export interface Uncertain {
  readonly txid: number;
  /** One of the files it changed. */
  readonly file: FileId;
  readonly why: 'recovered' | 'shared';
}

export interface UndoHistory {
  readonly rootId: FileId;
  readonly names: readonly NameHistory[];
  /** All that `names` lead or led to, and all whose bytes or attributes are mine. */
  readonly files: ReadonlyMap<FileId, FileHistory>;
  /** Where these files, and the directories above them, are now: all names, as far as known. */
  readonly places: ReadonlyMap<FileId, readonly Place[]>;
  /** Names that directories of mine have now, each with the transaction that made it; 0 for one without history. */
  readonly contents: ReadonlyMap<FileId, readonly { readonly name: string; readonly txid: number }[]>;
  readonly uncertain: readonly Uncertain[];
}

/** Where a step acts: a path from the volume's root, one character a byte, as it is when its turn has come. `file`: what must stand there. */
export interface Target {
  readonly path: string;
  readonly file: FileId;
}

/** What is to be done, in this order. `snapshot`: the moment that shows what is put back, there as the same file. */
export type UndoStep =
  | Target & { readonly kind: 'rename'; readonly to: string; readonly replaces: FileId }
  | Target & { readonly kind: 'link'; readonly to: string; readonly replaces: FileId }
  | Target & { readonly kind: 'recreate'; readonly type: number; readonly snapshot: number; readonly replaces: FileId }
  | Target & { readonly kind: 'remove'; readonly type: number }
  | Target & { readonly kind: 'size'; readonly size: number; readonly snapshot: number }
  | Target & { readonly kind: 'bytes'; readonly start: number; readonly end: number; readonly snapshot: number }
  | Target & { readonly kind: 'xattr'; readonly name: string; readonly snapshot: number }
  | Target & { readonly kind: 'uid' | 'gid' | 'mode' | 'mtime'; readonly value: bigint; readonly snapshot: number };

export type ConflictKind = 'name' | 'bytes' | 'size' | 'mode' | 'owner' | 'xattr' | 'contents' | 'directory' | 'origin' | 'lost' | 'uncertain';

/** Something that cannot be taken back without guessing, with the evidence. */
export interface Conflict {
  readonly kind: ConflictKind;
  readonly path: string;
  readonly file: FileId;
  /** The change that would be taken back; 0 when it is not known whose it is. */
  readonly mine: number;
  /** What stands against it; 0 when that is no transaction (names without history). */
  readonly other: number;
  readonly range?: { readonly start: number; readonly end: number };
  readonly xattr?: string;
}

export interface UndoPlan {
  readonly steps: readonly UndoStep[];
  readonly conflicts: readonly Conflict[];
}
