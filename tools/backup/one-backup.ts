/**
 * One backup, or two-way sync, of a mounted volume: when it is due, its runs, how it stands. In: its record, the clock. Out: runner processes, one at a time; a record that is kept after each step.
 *
 * Invariants:
 * 1. It never does two things at once; what is asked for meanwhile waits.
 * 2. The snapshot that a run brings is pinned and noted before the run begins. So after any end of anything the next run knows where to go on.
 * 3. A due time that passed while nothing was mounted is made up once.
 */
import type { Logger } from 'pino';
import { messageOf } from '../../engine/errors.js';
import type { Txid } from '../../engine/types.js';
import type { Volume } from '../../engine/volume.js';
import type { Report } from '../../replica/progress.js';
import { nextAfter, parseSchedule } from '../../replica/schedule.js';
import type { Schedule } from '../../replica/schedule.js';
import { DaemonError } from '../errors.js';
import type { RegistryEntry } from '../registry.js';
import { OtherWatch } from '../sync/other-watch.js';
import { Drive } from './drive.js';
import { hasComeDue, isRunWanted, isTimeFor, mayWork } from './due.js';
import type { Standing } from './due.js';
import type { Asked, RunnerOrder } from './order.js';
import { BackupPins } from './pinned.js';
import { kindOf } from './names.js';
import { keepRecord } from './record.js';
import type { BackupConfig, BackupRecord, BackupState, RunRecord } from './record.js';
import { RunnerProcess } from './runner-process.js';
import type { LastAnswer } from './runner-process.js';
import { outcomeOfRun, outcomeOfSync, verifiedRecord } from './told.js';
import type { Outcome } from './told.js';

export interface BackupSurroundings {
  readonly volume: Volume;
  readonly entry: RegistryEntry;
  readonly logger: Logger;
  /** What this process changes in the volume is no mass change, until the returned function is called. */
  readonly exempt: (pid: number) => () => void;
}

export type Task = 'run' | 'verify' | 'test';

const firstRetryMs = 30_000;
const longestRetryMs = 900_000;
/** A continuous sync rests so many times as long as it worked. */
const restFactor = 4;
const shortestRestMs = 1000;

/** Of one run that somebody asks for; `percent`: of a verification. */
export interface RunRequest extends Asked {
  readonly percent?: number | undefined;
}

export class OneBackup {
  readonly config: BackupConfig;
  readonly #around: BackupSurroundings;
  readonly #schedule: Schedule | undefined;
  readonly #pins: BackupPins;
  readonly #drive: Drive | undefined;
  readonly #watch: OtherWatch | undefined;
  readonly #listeners = new Set<(report: Report) => void>();
  #state: BackupState;
  #runner: RunnerProcess | undefined;
  #working: { readonly task: Task; /** By somebody, who need not wait for a window. */ readonly isAsked: boolean; readonly startedMs: number; readonly done: Promise<void> } | undefined;
  #report: Report | undefined;
  #retryAtMs = 0;
  #failures = 0;
  #isStopped = false;

  constructor({ config, state }: BackupRecord, around: BackupSurroundings) {
    this.config = config;
    this.#state = state;
    this.#around = around;
    this.#schedule = config.schedule === undefined ? undefined : parseSchedule(config.schedule, config.timeZone);
    this.#pins = new BackupPins(around.volume, kindOf(config), config.name);
    this.#drive = config.device === undefined ? undefined : new Drive(config.device, config.name);
    const watched = config.sync !== undefined && config.place.kind === 'directory' && this.#schedule?.kind === 'continuous' ? config.place.path : undefined;
    this.#watch = watched === undefined ? undefined : new OtherWatch(watched, () => { this.#retryAtMs = 0; });
  }

  get state(): BackupState {
    return this.#state;
  }

  get schedule(): Schedule | undefined {
    return this.#schedule;
  }

