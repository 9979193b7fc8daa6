/**
 * Looks at the volume now and then, and finds out what is to be told. In: readings, limits. Out: messages; what it remembers is kept in the store.
 *
 * Invariants:
 * 1. All decisions are made by the pure rules of the engine; here are only the clock, the readings, and the memory.
 * 2. One look at a time. A look that fails is said once in the log, and the next is tried. None waits for the disk to be written.
 * 3. After `close` nothing is read and nothing is told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { alarmNames, rules } from '../../engine/alarm-rules.js';
import type { AlarmName, BackupReading, PairReading, MassChangeReading, Reading, Verdict } from '../../engine/alarm-rules.js';
import { acknowledge, firstMemory, step } from '../../engine/alarm-states.js';
import type { AlarmMemory } from '../../engine/alarm-states.js';
import { daysUntilFull, withSample } from '../../engine/forecast.js';
import type { SpaceSample } from '../../engine/forecast.js';
import type { Volume } from '../../engine/volume.js';
import type { AlarmItem } from '../protocol.js';
import type { AlarmConfig } from './config.js';
import { digestLines, isDigestDue } from './digest.js';
import { keepMemory, readMemory } from './memory.js';
import type { DigestMemory, Memory } from './memory.js';
import type { Told } from './message.js';

export interface WatcherOptions {
  readonly volume: Pick<Volume, 'upkeep' | 'status'>;
  readonly config: () => AlarmConfig;
  readonly massChange: () => MassChangeReading | undefined;
  readonly backups: () => BackupReading;
  readonly pair: () => PairReading;
  readonly onTold: (told: Told) => void;
  readonly onDigest: (lines: readonly string[]) => void;
  readonly logger: Logger;
}

/** So many lines of what was told are kept for the digest. */
const toldMax = 100;
/** How long the end may wait for a disk that hangs. */
const farewellMs = 2_000;

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #store: string;
  #memory: Memory;
  #reading: Reading | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #keeping: Promise<void> | undefined;
  #isKept = true;
  #complaint = '';
  #isClosed = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#store = options.volume.upkeep.store;
    this.#memory = readMemory(this.#store);
  }

  /** The last reading; undefined before the first. */
  get reading(): Reading | undefined {
    return this.#reading;
  }

  /** What was measured each hour. */
  get samples(): readonly SpaceSample[] {
    return this.#memory.samples;
  }

  /** The alarms that are raised. */
  raised(): AlarmItem[] {
    return alarmNames.flatMap((alarm): AlarmItem[] => {
      const { raisedAtMs, what = '', remedy = rules[alarm].remedy, isAcknowledged = false } = this.#memory.alarms[alarm] ?? firstMemory;
      return raisedAtMs === undefined ? [] : [{ alarm, what, remedy, sinceMs: raisedAtMs, isAcknowledged }];
    });
  }

  /** Looks now, and from then on as often as is configured; also to begin. */
  async look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined;
      if (!this.#isClosed) this.#timer = setTimeout(() => void this.look(), this.#options.config().checkEveryMs).unref();
    });
    await this.#looking;
  }

  /** As a look does with every alarm, for one that cannot wait. */
  judge(alarm: AlarmName, verdict: Verdict, nowMs: number): void {
    const { limits } = this.#options.config();
    const known = this.#memory.alarms[alarm] ?? firstMemory;
    const { memory, event } = step(known, verdict, rules[alarm], { nowMs, limits });
    this.#remember(alarm, memory);
    if (event === undefined) return;
    const told: Told = { event, alarm, what: memory.what ?? known.what ?? '', remedy: memory.remedy ?? rules[alarm].remedy, sinceMs: memory.raisedAtMs ?? known.raisedAtMs ?? nowMs };
    this.#note(`${new Date(nowMs).toISOString()} ${event}: ${told.what}`);
    this.#options.onTold(told);
    this.#keep();
  }

  /** What is raised now is known, and told no more unless it gets worse. Returns how many. */
  acknowledge(): number {
    const count = this.raised().filter(({ isAcknowledged }) => !isAcknowledged).length;
    for (const alarm of alarmNames) this.#remember(alarm, acknowledge(this.#memory.alarms[alarm] ?? firstMemory));
    this.#keep();
    return count;
  }

  /** Tells the digest now. */
  async digest(): Promise<void> {
    if (this.#reading === undefined) await this.look();
    const reading = this.#reading;
    if (reading === undefined) return;
    const status = await this.#options.volume.status();
    const { transactions } = status;
    const historyBytes = Number(status.historyBytes);
    const { scrub } = this.#options.volume.upkeep;
    const now: DigestMemory = { atMs: Date.now(), transactions, historyBytes, told: [] };
    const { freeBytes, fullInDays } = reading;
    const raised = this.raised().map(({ what, sinceMs }) => `${what} (since ${new Date(sinceMs).toISOString()})`);
    const facts = { nowMs: now.atMs, transactions, historyBytes, freeBytes, fullInDays, scrub: scrub.state, scrubProgress: scrub.progress, raised };
    this.#options.onDigest(digestLines(facts, this.#memory.digest ?? now));
    this.#memory = { ...this.#memory, digest: now };
    this.#keep();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await Promise.race([Promise.all([this.#looking, this.#keeping]), sleep(farewellMs, undefined, { ref: false })]);
  }

  async #lookOnce(): Promise<void> {
    if (this.#isClosed) return;
    try {
      const read = await this.#options.volume.upkeep.read();
      const before = this.#memory;
      const sample = { atMs: read.atMs, freeBytes: read.freeBytes };
      this.#memory = { ...before, samples: withSample(before.samples, sample) };
      const reading = { ...read, fullInDays: daysUntilFull(this.#memory.samples, sample), massChange: this.#options.massChange(), backups: this.#options.backups(), pair: this.#options.pair() };
      this.#judge(reading);
      if (this.#memory.samples.at(-1) === sample) void this.#countHistory(sample);
      await this.#digestIfDue(reading);
      if (this.#isWorthKeeping(before)) this.#keep();
    } catch (error) {
      this.#complain(error, 'the alarms could not look at the volume');
    }
  }

  /** Not awaited either: counting waits for the disk. */
  async #countHistory(sample: SpaceSample): Promise<void> {
    try {
      const historyBytes = Number((await this.#options.volume.status()).historyBytes);
      this.#memory = { ...this.#memory, samples: this.#memory.samples.map((one) => one === sample ? { ...one, historyBytes } : one) };
      if (!this.#isClosed) this.#keep();
    } catch (error) {
      this.#complain(error, 'what history takes could not be counted');
    }
  }

  #judge(reading: Reading): void {
    const { limits } = this.#options.config();
    for (const alarm of alarmNames) this.judge(alarm, rules[alarm].judge(reading, this.#reading, limits), reading.atMs);
    this.#reading = reading;
  }

  async #digestIfDue(reading: Reading): Promise<void> {
    const last = this.#memory.digest;
    // The first one tells what has happened since today.
    if (last === undefined) this.#memory = { ...this.#memory, digest: { atMs: reading.atMs, transactions: reading.transactions, told: [] } };
    else if (isDigestDue(last.atMs, reading.atMs, this.#options.config().digestAt)) await this.digest();
  }

  /** Not awaited: a disk that hangs is what is to be told of, and must not end the looking. */
  #keep(): void {
    this.#isKept = false;
    this.#keeping ??= this.#writeUntilKept().finally(() => { this.#keeping = undefined; });
  }

  async #writeUntilKept(): Promise<void> {
    while (!this.#isKept) {
      this.#isKept = true;
      try {
        await keepMemory(this.#store, this.#memory);
      } catch (error) {
        this.#complain(error, 'what the alarms remember could not be kept');
      }
    }
  }

  #complain(error: unknown, what: string): void {
    const complaint = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    if (complaint !== this.#complaint) this.#options.logger.error(error, what);
    this.#complaint = complaint;
  }

  #remember(alarm: AlarmName, memory: AlarmMemory): void {
    this.#memory = { ...this.#memory, alarms: { ...this.#memory.alarms, [alarm]: memory } };
  }

  #note(line: string): void {
    const { digest } = this.#memory;
    if (digest !== undefined) this.#memory = { ...this.#memory, digest: { ...digest, told: [...digest.told, line].slice(-toldMax) } };
  }

  /** Not at every look: a clean alarm and the time since when are no news. */
  #isWorthKeeping(before: Memory): boolean {
    const told = (memory: Memory): string => JSON.stringify(alarmNames.map((alarm) => [memory.alarms[alarm]?.toldAtMs, memory.alarms[alarm]?.raisedAtMs, memory.alarms[alarm]?.weight]));
    return before.samples !== this.#memory.samples || before.digest !== this.#memory.digest || told(before) !== told(this.#memory);
  }
}
