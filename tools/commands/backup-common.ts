/** What the commands about backups and those about syncs have in common: how one is named, which drive it waits for, what is done to it by its name. */
import type { Command } from 'commander';
import type { Place } from '../../replica/place.js';
import { placeText } from '../../replica/place.js';
import { deviceOf } from '../backup/drive.js';
import { findBackup, withBackup } from '../backup/find.js';
import { backupName } from '../backup/names.js';
import type { Kind } from '../backup/names.js';
import type { BackupConfig } from '../backup/record.js';
import { jsonRun, runText } from '../backup/shown.js';
import { UsageError } from '../errors.js';
import { jsonArray } from '../format.js';
import { print } from '../output.js';

export interface NameOptions {
  readonly volume?: string;
  readonly json?: true;
}

export interface DriveOptions {
  readonly schedule?: string;
  readonly driveLabel?: string;
  readonly driveId?: string;
}

export function namedCommand(group: Command, kind: Kind, name: string, description: string): Command {
  return group.command(name).description(description).argument('<NAME>', `the ${kind}`).option('--volume <DIR>', `its volume, where two have a ${kind} of that name`).option('--json', 'print JSON');
}

/** A drive that is named need not be there yet; undefined: none is named. Throws UsageError. */
export function driveFrom(path: string, { schedule, driveLabel, driveId }: DriveOptions): Extract<Place, { kind: 'directory' }> | undefined {
  if (driveLabel === undefined && driveId === undefined) return undefined;
  if (schedule?.trim() !== 'on-plug') throw new UsageError('--drive-label and --drive-id belong to --schedule on-plug');
  return { kind: 'directory', path: path.startsWith('/') ? path : `/${path}` };
}

/** Of a place that is synced or backed up to on-plug. Throws DestinationError. */
export async function deviceFor({ path }: Extract<Place, { kind: 'directory' }>, { driveLabel, driveId }: DriveOptions): Promise<BackupConfig['device']> {
  if (driveLabel === undefined && driveId === undefined) return deviceOf(path);
  return { ...(driveLabel === undefined ? {} : { label: driveLabel }), ...(driveId === undefined ? {} : { id: driveId }), path };
}

/** Throws UsageError. */
export function refuseInside(place: Place, mountpoint: string): void {
  if (place.kind === 'directory' && `${place.path}/`.startsWith(`${mountpoint}/`)) throw new UsageError(`${place.path} lies in the volume itself; choose a place outside`);
}

/** After the last name of the directory, the server, or the bucket. */
export function nameFor(place: Place): string {
  const text = place.kind === 'directory' ? place.path.slice(place.path.lastIndexOf('/') + 1) : place.kind === 's3' ? place.bucket : place.host;
  const name = text.replace(/[^\w.-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 60);
  return name === '' ? 'backup' : name;
}

/** Throws UsageError. */
export function nameOrRefuse(name: string, kind: Kind): string {
  if (!backupName.test(name)) throw new UsageError(`"${name}" cannot name a ${kind}; use letters, digits, ".", "_" and "-", 60 at most`);
  return name;
}

/** Pauses, resumes, forgets. */
export async function change(kind: Kind, name: string, to: 'paused' | 'resumed' | 'removed', options: NameOptions): Promise<void> {
  await withBackup(name, options.volume, kind, async (client, { item }) => {
    await client.ask('backup-change', { name, to });
    const told = to === 'removed' ? `"${name}" is forgotten; what is there stays at ${placeText(item.config.place)}` : `"${name}" is ${to}`;
    await print(options.json ? `${JSON.stringify({ name, [to]: true })}\n` : `${told}\n`);
  });
}

export async function history(kind: Kind, name: string, options: NameOptions): Promise<void> {
  const { item: { runs } } = await findBackup(name, options.volume, kind);
  if (options.json) return print(jsonArray(runs.map(jsonRun)));
  await print(runs.length === 0 ? `"${name}" has not run yet\n` : runs.map((run) => `${runText(run)}\n`).join(''));
}
