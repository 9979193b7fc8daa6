/**
 * The alarms of a mounted volume as one thing: configuration, watcher, sinks, and the scrub's pace, which is chosen in the same place. In: a volume. Out: what commands ask for.
 *
 * Invariants:
 * 1. A change takes effect when it is kept, at once, or not at all.
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Volume } from '../../engine/volume.js';
import type { AlarmsReply, UpkeepFacts } from '../protocol.js';
import { changeConfig, defaultConfig, keepConfig, readConfig, sinkName } from './config.js';
import type { AlarmChange, AlarmConfig } from './config.js';
import type { Courier } from './courier.js';
import { Dispatcher } from './dispatcher.js';
import type { SinkResult } from './dispatcher.js';
import { alarmMessage, digestMessage, testMessage } from './message.js';
import type { Sender } from './message.js';
import { Watcher } from './watcher.js';

export interface AlarmsOptions {
  readonly volume: Volume;
  /** The protected directory, as people know it. */
  readonly directory: string;
  readonly logger: Logger;
  readonly courier: Courier;
}

export class Alarms {
  readonly #options: AlarmsOptions;
  readonly #sender: Sender;
  readonly #dispatcher: Dispatcher;
  readonly #watcher: Watcher;
  #config: AlarmConfig;

  /** Begins to look. A configuration that is no good is said, and the defaults hold. */
  constructor(options: AlarmsOptions) {
    const { volume, directory, logger, courier } = options;
    this.#options = options;
    this.#sender = { host: hostname(), volume: directory };
    this.#dispatcher = new Dispatcher(logger, courier);
    this.#config = this.#readOrDefault();
    this.#watcher = new Watcher({
      volume, logger, config: () => this.#config,
      onTold: (told) => void this.#dispatcher.send(this.#config.sinks, alarmMessage(this.#sender, told, Date.now())),
      onDigest: (lines) => void this.#dispatcher.send(this.#config.sinks.filter(({ digest }) => digest), digestMessage(this.#sender, Date.now(), lines)),
    });
    volume.upkeep.scrub.run(this.#config.scrub);
    void this.#watcher.look();
  }

  show(): AlarmsReply {
    return { config: this.#config, ...this.facts() };
  }

  /** What `status` and the metrics tell. */
  facts(): UpkeepFacts {
    const { state, progress, failure } = this.#options.volume.upkeep.scrub;
    const reading = this.#watcher.reading;
    const { position, rounds, roundEndedMs, records, faults } = state;
    return {
      alarms: this.#watcher.raised(),
      scrub: { position, progress, rounds, roundEndedMs, records, faults, ...(failure === undefined ? {} : { failure }) },
      ...(reading === undefined ? {} : { disk: { freeBytes: reading.freeBytes, totalBytes: reading.totalBytes, ...(reading.fullInDays === undefined ? {} : { fullInDays: reading.fullInDays }) } }),
    };
  }

  /** Throws VolumeError, and then nothing has changed. */
  async change(change: AlarmChange): Promise<AlarmsReply> {
    const { upkeep } = this.#options.volume;
    // From the file: one that is no good must not be overwritten.
    const config = changeConfig(readConfig(upkeep.store), change);
    keepConfig(upkeep.store, config);
    this.#config = config;
    upkeep.scrub.run(config.scrub);
    await this.#watcher.look();
    return this.show();
  }

  test(): Promise<SinkResult[]> {
    return this.#dispatcher.send(this.#config.sinks, testMessage(this.#sender, Date.now()));
  }

  acknowledge(): number {
    return this.#watcher.acknowledge();
  }

  /** Sends the digest now; returns the sinks that want it. */
  async digest(): Promise<string[]> {
    await this.#watcher.digest();
    return this.#config.sinks.filter(({ digest }) => digest).map(sinkName);
  }

  close(): Promise<void> {
    return this.#watcher.close();
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
