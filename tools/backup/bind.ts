/** Binds a destination to a volume, in a process of its own. Throws DaemonError with what the destination says. */
import { RunnerProcess } from './runner-process.js';
import { DaemonError } from '../errors.js';
import { makeDirectory } from '../../engine/store-files.js';
import { Drive } from './drive.js';
import type { BackupSurroundings } from './one-backup.js';
import { backupDirectory } from './names.js';
import type { BackupConfig } from './record.js';

export async function bindPlaceOf(config: BackupConfig, { volume, entry }: BackupSurroundings): Promise<void> {
  makeDirectory(backupDirectory(volume.upkeep.store));
  const drive = config.device === undefined ? undefined : new Drive(config.device, config.name);
  const place = drive === undefined ? config.place : await drive.place();
  const answer = await new RunnerProcess({
    task: 'bind', config, place, volume: volume.id, directory: entry.directory, mountpoint: entry.mountpoint, socket: entry.socket, withoutHistory: [], txid: '0', timeNs: '0', again: [], percent: 0, asked: {},
  }, volume.upkeep.store, () => undefined).answer;
  await drive?.release();
  if ('failed' in answer) throw new DaemonError('EBACKUP', answer.failed.message);
}
