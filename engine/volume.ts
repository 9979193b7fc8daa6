/**
 * A protected directory with its history: opens store, log and index, and answers every question about the past. In: a
 * directory. Out: the History port, with or without a mount.
 *
 * Invariants:
 * 1. Whatever opening finds and repairs, and what goes wrong later, is said in one line: to `say`, and in `notices`.
 * 2. `close` releases everything, also when opening fails half-way; it may be called twice.
 */
import { resolve } from 'node:path';
import { decodeAttributes } from './attributes.js';
import { Changes } from './changes.js';
import { deletedEntries } from './deleted.js';
import type { DeletedEntry } from './deleted.js';
import { Diff } from './diff.js';
import { DiskUsage } from './disk-usage.js';
import { VolumeError } from './errors.js';
import { compileExcludes } from './excludes.js';
import { lsn } from './ids.js';
import { IndexService } from './index-service.js';
import { LogQueries } from './log-query.js';
import { clockNs } from './moments.js';
import { loadAddon } from './native.js';
import type { NativeAddon, NativeVolume } from './native.js';
import { openStore, recordExternalChanges } from './opening.js';
import type { StoreOpenOptions } from './opening.js';
import { Paths } from './paths.js';
import { Pins } from './pins.js';
import { PlanReader } from './plan-reader.js';
import type { History } from './ports.js';
import { Reclaim } from './reclaim.js';
import { Resolver } from './resolve.js';
import { keepExcludes } from './store-excludes.js';
import type { StoreFiles } from './store-files.js';
import { Times } from './times.js';
import type { SnapshotName } from './times.js';
import { Transactions } from './transactions.js';
import type { Attributes, Change, Difference, FileId, ListedEntry, LogQuery, Lsn, Pin, Plan, ResolvedEntry, Transaction, Txid, VerifyReport, VerifyRequest, VolumeStatus } from './types.js';
import { Upkeep } from './upkeep.js';

export interface VolumeOpenOptions extends StoreOpenOptions {
  /** Told one line at a time what was found and repaired. */
  readonly say?: (line: string) => void;
  /** The clock, ns since the epoch. */
  readonly nowNs?: () => bigint;
  /** The addon; loaded when not given. */
  readonly addon?: NativeAddon;
}

interface Parts {
  readonly files: StoreFiles;
  readonly addon: NativeAddon;
  readonly native: NativeVolume;
  readonly exclude: readonly string[];
  readonly options: VolumeOpenOptions;
}

export class Volume implements History {
  readonly native: NativeVolume;
  readonly rootId: FileId;
  readonly excludes: readonly string[];
  /** Gives up history. */
  readonly reclaim: Reclaim;
  /** What opening found and repaired, and what happened since, a line each. */
  readonly notices: string[] = [];
  readonly upkeep: Upkeep;
  readonly #parts: Parts;
  readonly #service: IndexService;
  readonly #transactions: Transactions;
  readonly #pins: Pins;
  readonly #times: Times;
  readonly #paths: Paths;
  readonly #resolver: Resolver;
  readonly #changes: Changes;
  readonly #usage: DiskUsage;
  readonly #reader: PlanReader;
  #closed = false;

  /** Opens the volume of a directory, or makes one. Throws VolumeError with the remedy. */
  static async open(directory: string, options: VolumeOpenOptions = {}): Promise<Volume> {
    const addon = options.addon ?? await loadAddon();
    const { files, native, exclude } = openStore(resolve(directory), options, addon);
    let volume: Volume | undefined;
    try {
      volume = new Volume({ files, addon, native, exclude, options });
      await volume.#ready();
      return volume;
    } catch (error) {
      if (volume !== undefined) await volume.close();
      else await native.close().finally(() => { files.close(); });
      throw error;
    }
  }

