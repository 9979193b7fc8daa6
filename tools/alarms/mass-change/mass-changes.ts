/**
 * Mass changes of a mounted volume: what is done when the addon notices one. In: its events, what is configured. Out: processes stopped (where that is wanted), a pin of the moment
 * before, and what the alarm says.
 *
 * Invariants:
 * 1. First the processes are stopped, then the alarm is raised, then the group's next change goes on (the addon waits half a second for that), then the moment is pinned.
 * 2. What `tidemark restore` does is no mass change, nor is it ever stopped.
 * 3. A fault in any of this ends none of the rest.
 * 4. Whoever was told of, and goes on while daemons are exchanged, is not told of once more.
 */
import type { Logger } from 'pino';
import type { MassChangeReading } from '../../../engine/alarm-rules.js';
import { VolumeError } from '../../../engine/errors.js';
import { txid as toTxid } from '../../../engine/ids.js';
import type { Txid } from '../../../engine/types.js';
import type { Volume } from '../../../engine/volume.js';
import type { Mounted } from '../../../fs/mount.js';
import type { MassChange } from '../../../native/types.js';
import type { AlarmConfig } from '../config.js';
import { keepMassChanges, readMassChanges } from './memory.js';
import type { Incident, MassChangeMemory } from './memory.js';
import { leaderOf, letGo, stopGroup } from './processes.js';
import { massChangeRemedy, massChangeText, pinName, pinsToGiveUp } from './words.js';

export interface MassChangesOptions {
  readonly volume: Pick<Volume, 'pins' | 'pin' | 'pinAhead' | 'unpin' | 'settled' | 'snapshotAt' | 'transaction'> & { readonly upkeep: { readonly store: string } };
  readonly mounted: Pick<Mounted, 'watchMassChanges' | 'massChangeSeen' | 'allowMassChange' | 'massChangeCount' | 'invalidateSnapshots'>;
  /** The protected directory, as people know it. */
  readonly directory: string;
  readonly logger: Logger;
  /** There is something new to be said by `reading`; called before the group goes on. */
  readonly onIncident: () => void;
}

const incidentsMax = 20;

/** So long a group is told of once, if it has not been quiet (mass_watch.h: a minute; what is counted is looked at every 15 s). */
const toldForMs = 75_000;

export class MassChanges {
  readonly #options: MassChangesOptions;
  readonly #exempt = new Set<number>();
  #mode: AlarmConfig['massChange']['mode'] = 'off';
  #memory: MassChangeMemory;
  #work: Promise<void> = Promise.resolve();
  /** The newest incident of the daemon before this one: the addon counts from here on only. */
  readonly #before: { readonly serial: number; readonly files: number } | undefined;

  constructor(options: MassChangesOptions) {
    this.#options = options;
    this.#memory = readMassChanges(options.volume.upkeep.store);
    this.#before = this.#memory.incidents.at(-1);
    const nowMs = Date.now();
    for (const { uid, session, atMs, seenMs = atMs } of this.#memory.incidents) {
      if (nowMs - seenMs < toldForMs) options.mounted.allowMassChange(uid, session);
    }
  }

  configure({ mode, files }: AlarmConfig['massChange']): void {
    this.#mode = mode;
    this.#options.mounted.watchMassChanges(mode === 'off' ? 0 : files);
  }

