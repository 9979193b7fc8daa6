/**
 * Whose changes are meant: by user, process or program. Pure.
 */
import type { Transaction } from './types.js';

/** What is given must all fit; nothing given: everybody. */
export interface ActorChoice {
  readonly uid?: number;
  readonly pid?: number;
  /** As /proc/PID/comm has it: at most 15 bytes. */
  readonly command?: string;
}

/** true when the transaction's actor is the one that is meant. */
export function isActor(transaction: Pick<Transaction, 'uid' | 'pid' | 'command' | 'external'>, { uid, pid, command }: ActorChoice): boolean {
  if (uid === undefined && pid === undefined && command === undefined) return true;
  return !transaction.external && (uid ?? transaction.uid) === transaction.uid && (pid ?? transaction.pid) === transaction.pid && (command ?? transaction.command) === transaction.command;
}
