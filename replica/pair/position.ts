/**
 * Where a history stands, and how two histories compare. In: positions and terms. Out: a verdict.
 *
 * A term counts promotions. Each begins at a txid of its own, far behind all that the terms before may have reached, so that what two primaries did at the same time never
 * has the same number. The terms of a history say where it parted from others: up to there both are the same.
 *
 * Invariants:
 * 1. Equal txids with different checksums are a conflict, never the same.
 * 2. Two histories are the same up to where the first term began that is not in both.
 */
import { crc32 } from 'node:zlib';
import type { Transaction } from '../../engine/index.js';

export interface Position {
  readonly txid: bigint;
  readonly checksum: number;
}

/** A term, and the last transaction before it. */
export interface Term {
  readonly term: number;
  /** Everything up to here was taken over. */
  readonly after: bigint;
  /** Node that was promoted. */
  readonly node: string;
}

/** How far apart the transactions of two terms are: 2³⁶. Txids are exact up to 2⁵³. */
export const termDistance = 1n << 36n;

/** The first txid of a term. */
export function firstOfTerm(term: number): bigint {
  return BigInt(term - 1) * termDistance;
}

/** What makes a transaction the same one on both nodes. */
export function checksumOf({ txid, timeNs, uid, gid, pid, command, reason }: Transaction): number {
  return crc32(Buffer.from([txid, timeNs, uid, gid, pid, reason, command].join('|')));
}

export function positionOf(transaction: Transaction): Position {
  return { txid: transaction.txid, checksum: checksumOf(transaction) };
}

/** How a standby's history stands to the primary's. */
export type Comparison =
  /** The standby's is a part of it. */
  | { readonly kind: 'follows' }
  /** The standby has transactions that the primary never saw: those after `common`. */
  | { readonly kind: 'diverged'; readonly common: bigint }
  /** The standby's is a part of it, but the primary no longer has the moment from which it could go on. */
  | { readonly kind: 'behind' }
  /** They cannot be told to have a part in common. */
  | { readonly kind: 'conflict'; readonly what: string };

/**
 * `terms`, `standbyTerms`: of the two histories, in order. `checksumAt`: of the primary's transaction with this number; undefined when it has none (any more). `last`: the primary's
 * last transaction.
 */
export function compare(terms: readonly Term[], standbyTerms: readonly Term[], standby: Position, checksumAt: (txid: bigint) => number | undefined, last: bigint): Comparison {
  let shared = 0;
  while (isSame(terms[shared], standbyTerms[shared])) shared++;
  const ends = [terms[shared]?.after, standbyTerms[shared]?.after].filter((after) => after !== undefined);
  const common = ends.reduce((one, other) => (other < one ? other : one), last);
  if (standby.txid > common) {
    if (ends.length === 0) return { kind: 'conflict', what: `the standby has transaction ${standby.txid}, the primary has only ${last}` };
    return { kind: 'diverged', common };
  }
  const checksum = checksumAt(standby.txid);
  if (checksum === undefined) return { kind: 'behind' };
  if (checksum !== standby.checksum) return { kind: 'conflict', what: `transaction ${standby.txid} is not the same on both nodes` };
  return { kind: 'follows' };
}

function isSame(one: Term | undefined, other: Term | undefined): boolean {
  return one !== undefined && other !== undefined && one.term === other.term && one.after === other.after && one.node === other.node;
}
