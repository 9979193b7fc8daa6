/**
 * Opens a backup to restore from: by its destination, by its name as the daemon's owner, or, as another user, through the daemon of root, which shows what he may read. In: a name. Out: what is there, and where its bytes come from.
 */
import { existsSync, statSync } from 'node:fs';
import { openContents } from '../../replica/by-place.js';
import type { Place } from '../../replica/place.js';
import type { ByteSource } from '../../replica/restore.js';
import type { Found } from '../../replica/view.js';
import { CommandError } from '../errors.js';
import { locate } from '../locate.js';
import { liveEntries } from '../registry.js';
import { parseDestination } from './destination-argument.js';
import type { DestinationOptions } from './access-options.js';
import { Drive } from './drive.js';
import { allBackups, findBackup } from './find.js';
import { SessionClient } from './session-client.js';
import { socketForUsers } from './session-protocol.js';

export interface OpenedBackup {
  readonly found: readonly Found[];
  readonly timeNs: bigint;
  /** Of all backups that are there, oldest first. */
  readonly moments: readonly bigint[];
  readonly directory: string;
  readonly host: string;
  readonly source: ByteSource & { close(): Promise<void> };
}

/** `path`: of what; one character a byte. Throws CommandError, DestinationError. */
export async function openBackup(name: string, path: string, atNs: bigint | undefined, options: DestinationOptions & { readonly volume?: string }): Promise<OpenedBackup> {
  if (name.includes('/') || (existsSync(name) && statSync(name).isDirectory())) return openDestination(parseDestination(name, options), path, atNs);
  if (process.getuid?.() !== 0 && !(await allBackups(options.volume)).some(({ item }) => item.config.name === name)) {
    const session = await openSession(name, path, atNs, options.volume);
    if (session !== undefined) return session;
  }
  const { item } = await findBackup(name, options.volume);
  return openDestination(item.config.device === undefined ? item.config.place : await new Drive(item.config.device, name).place(), path, atNs);
}

async function openDestination(place: Place, path: string, atNs: bigint | undefined): Promise<OpenedBackup> {
  const view = await openContents(place);
  try {
    const moment = atNs === undefined ? view.last : view.momentAt(atNs);
    const { directory, host } = view.manifest.header;
    return {
      found: await view.entries(moment, path), timeNs: moment.timeNs, moments: view.moments.map(({ timeNs }) => timeNs), directory, host,
      source: { copy: (found, target, onBytes) => view.copy(found, target, onBytes), close: () => view.close() },
    };
  } catch (error) {
    await view.close();
    throw error;
  }
}

/** undefined when no daemon of root has a backup of that name. */
async function openSession(name: string, path: string, atNs: bigint | undefined, volume: string | undefined): Promise<OpenedBackup | undefined> {
  const entry = volume === undefined ? undefined : locate(volume).entry;
  let refusal: CommandError | undefined;
  for (const { socket } of entry === undefined ? liveEntries() : [entry]) {
    const client = await SessionClient.connect(socketForUsers(socket));
    if (client === undefined) continue;
    try {
      const opened = await client.open(name, path, atNs);
      return {
        found: opened.entries.map((sent) => ({ entry: { ...sent, mtimeNs: BigInt(sent.mtimeNs) }, places: [] })), timeNs: BigInt(opened.timeNs), moments: opened.moments.map(BigInt), directory: opened.directory, host: opened.host,
        source: { copy: (found, target, onBytes) => client.copy(found, target, onBytes), close: async () => { client.close(); } },
      };
    } catch (error) {
      client.close();
      if (!(error instanceof CommandError)) throw error;
      // Another volume may have it.
      if (!error.message.startsWith('there is no backup')) refusal = error;
    }
  }
  if (refusal !== undefined) throw refusal;
  return undefined;
}
