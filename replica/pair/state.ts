/**
 * What a node remembers of its pairs: `pair/pair.json` in the store (docs/FORMAT.md). In: the directory `pair`. Out: values; replaced whole on each change.
 *
 * Invariants:
 * 1. The file appears whole or not at all, and is on the disk before a change counts.
 * 2. Of a token only its hash is kept.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VolumeError, codeOf, messageOf, replaceFile, syncDirectory } from '../../engine/index.js';
import type { Term } from './position.js';

export const pairFormat = 1;

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A node that was paired with. */
export interface Peer {
  readonly node: string;
  readonly name: string;
  /** Of its certificate: SHA-256, 64 hex digits. */
  readonly fingerprint: string;
  /** Where it can be reached, as far as is known. */
  readonly address?: Address;
  /** Of a standby: up to here it has everything, durably. */
  readonly durable?: string;
  /** Of a standby that is away: where the log ended when it left (an LSN), and whether its place has been given up since. */
  readonly awaySince?: string;
  readonly isGivenUp?: boolean;
}

export interface Invitation {
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string;
  readonly untilMs: number;
}

export type Role = 'primary' | 'standby';

export interface PairState {
  readonly format: typeof pairFormat;
  /** 16 hex digits, made once. */
  readonly node: string;
  readonly name: string;
  readonly role: Role;
  readonly terms: readonly Term[];
  /** The latest term that was heard of, if the history here does not have it. */
  readonly knownTerm?: number;
  readonly listen?: Address;
  /** What others are told to reach it at. */
  readonly address?: Address;
  readonly invitations: readonly Invitation[];
  readonly peers: readonly Peer[];
  /** Of a standby: the node that it follows. */
  readonly primary?: string;
  /** Of a standby: 'initial' until it has a whole moment of its primary; 'catching-up' while it is compared again, because its place was given up. */
  readonly phase?: 'initial' | 'catching-up' | 'following';
  /** Of a standby: files that were there before are compared by hash. */
  readonly isSeeded?: boolean;
  /** A rewound standby: this transaction of its own shows what that one of its primary does. */
  readonly rewound?: { readonly own: string; readonly txid: string; readonly checksum: number };
  /** Of a node that was promoted: its term begins with the tree of this earlier transaction. */
  readonly goBackTo?: string;
  readonly mode: 'async' | 'sync';
  /** In sync mode: how long syncs wait for a standby that is gone, and what happens then. */
  readonly patienceMs: number;
  readonly whenGone: 'stop' | 'go-on';
  /** The log may grow by so many bytes before the place of a standby that is away is given up. */
  readonly pinBudget: number;
  /** A lag beyond this is an alarm. */
  readonly alarmLagMs: number;
  /** Of a standby: its tree shows what is at least so old; 0: the newest there is. */
  readonly readDelayMs: number;
  readonly isPaused: boolean;
  /** What is sent is deflated where that saves something. */
  readonly compresses: boolean;
  /** Bytes a second; 0: no limit. */
  readonly limitRate: number;
}

/** A value of undefined takes the key away. */
export type StateChange = { readonly [K in keyof PairState]?: PairState[K] | undefined };

const fileName = 'pair.json';

export function freshState(node: string, name: string, role: Role): PairState {
  const terms = role === 'primary' ? [{ term: 1, after: 0n, node }] : [];
  return { format: pairFormat, node, name, role, terms, invitations: [], peers: [], mode: 'async', patienceMs: 5_000, whenGone: 'go-on', pinBudget: 8 * 2 ** 30, alarmLagMs: 300_000, readDelayMs: 0, isPaused: false, compresses: false, limitRate: 0 };
}

export function changed(state: PairState, change: StateChange): PairState {
  return Object.fromEntries(Object.entries({ ...state, ...change }).filter(([, value]) => value !== undefined)) as unknown as PairState;
}

/** Undefined when there is no pair. Throws VolumeError EFORMAT. */
export function readState(directory: string): PairState | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, fileName), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const { terms, ...rest } = JSON.parse(text) as Omit<PairState, 'terms'> & { terms: { term: number; after: string; node: string }[] };
    if (rest.format !== pairFormat) throw new Error(`its format is ${String(rest.format)}`);
    if (!/^[0-9a-f]{16}$/.test(rest.node) || !['primary', 'standby'].includes(rest.role) || !Array.isArray(rest.peers) || !Array.isArray(terms)) throw new Error('something is missing in it');
    return { ...freshState(rest.node, rest.name, rest.role), ...rest, terms: readTerms(terms) };
  } catch (error) {
    throw new VolumeError('EFORMAT', `${fileName} of the pair cannot be read (${messageOf(error)}); restore it from a backup of the store, or remove .tidemark/pair and .tidemark/standby and pair anew`);
  }
}

export function writeState(directory: string, state: PairState): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  replaceFile(join(directory, fileName), { ...state, terms: writeTerms(state.terms) });
  syncDirectory(directory);
}

export function writeTerms(terms: readonly Term[]): { term: number; after: string; node: string }[] {
  return terms.map(({ term, after, node }) => ({ term, after: String(after), node }));
}

/** Throws SyntaxError for a number that is none. */
export function readTerms(terms: readonly { term: number; after: string; node: string }[]): Term[] {
  return terms.map(({ term, after, node }) => ({ term, after: BigInt(after), node }));
}

/** The standby that is called so: by its number, or its name where only one has it. Throws VolumeError. */
export function peerCalled({ peers, primary }: PairState, which: string): Peer {
  const [peer, other] = peers.filter(({ node, name }) => node === which || name === which);
  if (peer === undefined || other !== undefined) throw new VolumeError('EINVAL', `${peer === undefined ? 'no' : 'more than one'} node is called ${which}; "tidemark pair status" shows their numbers`);
  if (peer.node === primary) throw new VolumeError('EINVAL', 'this is the node that is followed here; "tidemark pair leave" ends that');
  return peer;
}
