/**
 * All backups and syncs of a mounted volume: adds and removes them, lets each look at the clock. In: the store's records, requests. Out: runs.
 *
 * Invariants:
 * 1. A backup never waits for another one.
 */
import type { BackupReading } from '../../engine/alarm-rules.js';
import { bindPlaceOf } from './bind.js';
import { DaemonError } from '../errors.js';
import { parseSchedule } from '../../replica/schedule.js';
import { placeText } from '../../replica/place.js';
import { ladderOf } from './ladder.js';
import { OneBackup } from './one-backup.js';
import type { BackupSurroundings } from './one-backup.js';
import { kindOf } from './names.js';
import { keepRecord, newState, readRecords, removeRecord } from './record.js';
import type { BackupConfig } from './record.js';
import { backupReading } from './alarm.js';
import { itemOf } from './shown.js';
import type { BackupItem } from './shown.js';

const tickMs = 1000;

export class Backups {
  readonly #around: BackupSurroundings;
  readonly #backups = new Map<string, OneBackup>();
  /** Names that are being added. */
  readonly #adding = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(around: BackupSurroundings) {
    this.#around = around;
    for (const record of readRecords(around.volume.upkeep.store, (line) => { around.logger.error(line); around.volume.notices.push(line); })) {
      this.#backups.set(record.config.name, new OneBackup(record, around));
    }
    this.#start();
  }

  list(): BackupItem[] {
    return [...this.#backups.values()].map((backup) => itemOf(backup, this.#around.entry.directory, this.#around.volume.id));
  }

  configs(): BackupConfig[] {
    return [...this.#backups.values()].map(({ config }) => config);
  }

  /** Throws DaemonError. */
  get(name: string): OneBackup {
    const backup = this.#backups.get(name);
    if (backup === undefined) throw new DaemonError('ENOENT', `there is no backup or sync "${name}"; see \`tidemark backup list\` and \`tidemark sync list\``);
    return backup;
  }

  /** Throws DaemonError, DestinationError's message included, ScheduleError, VolumeError. */
  async add(config: BackupConfig): Promise<BackupItem> {
    if (this.#backups.has(config.name) || this.#adding.has(config.name)) throw new DaemonError('EEXIST', `there is a ${kindOf(this.#backups.get(config.name)?.config ?? config)} "${config.name}" already; choose another --name, or remove it first`);
    for (const text of [config.schedule, config.verify?.schedule, config.test?.schedule]) if (text !== undefined) parseSchedule(text, config.timeZone);
    ladderOf(config.keep);
    for (const { config: other } of this.#backups.values()) {
      if (placeText(other.place) === placeText(config.place)) throw new DaemonError('EEXIST', `${placeText(config.place)} is where the ${kindOf(other)} "${other.name}" goes; choose another place`);
      // A sync would take the files of the other one for its own.
      if ((config.sync ?? other.sync) !== undefined && isNested(config, other)) throw new DaemonError('EEXIST', `${placeText(config.place)} and ${placeText(other.place)}, where the ${kindOf(other)} "${other.name}" goes, lie in each other; choose another place`);
    }
    this.#adding.add(config.name);
    try {
      await bindPlaceOf(config, this.#around);
      const record = { config, state: newState(Date.now()) };
      keepRecord(this.#around.volume.upkeep.store, record);
      const backup = new OneBackup(record, this.#around);
      this.#backups.set(config.name, backup);
      return itemOf(backup, this.#around.entry.directory, this.#around.volume.id);
    } finally {
      this.#adding.delete(config.name);
    }
  }

  /** What is at the destination stays there. */
  async remove(name: string): Promise<void> {
    const backup = this.get(name);
    await backup.stop();
    await backup.forget();
    removeRecord(this.#around.volume.upkeep.store, name);
    this.#backups.delete(name);
  }

  /** For the alarms. */
  reading(): BackupReading {
    return backupReading([...this.#backups.values()], Date.now());
  }

  /** Ends what is under way, so that the volume can be unmounted. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#backups.values()].map((backup) => backup.stop()));
  }

  /** When it was not unmounted after all. */
  goOn(): void {
    for (const backup of this.#backups.values()) backup.goOn();
    this.#start();
  }

  #start(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      const nowMs = Date.now();
      for (const backup of this.#backups.values()) backup.tick(nowMs);
    }, tickMs).unref();
  }
}

/** Two directories one of which lies in the other. Drives that are waited for are places of their own. */
function isNested(one: BackupConfig, other: BackupConfig): boolean {
  if (one.place.kind !== 'directory' || other.place.kind !== 'directory' || one.device?.id !== other.device?.id || one.device?.label !== other.device?.label) return false;
  const [first, second] = [`${one.place.path}/`, `${other.place.path}/`];
  return first.startsWith(second) || second.startsWith(first);
}