  /** What it is at; undefined: nothing. */
  get doing(): { readonly task: Task; readonly startedMs: number; readonly report?: Report } | undefined {
    if (this.#working === undefined) return undefined;
    const { task, startedMs } = this.#working;
    return { task, startedMs, ...(this.#report === undefined ? {} : { report: this.#report }) };
  }

  /** Of a continuous one: something has happened that the destination, or this side, does not have. */
  get isBehind(): boolean {
    return this.#around.volume.native.logState().ended !== BigInt(this.#state.cursor?.txid ?? -1) || this.#watch?.hasChanged(Date.now()) === true;
  }

  /** When it will run next, as far as the clock decides. */
  nextMs(): number | undefined {
    return this.#schedule === undefined ? undefined : nextAfter(this.#schedule, Math.max(this.#state.dueMs ?? this.#state.addedMs, Date.now()));
  }

  /** Looks whether something is to be done, and begins it. Called every second or so. */
  tick(nowMs: number): void {
    if (this.#isStopped) return;
    const standing = this.#standing();
    if (hasComeDue(standing, nowMs)) {
      if (this.#drive !== undefined) this.#retryAtMs = 0;
      this.#change({ dueMs: nowMs });
    }
    if (!this.#state.isPaused) this.#watch?.keep(nowMs);
    if (this.#working !== undefined) {
      if (!this.#working.isAsked && !mayWork(standing, nowMs)) this.#interrupt('the window or a pause ended it');
      return;
    }
    if (!mayWork(standing, nowMs) || nowMs < this.#retryAtMs) return;
    if (isRunWanted(this.#standing())) this.#begin('run', false, {});
    else if (isTimeFor(standing, this.config.verify?.schedule, this.#state.verifiedMs, nowMs)) this.#begin('verify', false, {});
    else if (isTimeFor(standing, this.config.test?.schedule, this.#state.testedMs, nowMs)) this.#begin('test', false, {});
  }

  /** Does it now, after what it is at. Throws DaemonError when it fails. */
  async now(task: Task, request: RunRequest, onReport: (report: Report) => void): Promise<RunRecord> {
    this.#listeners.add(onReport);
    try {
      while (this.#working !== undefined) await this.#working.done;
      if (this.#isStopped) throw new DaemonError('ECLOSED', 'the volume is being unmounted');
      const record = await this.#begin(task, true, request);
      if (record.error !== undefined) throw new DaemonError('EBACKUP', record.error);
      return record;
    } finally {
      this.#listeners.delete(onReport);
    }
  }

  /** What is under way ends, and nothing begins by itself. */
  async pause(): Promise<void> {
    this.#change({ isPaused: true });
    this.#watch?.stop();
    this.#interrupt('it was paused');
    await this.#working?.done;
  }

  resume(): void {
    this.#retryAtMs = 0;
    this.#change({ isPaused: false });
  }

  /** Before it is removed, or the volume closed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#watch?.stop();
    this.#interrupt('the daemon ends');
    await this.#working?.done;
  }

  /** After `stop`, when the volume was not closed after all. */
  goOn(): void {
    this.#isStopped = false;
  }

  async forget(): Promise<void> {
    await this.#pins.remove();
  }

  #standing(): Standing {
    return { config: this.config, state: this.#state, schedule: this.#schedule, drive: this.#drive, isBehind: this.isBehind };
  }

  #interrupt(why: string): void {
    if (this.#runner === undefined) return;
    this.#around.logger.info({ backup: this.config.name, why }, 'backup interrupted');
    this.#runner.stop();
  }

  #begin(task: Task, isAsked: boolean, request: RunRequest): Promise<RunRecord> {
    const startedMs = Date.now();
    const work = this.#perform(task, startedMs, request);
    const done = work.then(() => undefined, (error: unknown) => { this.#around.logger.error(error, 'backup failed'); }).finally(() => {
      this.#working = undefined;
      this.#report = undefined;
    });
    this.#working = { task, isAsked, startedMs, done };
    return work;
  }

  async #perform(task: Task, startedMs: number, request: RunRequest): Promise<RunRecord> {
    let record: RunRecord;
    try {
      record = task === 'run' ? await this.#run(startedMs, request) : await this.#check(task, startedMs, request.percent);
    } catch (error) {
      record = { kind: task, startedMs, endedMs: Date.now(), notes: [], error: messageOf(error) };
    }
    this.#settle(record);
    return record;
  }

  /** A backup that was interrupted is finished first; then, since it is of the past, one to the present follows. A sync always begins with the present. */
  async #run(startedMs: number, asked: Asked): Promise<RunRecord> {
    const wasPending = this.#state.pending !== undefined && this.config.sync === undefined;
    const first = await this.#runOnce(startedMs, asked);
    return wasPending && first.error === undefined ? this.#runOnce(Date.now(), asked) : first;
  }

  async #runOnce(startedMs: number, asked: Asked): Promise<RunRecord> {
    const target = await this.#target();
    this.#watch?.take();
    const answer = await this.#ask({ task: 'run', txid: target.txid, timeNs: target.timeNs, asked });
    const record = { kind: 'run', startedMs, endedMs: Date.now(), timeNs: target.timeNs } as const;
    const outcome = 'synced' in answer ? outcomeOfSync(answer.synced) : 'result' in answer ? outcomeOfRun(answer.result) : undefined;
    if (outcome === undefined) return { ...record, notes: [], error: 'failed' in answer ? answer.failed.message : 'it said nothing' };
    return { ...record, ...await this.#arrived(target, outcome, startedMs) };
  }

  async #arrived(target: { txid: string; timeNs: string }, outcome: Outcome, startedMs: number): Promise<Outcome['record']> {
    await this.#pins.arrived(BigInt(target.txid) as Txid);
    const { pending: _pending, ...state } = this.#state;
    this.#state = { ...state, ...outcome.state, cursor: target, succeededMs: startedMs };
    return { ...outcome.record, notes: [...outcome.record.notes, ...(this.#drive === undefined ? [] : [await this.#drive.release()])] };
  }

  /** The snapshot to bring: the one that an earlier run was at, or the present. */
  async #target(): Promise<{ txid: string; timeNs: string }> {
    const { volume } = this.#around;
    const pending = this.config.sync === undefined ? this.#state.pending : undefined;
    if (pending !== undefined && volume.transaction(BigInt(pending.txid) as Txid) !== undefined) {
      await this.#pins.begin(BigInt(pending.txid) as Txid);
      return pending;
    }
    const { txid, timeNs } = await volume.settled();
    await this.#pins.begin(txid);
    const target = { txid: String(txid), timeNs: String(timeNs) };
    this.#change({ pending: target });
    return target;
  }

  async #check(task: 'verify' | 'test', startedMs: number, percent: number | undefined): Promise<RunRecord> {
    const answer = await this.#ask({ task, percent: percent ?? this.config.verify?.percent ?? 100 });
    const base = { kind: task, startedMs, endedMs: Date.now() };
    if ('tested' in answer) return { ...base, files: answer.tested.files, notes: answer.tested.output === '' ? [] : [answer.tested.output] };
    if ('verified' in answer) {
      const bad = [...new Set([...answer.verified.missing, ...answer.verified.damaged])];
      if (bad.length > 0) this.#change({ again: [...new Set([...this.#state.again, ...bad])] });
      return { ...base, ...verifiedRecord(answer.verified, this.config.name) };
    }
    return { ...base, notes: [], error: 'failed' in answer ? answer.failed.message : 'it said nothing' };
  }

  async #ask(order: Pick<RunnerOrder, 'task'> & Partial<RunnerOrder>): Promise<LastAnswer> {
    const { volume, entry } = this.#around;
    const place = this.#drive === undefined ? this.config.place : await this.#drive.place();
    if (this.#isStopped) return { failed: { fault: 'stopped', message: 'the volume is being unmounted' } };
    this.#runner = new RunnerProcess({
      config: this.config, place, volume: volume.id, directory: entry.directory, mountpoint: entry.mountpoint, socket: entry.socket, withoutHistory: volume.excludes,
      txid: '0', timeNs: '0', again: this.#state.again, percent: 100, asked: {}, ...(this.#state.cursor === undefined ? {} : { since: this.#state.cursor.txid }), ...order,
    }, volume.upkeep.store, (report) => {
      this.#report = report;
      for (const listener of this.#listeners) listener(report);
    });
    const { pid } = this.#runner;
    const endExemption = this.config.sync === undefined || pid === undefined ? undefined : this.#around.exempt(pid);
    try {
      return await this.#runner.answer;
    } finally {
      this.#runner = undefined;
      endExemption?.();
    }
  }

  #settle(record: RunRecord): void {
    const { kind, error, endedMs } = record;
    const { [kind]: _fault, ...others } = this.#state.faults;
    const faults = error === undefined ? (kind === 'run' ? withoutVerify(others) : others) : { ...this.#state.faults, [kind]: error };
    this.#failures = error === undefined ? 0 : this.#failures + 1;
    const restMs = this.#watch === undefined ? 0 : Math.max(shortestRestMs, restFactor * (endedMs - record.startedMs));
    this.#retryAtMs = error === undefined ? endedMs + restMs : endedMs + Math.min(longestRetryMs, firstRetryMs * 2 ** (this.#failures - 1));
    const checked = kind === 'verify' ? { verifiedMs: endedMs } : kind === 'test' ? { testedMs: endedMs } : {};
    this.#change({ ...checked, faults, runs: [...this.#state.runs, record] });
    const facts = { backup: this.config.name, task: kind, files: record.files, bytes: record.bytes, notes: record.notes, ms: endedMs - record.startedMs };
    if (error === undefined) this.#around.logger.info(facts, 'backup done');
    else this.#around.logger.error({ ...facts, error }, 'backup failed');
  }

  #change(change: Partial<BackupState>): void {
    this.#state = { ...this.#state, ...change };
    keepRecord(this.#around.volume.upkeep.store, { config: this.config, state: this.#state });
  }
}

/** What verify found has been sent again. */
function withoutVerify({ verify: _verify, ...others }: BackupState['faults']): BackupState['faults'] {
  return others;
}
