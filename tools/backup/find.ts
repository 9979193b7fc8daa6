/**
 * Finds the backup, or the sync, that a name means, among those of all mounted volumes. In: the name, perhaps a volume. Out: the daemon's item and its registry entry.
 *
 * Invariants:
 * 1. A name that two volumes use is refused rather than guessed.
 */
import { ControlClient } from '../control-client.js';
import { CommandError, DaemonError } from '../errors.js';
import { locate } from '../locate.js';
import { liveEntries } from '../registry.js';
import type { RegistryEntry } from '../registry.js';
import { kindOf } from './names.js';
import type { Kind } from './names.js';
import type { BackupItem } from './shown.js';

export interface FoundBackup {
  readonly item: BackupItem;
  readonly entry: RegistryEntry;
}

/** `volume`: a path in it. Volumes of other users, who may not be asked, have none. */
export async function allBackups(volume: string | undefined, kind: Kind = 'backup'): Promise<FoundBackup[]> {
  const located = volume === undefined ? undefined : locate(volume);
  const entries = located === undefined ? liveEntries() : located.entry === undefined ? [] : [located.entry];
  const found: FoundBackup[] = [];
  for (const entry of entries) {
    try {
      found.push(...await askBackups(entry));
    } catch (error) {
      // Another user's daemon, or one of before there were backups.
      if (located !== undefined || !(error instanceof CommandError || error instanceof DaemonError)) throw error;
    }
  }
  return found.filter(({ item }) => kindOf(item.config) === kind);
}

async function askBackups(entry: RegistryEntry): Promise<FoundBackup[]> {
  const client = await ControlClient.connect(entry);
  try {
    const { backups } = await client.ask('backup-list', {});
    return backups.map((item) => ({ item, entry }));
  } finally {
    client.close();
  }
}

/** Throws CommandError. */
export async function findBackup(name: string, volume: string | undefined, kind: Kind = 'backup'): Promise<FoundBackup> {
  const found = (await allBackups(volume, kind)).filter(({ item }) => item.config.name === name);
  if (found.length > 1) throw new CommandError(`${found.map(({ item }) => item.directory).join(' and ')} have a ${kind} "${name}" each`, 'say which with --volume DIR');
  if (found[0] === undefined) throw new CommandError(`no mounted volume has a ${kind} "${name}"`, `\`tidemark ${kind} list\` shows them${kind === 'backup' ? '; for `restore`, the destination itself can be named instead' : ''}`);
  return found[0];
}

export async function withBackup<T>(name: string, volume: string | undefined, kind: Kind, work: (client: ControlClient, found: FoundBackup) => Promise<T>): Promise<T> {
  const found = await findBackup(name, volume, kind);
  const client = await ControlClient.connect(found.entry);
  try {
    return await work(client, found);
  } finally {
    client.close();
  }
}
