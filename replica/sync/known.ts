/**
 * What a sync knows of a path since both sides were the same: its entry here, with its hash, and by what it is told again there. Such lines make up the state that is kept beside the store. In: entries. Out: lines of JSON, and back.
 *
 * Invariants:
 * 1. `parseKnown(encodeKnown(known))` is the same.
 */
import { encodeEntry, parseEntry } from '../entry.js';
import type { Entry } from '../entry.js';

/** How a path stood there when it was looked at last. */
export interface Mark {
  /** Bytes; 0 for all but files. */
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Permission bits; those of here where none can be kept. */
  readonly mode: number;
  /** Of file systems that have times of change and lasting inode numbers. */
  readonly ctimeNs?: bigint;
  readonly inode?: string;
  /** It was looked at so soon after its last change that a later change could have the same times. */
  readonly isFresh?: true;
}

export interface Known {
  /** As it is here. */
  readonly entry: Entry;
  readonly there: Mark;
  /** The sync itself wrote it here, after this snapshot: what history says since then does not begin with this entry. */
  readonly writtenAfter?: string;
}

/** The first line of the state. */
export interface StateHeader {
  readonly format: number;
  readonly kind: 'sync';
  readonly volume: string;
  readonly name: string;
  /** The snapshot since which the history tells what changed here. */
  readonly txid: string;
  readonly time: string;
}

interface MarkLine {
  readonly size: number;
  readonly mtime: string;
  readonly mode: string;
  readonly ctime?: string;
  readonly inode?: string;
  readonly fresh?: true;
}

export function encodeKnown({ entry, there, writtenAfter }: Known): string {
  const { size, mtimeNs, mode, ctimeNs, inode, isFresh } = there;
  const line: MarkLine = {
    size, mtime: String(mtimeNs), mode: mode.toString(8).padStart(4, '0'),
    ...(ctimeNs === undefined ? {} : { ctime: String(ctimeNs) }), ...(inode === undefined ? {} : { inode }), ...(isFresh === true ? { fresh: true } : {}),
  };
  return `${encodeEntry(entry).slice(0, -1)},"there":${JSON.stringify(line)}${writtenAfter === undefined ? '' : `,"writtenAfter":"${writtenAfter}"`}}`;
}

/** Throws SyntaxError for what is no such line. */
export function parseKnown(text: string): Known {
  const { there, writtenAfter } = JSON.parse(text) as { readonly there?: MarkLine; readonly writtenAfter?: string };
  if (there === undefined) throw new SyntaxError(`no line of a sync's state: ${text.slice(0, 200)}`);
  const { size, mtime, mode, ctime, inode, fresh } = there;
  return {
    entry: parseEntry(text),
    there: {
      size, mtimeNs: BigInt(mtime), mode: Number.parseInt(mode, 8),
      ...(ctime === undefined ? {} : { ctimeNs: BigInt(ctime) }), ...(inode === undefined ? {} : { inode }), ...(fresh === true ? { isFresh: true } : {}),
    },
    ...(writtenAfter === undefined ? {} : { writtenAfter }),
  };
}
