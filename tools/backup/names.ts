/** What a backup or a sync may be called, which of both it is, and where the store keeps what it knows of them. Loads nothing: every runner and every command needs it. */
import { join } from 'node:path';

export const backupName = /^[A-Za-z0-9][\w.-]{0,60}$/;

export function backupDirectory(store: string): string {
  return join(store, 'backup');
}

export type Kind = 'backup' | 'sync';

/** Of a configuration. */
export function kindOf({ sync }: { readonly sync?: unknown }): Kind {
  return sync === undefined ? 'backup' : 'sync';
}
