/** What `tidemark pair …` asks its daemon, and what it is answered: the shapes behind the method `pair` of protocol.ts. */
import { z } from 'zod';
import type { SyncStanding } from '../../replica/pair/sync-mode.js';

const address = z.strictObject({ host: z.string().min(1).max(255), port: z.number().int().min(1).max(65535) });

export const pairActionSchema = z.discriminatedUnion('do', [
  /** A line with which another node can join. `listen`: where (absent: where the node listens already, or on the loopback); `address`: what the line says (absent: the same). */
  z.strictObject({ do: z.literal('invite'), listen: address.optional(), address: address.optional() }),
  z.strictObject({ do: z.literal('status') }),
  z.strictObject({ do: z.literal('promote'), way: z.enum(['controlled', 'take-over']), at: z.string().max(200).optional() }),
  /** A node that will not come back: by its number, or its name where only one has it. */
  z.strictObject({ do: z.literal('forget'), peer: z.string().min(1).max(256) }),
  z.strictObject({ do: z.enum(['pause', 'resume', 'rotate', 'leave']) }),
  /** Compares with the other nodes: the trees of so many moments. */
  z.strictObject({ do: z.literal('verify'), moments: z.number().int().min(1).max(1_000_000) }),
  z.strictObject({
    do: z.literal('set'), limitRate: z.number().int().nonnegative().optional(), mode: z.enum(['async', 'sync']).optional(),
    whenGone: z.enum(['stop', 'go-on']).optional(), patienceMs: z.number().int().min(100).max(86_400_000).optional(),
    pinBudget: z.number().int().nonnegative().optional(), alarmLagMs: z.number().int().positive().optional(),
    compresses: z.boolean().optional(), readDelayMs: z.number().int().nonnegative().max(7 * 86_400_000).optional(),
  }),
]);

export type PairAction = z.infer<typeof pairActionSchema>;

/** A change that is not replicated yet. */
export interface OldestChange {
  readonly txid: string;
  readonly timeNs: string;
  readonly path?: string;
  readonly command: string;
}

/** How one standby of a primary stands. */
export interface StandbyItem {
  readonly node: string;
  readonly name: string;
  readonly address?: string;
  readonly isConnected: boolean;
  /** Since when it has been connected, ms since the epoch. */
  readonly sinceMs?: number;
  readonly phase?: 'initial sync' | 'following';
  /** It has been away for so long that it will be compared when it is back. */
  readonly isGivenUp?: true;
  readonly durable?: string;
  readonly applied?: string;
  /** Transactions that it lacks; absent where nobody knows. */
  readonly lagTransactions?: number;
  readonly lagSeconds?: number;
  /** What of files it lacks; absent also where the lag is too long to be counted. */
  readonly lagBytes?: number;
  /** Bytes a second that are sent to it. */
  readonly rate?: number;
  readonly sentBytes?: number;
  readonly oldest?: OldestChange;
}

export interface PairStanding {
  readonly role: 'primary' | 'standby';
  readonly node: string;
  readonly name: string;
  readonly term: number;
  readonly txid: string;
  readonly timeNs: string;
  readonly listen?: string;
  readonly mode: 'async' | 'sync';
  /** In sync mode, of a primary: whether syncs wait for a standby. */
  readonly sync: SyncStanding;
  readonly whenGone: 'stop' | 'go-on';
  readonly patienceMs: number;
  readonly isPaused: boolean;
  readonly limitRate: number;
  readonly pinBudget: number;
  readonly alarmLagMs: number;
  readonly readDelayMs: number;
  readonly compresses: boolean;
  /** Of a primary. */
  readonly standbys: readonly StandbyItem[];
  /** Of a standby. */
  readonly primary?: {
    readonly node: string; readonly name: string; readonly address?: string; readonly link: string; readonly why?: string; readonly files: number; readonly bytes: number;
    readonly pending: number; readonly durable?: string;
  };
}

/** How another node compares with this one. */
export interface VerifiedPeer {
  readonly node: string;
  readonly name: string;
  /** Why it could not be compared; then all else is missing. */
  readonly why?: string;
  /** Transactions that both have; the moments whose trees were compared. */
  readonly transactions?: number;
  readonly moments?: readonly string[];
  readonly files?: number;
  readonly bytes?: number;
  readonly differences?: readonly string[];
}

export interface PairReply {
  readonly line?: string;
  readonly verified?: readonly VerifiedPeer[];
  readonly standing?: PairStanding;
}