  private constructor(parts: Parts) {
    const { native, files, exclude, options } = parts;
    this.#parts = parts;
    this.native = native;
    this.rootId = native.rootId;
    this.excludes = exclude;
    this.#service = new IndexService({
      files, isNew: native.recovery.lastTimeNs === 0n,
      setThreadIdle: parts.addon.setThreadIdle, releaseMapped: parts.addon.releaseMapped,
      logState: () => native.logState(), say: (line) => { this.#say(line); }, onMoved: () => { this.#paths?.moved(); },
    });
    const index = this.#service.store;
    this.#transactions = new Transactions(index, files.createdNs);
    this.#pins = new Pins(index, this.#transactions);
    this.#times = new Times(this.#transactions, this.#pins, index, options.nowNs ?? clockNs);
    this.#paths = new Paths(index, native.rootId);
    this.#resolver = new Resolver(native, index, this.#paths, () => this.#service.caughtUp());
    this.#reader = new PlanReader(native, index, this.#resolver, () => this.#service.caughtUp());
    this.#changes = new Changes(index, this.#paths, this.#resolver, this.#transactions);
    this.#usage = new DiskUsage(files);
    this.reclaim = new Reclaim({ files, native, addon: parts.addon, service: this.#service, transactions: this.#transactions, pins: this.#pins, usage: this.#usage, say: (line) => { this.#say(line); } });
    this.upkeep = new Upkeep({ files, addon: parts.addon, native, paths: this.#paths, service: this.#service });
  }

  async caughtUp(): Promise<Lsn> {
    return lsn(await this.#service.caughtUp());
  }

  async settled(): Promise<Transaction> {
    const { ended } = await this.native.settle();
    await this.#service.caughtUp();
    return this.#transactions.get(ended) ?? this.#transactions.last();
  }

  lookup(snapshot: Txid, directory: FileId, name: Buffer): Promise<ResolvedEntry | undefined> {
    return this.#resolver.lookup(Number(snapshot), directory, name);
  }

  list(snapshot: Txid, directory: FileId): Promise<ListedEntry[]> {
    return this.#resolver.list(Number(snapshot), directory);
  }

  attributes(snapshot: Txid, file: FileId): Promise<Buffer> {
    return this.#resolver.attributes(Number(snapshot), file);
  }

  async readLink(file: FileId): Promise<Buffer> {
    return this.#resolver.readLink(file);
  }

  xattrs(snapshot: Txid, file: FileId): Promise<{ name: Buffer; value: Buffer }[]> {
    return this.#resolver.xattrs(Number(snapshot), file);
  }

  plan(snapshot: Txid, file: FileId, size?: bigint): Promise<Plan> {
    return this.#reader.plan(Number(snapshot), file, size);
  }

  read(snapshot: Txid, file: FileId, offset: bigint, length: number): Promise<Buffer> {
    return this.#reader.read(Number(snapshot), file, offset, length);
  }

  resolvePath(snapshot: Txid, path: Buffer): Promise<ResolvedEntry | undefined> {
    return this.#resolver.resolvePath(Number(snapshot), path);
  }

  pathOf(snapshot: Txid, file: FileId): Buffer | undefined {
    return this.#paths.pathOf(Number(snapshot), file);
  }

  pathHint(file: FileId): Buffer | null {
    return this.#paths.hint(file);
  }

  transaction(txid: Txid): Transaction | undefined {
    return this.#transactions.get(txid);
  }

  snapshotAt(timeNs: bigint): Txid {
    return this.#times.snapshotAt(timeNs);
  }

  parseMoment(text: string): Txid {
    return this.#times.parseMoment(text);
  }

  snapshotNames(directory?: FileId): SnapshotName[] {
    return this.#times.names(directory);
  }

  oldestNs(): bigint {
    return this.#times.oldestNs();
  }

  async log(query: LogQuery): Promise<Change[]> {
    await this.#service.caughtUp();
    return new LogQueries({
      index: this.#service.store, paths: this.#paths, resolver: this.#resolver, changes: this.#changes, transactions: this.#transactions, rootId: this.rootId,
    }).log(query);
  }

  async changesOf(txid: Txid): Promise<Change[]> {
    await this.#service.caughtUp();
    return this.#changes.of(Number(txid));
  }

  async diff(path: Buffer, from: Txid, to: Txid): Promise<Difference[]> {
    await this.#service.caughtUp();
    const before = await this.resolvePath(from, path);
    const after = await this.resolvePath(to, path) ?? before;
    if (after === undefined) throw new VolumeError('ENOENT', `${path.toString()} was there at neither moment; check the path with "tidemark log"`);
    return new Diff({ index: this.#service.store, paths: this.#paths, resolver: this.#resolver, transactions: this.#transactions, rootId: this.rootId })
      .between({ before: (before ?? after).file, after: after.file }, Number(from), Number(to));
  }

  async deletedEntries(snapshot: Txid, directory: FileId): Promise<DeletedEntry[]> {
    await this.#service.caughtUp();
    return deletedEntries(this.#service.store, directory, Number(snapshot));
  }

  pins(): Pin[] {
    return this.#pins.all();
  }

  /** Throws VolumeError EINVAL for a bad name, EEXIST when the name is taken, ENOENT for a transaction that is not known. */
  async pin(name: string, txid: Txid): Promise<void> {
    await this.#service.caughtUp();
    this.#pins.checkNew(name, txid);
    await this.native.appendPin(Buffer.from(name), txid, false);
    await this.#service.caughtUp();
  }

  /** Throws VolumeError ENOENT when there is no such pin. */
  async unpin(name: string): Promise<void> {
    await this.#service.caughtUp();
    const { txid } = this.#pins.existing(name);
    await this.native.appendPin(Buffer.from(name), txid, true);
    await this.#service.caughtUp();
  }

  async status(): Promise<VolumeStatus> {
    const { end, ended, endedTimeNs } = this.native.logState();
    const { liveBytes, historyBytes } = await this.#usage.now();
    const { transactions, external } = this.#service.store.progress();
    return {
      id: this.#parts.files.id, txid: ended, lastTimeNs: this.#transactions.get(ended)?.timeNs ?? endedTimeNs, oldestNs: this.oldestNs(), transactions, historyBytes,
      indexLagBytes: end - BigInt(Math.min(this.#service.readUpTo, Number(end))), externalTransactions: external,
      ...(liveBytes === undefined ? {} : { liveBytes }),
    };
  }

  verify(request: VerifyRequest = {}): Promise<VerifyReport> {
    return this.upkeep.verify(request);
  }

  /** Throws the index away and makes it again from the log; queries wait meanwhile. */
  rebuildIndex(): Promise<void> {
    return this.#service.rebuild();
  }

  decode(attributes: Buffer): Attributes {
    return decodeAttributes(attributes);
  }

  /** A session must have ended before. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#usage.close();
    await this.upkeep.close();
    try {
      // First the log: its last transaction belongs into the index, too.
      await this.native.settle();
      await this.#service.caughtUp();
    } finally {
      await this.#service.close();
      await this.native.close();
      this.#parts.files.close();
    }
  }

  async #ready(): Promise<void> {
    const logEnd = Number(this.native.logState().end);
    if (this.#service.readUpTo > logEnd) {
      this.#say('the index knows more than the log, whose end was lost: it is made again from the log');
      await this.#service.rebuild();
    }
    await this.#service.caughtUp();
    if (this.#service.damaged > 0) this.#say(`the log has ${this.#service.damaged} damaged regions; run "tidemark verify" to see what is lost`);
    const replayed = this.native.recovery.replayed.length;
    if (replayed > 0) this.#say(`after a power cut: what had been synced to ${replayed === 1 ? '1 file' : `${replayed} files`} was written to them again, out of the log`);
    await recordExternalChanges({
      native: this.native, index: this.#service.store, paths: this.#paths, transactions: this.#transactions, root: this.#parts.files.root,
      excludes: compileExcludes(this.excludes), say: (line) => { this.#say(line); },
    });
    keepExcludes(this.#parts.files.root, this.excludes);
    await this.#service.caughtUp();
  }

  #say(line: string): void {
    this.notices.push(line);
    this.#parts.options.say?.(line);
  }
}
