/**
 * Whose a destination is. In: a place, a volume. Out: an open destination that belongs to this backup of this volume, or a refusal.
 *
 * Invariants:
 * 1. A destination that another volume, or another backup of this one, uses is never written to.
 * 2. A place that was bound and shows nothing of it (an empty mountpoint) is not there: nothing is written.
 */
import { DestinationError, faultOf, readWhole } from './destination.js';
import type { Destination } from './destination.js';
import { backupFormat, bindingName, lastBackup, manifestName, workPlace } from './layout.js';
import type { Binding, ManifestHeader } from './layout.js';
import type { LocalFiles } from './local-files.js';
import { openPlace } from './open-place.js';
import type { TreePlace } from './place.js';

export interface Owner {
  /** Id of the volume. */
  readonly volume: string;
  /** Of the backup. */
  readonly name: string;
  /** For people. */
  readonly directory: string;
  readonly host: string;
}

const largestBindingBytes = 1 << 16;

/** Binds a place that nobody uses yet; one that this backup had before is taken up again. Throws DestinationError. */
export async function bindPlace(place: TreePlace, owner: Owner, local: LocalFiles): Promise<void> {
  const destination = await openPlace(place);
  try {
    const known = await readBinding(destination);
    if (known !== undefined) return refuseForeign(destination.shown, known, owner);
    await refuseUsed(destination, owner);
    const binding: Binding = { format: backupFormat, ...owner, abilities: destination.abilities };
    await destination.makeDirectory(workPlace);
    await local.put(destination, bindingName, [Buffer.from(`${JSON.stringify(binding)}\n`)]);
    await destination.sync();
  } finally {
    await destination.close();
  }
}

/** Opens a place that was bound. Throws DestinationError: gone, when it shows nothing; foreign. */
export async function openBound(place: TreePlace, owner: Owner): Promise<Destination> {
  const first = await openPlace(place, place.kind === 'directory' ? leastAbilities : undefined);
  let known: Binding | undefined;
  try {
    known = await readBinding(first);
    if (known === undefined) throw new DestinationError('gone', `${first.shown} is empty or something else: the drive may not be plugged in; if it is a new one, remove this backup and add it anew`);
    refuseForeign(first.shown, known, owner);
  } catch (error) {
    await first.close();
    throw error;
  }
  if (place.kind !== 'directory') return first;
  await first.close();
  return openPlace(place, known.abilities);
}

/** Enough to read a binding. */
export const leastAbilities = { links: false, symlinks: false, modes: false, owners: false, times: 'none', names: 'bytes' } as const;

export async function readBinding(destination: Destination): Promise<Binding | undefined> {
  let text: string;
  try {
    text = (await readWhole(destination, bindingName, largestBindingBytes)).toString();
  } catch (error) {
    if (faultOf(error) === 'absent') return undefined;
    throw error;
  }
  return parseBinding(text, bindingName, destination.shown);
}

/** Throws DestinationError damaged. */
export function parseBinding(text: string, name: string, where: string): Binding {
  try {
    return JSON.parse(text) as Binding;
  } catch {
    throw new DestinationError('damaged', `${name} on ${where} cannot be read; if all there belongs to this backup, remove that file and add the backup anew`);
  }
}

/** Throws DestinationError foreign. `where`: for people. */
export function refuseForeign(where: string, known: Pick<Binding, 'format' | 'volume' | 'name' | 'directory' | 'host'>, owner: Owner): void {
  if (known.format > backupFormat) throw new DestinationError('foreign', `${where} was written by a newer tidemark; update this one`);
  if (known.volume === owner.volume && known.name === owner.name) return;
  throw new DestinationError('foreign', `${where} belongs to the backup "${known.name}" of ${known.directory} on ${known.host}; choose another place`);
}

/** Files of somebody else must not be in the way, and a backup whose binding was removed is one all the same. */
async function refuseUsed(destination: Destination, owner: Owner): Promise<void> {
  const names = new Set((await destination.list('')).map(({ name }) => name));
  if (names.has(manifestName)) {
    const head = await firstLine(destination);
    if (head?.volume !== owner.volume || head.name !== owner.name) throw new DestinationError('foreign', `${destination.shown} holds a backup of ${head?.directory ?? 'something'} on ${head?.host ?? 'another machine'}; choose another place`);
  } else if (names.has(lastBackup)) {
    throw new DestinationError('foreign', `${destination.shown} has a ${lastBackup} that is not of this backup; choose another place`);
  }
}

async function firstLine(destination: Destination): Promise<ManifestHeader | undefined> {
  const stream = await destination.read(manifestName);
  let text = '';
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8');
      if (text.includes('\n') || text.length > largestBindingBytes) break;
    }
    return JSON.parse(`${text.slice(0, text.indexOf(',"entries":['))}}`) as ManifestHeader;
  } catch {
    return undefined;
  } finally {
    stream.destroy();
  }
}
