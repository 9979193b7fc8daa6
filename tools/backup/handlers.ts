/** What the daemon does for requests about backups. */
import type { Txid } from '../../engine/types.js';
import type { Volume } from '../../engine/volume.js';
import type { Connection, Handlers } from '../control-server.js';
import { differenceItem } from '../wire.js';
import type { Backups } from './backups.js';

type BackupMethods = 'backup-add' | 'backup-list' | 'backup-run' | 'backup-change' | 'backup-changes';

export function backupHandlers(volume: Volume, backups: Backups): Pick<Handlers, BackupMethods> {
  return {
    'backup-add': async ({ config }) => backups.add(config),
    'backup-list': async () => ({ backups: backups.list() }),
    'backup-run': async ({ id, name, task, ...request }, connection: Connection) => {
      const backup = backups.get(name);
      // A report may be lost, but the run must not wait for it.
      const onReport = (report: object): void => void connection.emit(id, report);
      return backup.now(task, request, onReport);
    },
    'backup-change': async ({ name, to }) => {
      const backup = backups.get(name);
      if (to === 'paused') await backup.pause();
      else if (to === 'resumed') backup.resume();
      else await backups.remove(name);
      return {};
    },
    'backup-changes': async ({ id, from, to }, connection) => {
      const [first, last] = [BigInt(from) as Txid, BigInt(to) as Txid];
      if (volume.transaction(first) === undefined || first > last) return { isKnown: false };
      for (const difference of await volume.diff(Buffer.from('/'), first, last)) await connection.emit(id, differenceItem(difference));
      return { isKnown: true };
    },
  };
}
