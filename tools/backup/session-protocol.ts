/**
 * What a user's command and the process that reads a backup for him say to each other, over the socket that everybody may connect to (users-server.ts): lines of JSON, and behind a `bytes` line as many bytes.
 */
import type { Entry } from '../../replica/entry.js';

/** First `open`, then as many others as he likes. */
export type SessionRequest =
  /** `at`: nanoseconds, decimal; the last backup when absent. `path`: one character a byte. */
  | { readonly what: 'open'; readonly name: string; readonly path: string; readonly at?: string }
  /** A file that `open` has told of. */
  | { readonly what: 'copy'; readonly path: string };

/** An entry as it travels. */
export type SentEntry = Omit<Entry, 'mtimeNs'> & { readonly mtimeNs: string };

export type SessionAnswer =
  | { readonly opened: { readonly timeNs: string; readonly moments: readonly string[]; readonly directory: string; readonly host: string; readonly entries: readonly SentEntry[] } }
  | { readonly bytes: number }
  | { readonly error: string };

export const longestRequestBytes = 64 << 10;

export function socketForUsers(socket: string): string {
  return socket.replace(/\.sock$/, '.users');
}
