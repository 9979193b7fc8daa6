/**
 * The alarms of a mounted volume as one thing: configuration, watcher, sinks, and the scrub's pace, which is chosen in the same place. In: a volume. Out: what commands ask for.
 *
 * Invariants:
 * 1. A change takes effect when it is kept, at once, or not at all.
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { judgeMassChange, judgePair } from '../../engine/alarm-rules.js';
import type { BackupReading, PairReading } from '../../engine/alarm-rules.js';
import type { SpaceSample } from '../../engine/forecast.js';
import type { Volume } from '../../engine/volume.js';
import type { Mounted } from '../../fs/mount.js';
import type { MassChange } from '../../native/types.js';
import type { AlarmsReply, UpkeepFacts } from '../protocol.js';
import { changeConfig, defaultConfig, keepConfig, readConfig, sinkName } from './config.js';
import type { AlarmChange, AlarmConfig } from './config.js';
import type { Courier } from './courier.js';
import { Dispatcher } from './dispatcher.js';
import type { SinkResult } from './dispatcher.js';
import { MassChanges } from './mass-change/mass-changes.js';
import { alarmMessage, digestMessage, testMessage } from './message.js';
import type { Sender } from './message.js';
import { Watcher } from './watcher.js';

export interface AlarmsOptions {
  readonly volume: Volume;
  readonly mounted: Mounted;
  /** The protected directory, as people know it. */
  readonly directory: string;
  readonly logger: Logger;
  readonly courier: Courier;
  readonly backups: () => BackupReading;
  readonly pair: () => PairReading;
}

export interface Measured {
  readonly samples: readonly SpaceSample[];
  readonly totalBytes: number;
}

export class Alarms {
  readonly #options: AlarmsOptions;
  readonly #sender: Sender;
  readonly #dispatcher: Dispatcher;
  readonly #watcher: Watcher;
  readonly #massChanges: MassChanges;
  #config: AlarmConfig;

  /** Begins to look. A configuration that is no good is said, and the defaults hold. */
  constructor(options: AlarmsOptions) {
    const { volume, mounted, directory, logger, courier } = options;
    this.#options = options;
    this.#sender = { host: hostname(), volume: directory };
    this.#dispatcher = new Dispatcher(logger, courier);
    this.#config = this.#readOrDefault();
    this.#massChanges = new MassChanges({ volume, mounted, directory, logger, onIncident: () => this.#judgeMassChange() });
    this.#watcher = new Watcher({
      volume, logger, config: () => this.#config, massChange: () => this.#massChanges.reading(), backups: options.backups, pair: options.pair,
      onTold: (told) => void this.#dispatcher.send(this.#config.sinks, alarmMessage(this.#sender, told, Date.now())),
      onDigest: (lines) => void this.#dispatcher.send(this.#config.sinks.filter(({ digest }) => digest), digestMessage(this.#sender, Date.now(), lines)),
    });
    volume.upkeep.scrub.run(this.#config.scrub);
    this.#massChanges.configure(this.#config.massChange);
    void this.#watcher.look();
  }

  show(): AlarmsReply {
    return { config: this.#config, ...this.facts() };
  }

  /** What `status` and the metrics tell. */
  facts(): UpkeepFacts {
    // One that goes on has more to tell by now.
    this.#judgeMassChange();
    this.pairChanged();
    const { state, progress, failure } = this.#options.volume.upkeep.scrub;
    const reading = this.#watcher.reading;
    const { position, rounds, roundEndedMs, records, faults } = state;
    return {
      alarms: this.#watcher.raised(),
      room: this.#options.volume.room.verdict,
      scrub: { position, progress, rounds, roundEndedMs, records, faults, ...(failure === undefined ? {} : { failure }) },
      ...(reading === undefined ? {} : { disk: { freeBytes: reading.freeBytes, totalBytes: reading.totalBytes, ...(reading.fullInDays === undefined ? {} : { fullInDays: reading.fullInDays }) } }),
    };
  }

  /** What was measured of the disk; undefined before the first look. */
  measured(): Measured | undefined {
    const { reading, samples } = this.#watcher;
    return reading === undefined ? undefined : { samples, totalBytes: reading.totalBytes };
  }

  /** Throws VolumeError, and then nothing has changed. */
  async change(change: AlarmChange): Promise<AlarmsReply> {
    const { upkeep } = this.#options.volume;
    // From the file: one that is no good must not be overwritten.
    const config = changeConfig(readConfig(upkeep.store), change);
    keepConfig(upkeep.store, config);
    this.#config = config;
    upkeep.scrub.run(config.scrub);
    this.#massChanges.configure(config.massChange);
    await this.#watcher.look();
    return this.show();
  }

  test(): Promise<SinkResult[]> {
    return this.#dispatcher.send(this.#config.sinks, testMessage(this.#sender, Date.now()));
  }

  acknowledge(): number {
    return this.#watcher.acknowledge();
  }

  /** The addon has noticed one. */
  massChange(change: MassChange): void {
    this.#massChanges.notice(change);
  }

  /** How a pair works has changed: that is told at once. */
  pairChanged(): void {
    this.#watcher.judge('pair', judgePair({ pair: this.#options.pair() }), Date.now());
  }

  /** Until the returned function is called, what this process changes is no mass change. */
  exempt(pid: number): () => void {
    return this.#massChanges.exempt(pid);
  }

  /** Lets the processes go on that were stopped for a mass change; returns how many there still were. */
  release(): number {
    const count = this.#massChanges.release();
    this.#judgeMassChange();
    return count;
  }

  /** Sends the digest now; returns the sinks that want it. */
  async digest(): Promise<string[]> {
    await this.#watcher.digest();
    return this.#config.sinks.filter(({ digest }) => digest).map(sinkName);
  }

  async close(): Promise<void> {
    await this.#watcher.close();
    await this.#massChanges.close();
  }

  #judgeMassChange(): void {
    const nowMs = Date.now();
    this.#watcher.judge('mass-change', judgeMassChange({ atMs: nowMs, massChange: this.#massChanges.reading() }), nowMs);
  }

  #readOrDefault(): AlarmConfig {
    const { volume, logger } = this.#options;
    try {
      return readConfig(volume.upkeep.store);
    } catch (error) {
      const line = `${error instanceof Error ? error.message : String(error)}: until it is corrected and the volume mounted again, alarms go to the daemon's log alone`;
      volume.notices.push(line);
      logger.error(line);
      return defaultConfig;
    }
  }
}
