/**
 * What becomes of one path in a sync. Pure. In: what it was when both sides were the same last (the base), what it is here (in the volume), what it is there (at the other side). Out: a decision.
 *
 * Invariants:
 * 1. Only contents decide who changed it; times decide nothing but, where `newer` was asked for, which of two changes wins.
 * 2. A change never loses against a deletion unless somebody says so.
 */
import type { Entry } from '../entry.js';

export type Side = 'here' | 'there';

export function otherOf(side: Side): Side {
  return side === 'here' ? 'there' : 'here';
}

export interface Versions {
  /** undefined: it was not there. */
  readonly base?: Entry | undefined;
  readonly here?: Entry | undefined;
  readonly there?: Entry | undefined;
}

/** keep-both: both stay, one under another name. newer: the later mtime wins. ask: both are left alone until somebody decides. */
export const policies = ['keep-both', 'newer', 'ask'] as const;
export type Policy = (typeof policies)[number];

/** What somebody decided. */
export const choices = ['here', 'there', 'both'] as const;
export type Choice = (typeof choices)[number];

export type ConflictKind = 'both-changed' | 'deleted-here' | 'deleted-there';

export type Decision =
  | { readonly what: 'settled' }
  /** `isKept`: the version that goes is somebody's change, and is kept aside. */
  | { readonly what: 'take'; readonly from: Side; readonly isKept?: true }
  /** `moves`: whose version gets another name. */
  | { readonly what: 'keep-both'; readonly moves: Side }
  | { readonly what: 'ask'; readonly kind: ConflictKind };

/** Type and content. A file whose hash nobody had a reason to find out is like no other. */
export function isSame(one: Entry | undefined, other: Entry | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.type !== other.type) return false;
  if (one.type === 'file') return one.size === other.size && one.sha256 !== undefined && one.sha256 === other.sha256;
  return one.type === 'directory' || one.target === other.target;
}

export function decide({ base, here, there }: Versions, policy: Policy, choice?: Choice): Decision {
  if (isSame(here, there)) return { what: 'settled' };
  if (isSame(base, here)) return { what: 'take', from: 'there' };
  if (isSame(base, there)) return { what: 'take', from: 'here' };
  const bothAreThere = here !== undefined && there !== undefined;
  if (choice === undefined && policy === 'ask') return { what: 'ask', kind: bothAreThere ? 'both-changed' : here === undefined ? 'deleted-here' : 'deleted-there' };
  // A directory is never given up for a file: the file moves out of its way.
  if (bothAreThere && (here.type === 'directory' || there.type === 'directory')) return { what: 'keep-both', moves: here.type === 'directory' ? 'there' : 'here' };
  if (choice === 'here' || choice === 'there') return { what: 'take', from: choice, isKept: true };
  if (!bothAreThere) return { what: 'take', from: here === undefined ? 'there' : 'here' };
  if (choice === undefined && policy === 'newer') return { what: 'take', from: there.mtimeNs > here.mtimeNs ? 'there' : 'here', isKept: true };
  return { what: 'keep-both', moves: 'there' };
}
