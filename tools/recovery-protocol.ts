/**
 * What travels in protocol.ts about lost things: entries of the recovery bin, what was deleted under a path, steps and conflicts of an undo. Paths are BytePaths from the
 * volume's root, with a leading slash; 64-bit numbers are decimal strings.
 */
import type { MomentReply, TransactionItem } from './protocol.js';

export interface BinEntryItem extends TransactionItem {
  readonly kind: string;
  readonly path: string;
  /** mode & S_IFMT */
  readonly type: number;
  readonly size?: string;
  readonly external: boolean;
  readonly isSure: boolean;
}

export interface UndeleteReply {
  /** Absent when nothing was deleted there. */
  readonly found?: {
    readonly type: number;
    /** The moment that shows it whole, and when it was deleted. */
    readonly snapshot: MomentReply;
    readonly deletedAt: MomentReply;
    /** Another hard link to it that is there still. */
    readonly otherName?: string;
  };
  /** The globs of names that have no history. */
  readonly exclude: readonly string[];
}

/** A step of an undo (engine/undo-types.ts): files as inode numbers, 64-bit numbers as decimal strings. */
export interface UndoStepItem {
  readonly kind: string;
  readonly path: string;
  readonly inode: string;
  /** Of what is put back: the moment, and where it was then. */
  readonly at?: MomentReply;
  readonly source?: string;
  /** Where it is as the undo begins. */
  readonly present?: string;
  readonly to?: string;
  /** What it takes the place of; "0": nothing may be there. */
  readonly replaces?: string;
  readonly type?: number;
  readonly start?: number;
  readonly end?: number;
  readonly size?: number;
  readonly name?: string;
  readonly value?: string;
}

export interface UndoConflictItem {
  readonly kind: string;
  readonly path: string;
  readonly range?: { readonly start: number; readonly end: number };
  readonly xattr?: string;
  readonly mine?: TransactionItem;
  readonly other?: TransactionItem;
}

export interface UndoItem {
  readonly step?: UndoStepItem;
  readonly conflict?: UndoConflictItem;
}
