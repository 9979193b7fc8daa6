/**
 * What the daemon and its receiver say to each other: the receiver is a process of its own, because it works on the mount, which the daemon must not touch.
 *
 * Invariants:
 * 1. Each question of the receiver has one answer.
 */
import type { Transaction } from '../../../engine/index.js';
import type { Address, PairState } from '../state.js';
import type { Term } from '../position.js';

/** The first thing that a receiver is told. */
export interface Orders {
  readonly mountpoint: string;
  /** Per-mount flags that have to stay, as mount(8) takes them. */
  readonly mountFlags: readonly string[];
  /** The pair's directory, by the daemon's descriptor. */
  readonly directory: string;
  readonly volume: string;
  readonly state: PairState;
  /** None: what is in the spool is applied, and that is all. */
  readonly primary?: { readonly node: string; readonly fingerprint: string; readonly address: Address };
  /** Whether files that are there already are compared by hash. */
  readonly isSeeded: boolean;
}

/** What a receiver asks; numbers count its questions. */
export type Question =
  | { readonly ask: 'position' }
  | { readonly ask: 'open'; readonly txid: bigint }
  | { readonly ask: 'end'; readonly transaction: Transaction }
  | { readonly ask: 'begin-history'; readonly txid: bigint }
  /** The tree is no whole moment any more until the history is told to go on. */
  | { readonly ask: 'catch-up' }
  | { readonly ask: 'durable' };

/** What the parts of a receiver ask of their daemon: a port. */
export interface Asks {
  position(): Promise<PositionAnswer | undefined>;
  does(question: Exclude<Question, { ask: 'position' }>): Promise<void>;
  tell(message: Exclude<FromReceiver, { id: number }>): void;
}

export interface PositionAnswer {
  /** The standby's own last transaction: another one only after a rewind. */
  readonly own: bigint;
  readonly txid: bigint;
  readonly checksum: number;
}

/** How a receiver stands; told whenever it changes, and twice a second while it does. */
export interface ReceiverStatus {
  readonly link: 'connecting' | 'initial sync' | 'catching up' | 'following' | 'refused';
  readonly why?: string;
  readonly sinceMs: number;
  /** The newest moment that is on the standby's disk, and the newest that is shown. */
  readonly durable?: bigint;
  readonly appliedNs?: bigint;
  readonly applied?: bigint;
  readonly files: number;
  readonly bytes: number;
  readonly pending: number;
}

export type FromReceiver =
  | { readonly id: number; readonly question: Question }
  | { readonly status: ReceiverStatus }
  /** The primary's terms, as it told them; `begun`: the first whole moment is there. */
  | { readonly terms: readonly Term[]; readonly begun: boolean }
  | { readonly diverged: bigint }
  | { readonly base: bigint }
  | { readonly handed: bigint | string };

export type ToReceiver =
  | { readonly orders: Orders }
  | { readonly id: number; readonly answer?: unknown; readonly error?: { readonly code: string; readonly message: string } }
  | { readonly do: 'pause' | 'resume' | 'hand-over' | 'finish' };