  /** The newest one; undefined when there never was any. */
  reading(): MassChangeReading | undefined {
    this.#count();
    const incident = this.#memory.incidents.at(-1);
    if (incident === undefined) return undefined;
    const { serial, atMs } = incident;
    return { serial, atMs, what: massChangeText(incident), remedy: massChangeRemedy(incident, this.#options.directory) };
  }

  /** What the addon tells. */
  notice(change: MassChange): void {
    const { mounted, logger } = this.#options;
    try {
      if (this.#mode !== 'off' && !this.#isExempt(change)) this.#take(change);
    } catch (error) {
      logger.error(error, 'a mass change could not be seen to');
    } finally {
      mounted.massChangeSeen(change.uid, change.session);
    }
  }

  /** What this process changes is meant, until the returned function is called. */
  exempt(pid: number): () => void {
    this.#exempt.add(pid);
    return () => { this.#exempt.delete(pid); };
  }

  /** Lets all that were stopped go on; returns how many processes that were. */
  release(): number {
    const { mounted } = this.#options;
    let count = 0;
    for (const incident of this.#memory.incidents) {
      if (incident.held.length === 0) continue;
      // First, so that they are not told of again at once.
      mounted.allowMassChange(incident.uid, incident.session);
      count += letGo(incident.held).length;
      this.#amend(incident.serial, { held: [] });
    }
    this.#keep();
    return count;
  }

  /** Resolves when what was begun is done. */
  async close(): Promise<void> {
    await this.#work;
  }

  #isExempt({ pids }: MassChange): boolean {
    return this.#exempt.size > 0 && pids.every((thread) => this.#exempt.has(leaderOf(thread) ?? 0));
  }

  #take(change: MassChange): void {
    const stopped = this.#mode === 'hold' ? stopGroup(change, change.pids) : { held: [] };
    const { uid, session, overwritten, removed, renamed } = change;
    const pid = leaderOf(change.pid) ?? change.pid;
    const serial = this.#memory.serial + 1;
    const firstMs = Number(change.firstNs / 1_000_000n);
    const incident: Incident = {
      serial, atMs: Date.now(), forMs: Number(change.lastNs - change.firstNs) / 1e6, uid, session, pid, command: change.command.toString('utf8'),
      overwritten, removed, renamed, files: overwritten + removed + renamed, examples: change.examples.map((path) => `/${path.toString('utf8')}`),
      txid: String(change.firstTxid - 1n), pin: pinName(firstMs, this.#takenNames()), held: [...stopped.held], ...holdFault(this.#mode, stopped),
    };
    this.#memory = { serial, incidents: [...this.#memory.incidents, incident].slice(-incidentsMax) };
    this.#options.onIncident();
    this.#keep();
    this.#work = this.#work.then(() => this.#pin(serial, incident.pin, change));
  }

  #takenNames(): Set<string> {
    return new Set([...this.#options.volume.pins().map(({ name }) => name), ...this.#memory.incidents.map(({ pin }) => pin)]);
  }

  async #pin(serial: number, pin: string, { firstTxid, firstNs }: MassChange): Promise<void> {
    const { volume, mounted, logger } = this.#options;
    try {
      const surplus = pinsToGiveUp(volume.pins(), Date.now());
      if (surplus === undefined) throw new Error('there are many such pins already, none older than a day; see "tidemark pins"');
      const txid = await this.#pinMoment(pin, toTxid(firstTxid - 1n), firstNs);
      for (const name of surplus) await volume.unpin(name);
      if (surplus.length > 0) mounted.invalidateSnapshots();
      logger.info({ pin, txid: String(txid) }, 'the moment before a mass change is pinned');
    } catch (error) {
      logger.error(error, 'the moment before a mass change could not be pinned');
      this.#amend(serial, { pinFault: error instanceof Error ? error.message : String(error) });
      this.#keep();
    }
  }

  /** The index does not catch up for it while the change goes on; only where the policy is so narrow that this very moment is no longer there an older one has to be looked for. */
  async #pinMoment(pin: string, before: Txid, firstNs: bigint): Promise<Txid> {
    const { volume } = this.#options;
    try {
      await volume.pinAhead(pin, before);
      return before;
    } catch (error) {
      if (!(error instanceof VolumeError && error.code === 'ENOENT')) throw error;
      await volume.settled();
      const txid = volume.transaction(before) === undefined ? volume.snapshotAt(firstNs - 1n) : before;
      await volume.pin(pin, txid);
      return txid;
    }
  }

  /** The numbers grow while it goes on. */
  #count(): void {
    const incident = this.#memory.incidents.at(-1);
    if (incident === undefined) return;
    const before = this.#before?.serial === incident.serial ? this.#before.files : 0;
    const files = before + this.#options.mounted.massChangeCount(incident.uid, incident.session);
    if (files <= incident.files) return;
    this.#amend(incident.serial, { files, seenMs: Date.now() });
    this.#keep();
  }

  #amend(serial: number, changed: Partial<Incident>): void {
    this.#memory = { ...this.#memory, incidents: this.#memory.incidents.map((one) => (one.serial === serial ? { ...one, ...changed } : one)) };
  }

  #keep(): void {
    const { volume, logger } = this.#options;
    this.#work = this.#work.then(async () => {
      try {
        await keepMassChanges(volume.upkeep.store, this.#memory);
      } catch (error) {
        logger.error(error, 'what is known of mass changes could not be kept');
      }
    });
  }
}

function holdFault(mode: string, { held, fault }: { readonly held: readonly unknown[]; readonly fault?: string }): { holdFault?: string } {
  if (mode !== 'hold') return {};
  if (fault !== undefined) return { holdFault: `not all of its processes could be stopped (${fault})` };
  return held.length > 0 ? {} : { holdFault: 'there was no process left, or none that may be stopped' };
}
