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
import { ExternalSearch } from './external-search.js';
import { Floors } from './floors.js';
import { lsn } from './ids.js';
import { IndexService } from './index-service.js';
import { LogQueries } from './log-query.js';
import { clockNs } from './moments.js';
import { loadAddon } from './native.js';
import type { NativeAddon, NativeVolume } from './native.js';
import { openStore, sayRecovery } from './opening.js';
import type { VolumeOpenOptions } from './opening.js';
import { Paths } from './paths.js';
import { Pins } from './pins.js';
import { PlanReader } from './plan-reader.js';
import type { History } from './ports.js';
import { RecoveryBin } from './recovery-bin.js';
import { Reclaim } from './reclaim.js';
import { Resolver } from './resolve.js';
import { Replication } from './replication.js';
import { RoomKeeper } from './room-keeper.js';
import type { StoreFiles } from './store-files.js';
import { Steps } from './steps.js';
import { Times } from './times.js';
import type { SnapshotName } from './times.js';
import { Transactions } from './transactions.js';
import type { Attributes, Change, Difference, FileId, ListedEntry, LogQuery, Lsn, Pin, Plan, ResolvedEntry, Transaction, Txid, VerifyReport, VerifyRequest, VolumeStatus } from './types.js';
import { Upkeep } from './upkeep.js';
import { WrittenRanges } from './written-ranges.js';

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
  readonly room: RoomKeeper;
  readonly replication: Replication;
  readonly floors: Floors;
  readonly external = new ExternalSearch();
  /** What was deleted and overwritten, and how to take changes back. */
  readonly bin: RecoveryBin;
  readonly #parts: Parts;
  readonly #service: IndexService;
  readonly #transactions: Transactions;
  readonly #pins: Pins;
  readonly #times: Times;
  readonly #paths: Paths;
  readonly #resolver: Resolver;
  readonly #told;
  readonly #usage: DiskUsage;
  readonly #reader: PlanReader;
  readonly #tellRecovery = (): void => { sayRecovery(this.native, this.#service.damaged, (line) => { this.#say(line); }); };
  #closed = false;

  /** Opens the volume of a directory, or makes one. Throws VolumeError with the remedy. */
  static async open(directory: string, options: VolumeOpenOptions = {}): Promise<Volume> {
    const addon = options.addon ?? await loadAddon();
    const { files, native, exclude } = openStore(resolve(directory), options, addon);
    let volume: Volume | undefined;
    try {
      volume = new Volume({ files, addon, native, exclude, options });
      if (options.resumedRoot === undefined) await volume.#ready();
      else void volume.#service.catchUpLater(native.logState().end).then(volume.#tellRecovery);
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
      files, isNew: native.recovery.lastTimeNs === 0n, wasKilled: options.wasKilled ?? false,
      setThreadIdle: parts.addon.setThreadIdle, releaseMapped: parts.addon.releaseMapped,
      logState: () => native.logState(), say: (line) => { this.#say(line); }, onMoved: () => { this.#paths?.moved(); }, onFull: () => { native.giveReserve(); },
    });
    const index = this.#service.store;
    this.floors = new Floors(index);
    this.#transactions = new Transactions(index, files.createdNs);
    this.#pins = new Pins({ index, transactions: this.#transactions, native, caughtUp: () => this.#caughtUp() });
    this.#times = new Times(this.#transactions, this.#pins, index, options.nowNs ?? clockNs);
    this.#paths = new Paths(index, native.rootId);
    this.#resolver = new Resolver(native, index, this.#paths, () => this.#caughtUp());
    this.#reader = new PlanReader(native, index, this.#resolver, () => this.#caughtUp());
    this.#told = { index, paths: this.#paths, resolver: this.#resolver, changes: new Changes(index, this.#paths, this.#resolver, this.#transactions), transactions: this.#transactions, rootId: native.rootId };
    this.bin = new RecoveryBin({ ...this.#told, native, floors: this.floors, caughtUp: () => this.#caughtUp(), nowNs: options.nowNs ?? clockNs });
    this.#usage = new DiskUsage(files);
    this.reclaim = new Reclaim({ files, native, addon: parts.addon, service: this.#service, transactions: this.#transactions, pins: this.#pins, paths: this.#paths, usage: this.#usage, say: (line) => { this.#say(line); }, held: () => this.replication.held() });
    this.room = new RoomKeeper({ native, service: this.#service, reclaim: this.reclaim, say: (line) => { options.say?.(line); } });
    const steps = new Steps({ index, paths: this.#paths, resolver: this.#resolver, rootId: this.rootId, transactions: this.#transactions, ranges: new WrittenRanges(index, files.log, parts.addon.crc32c) });
    this.replication = new Replication({ native, steps, store: files.store, caughtUp: () => this.#caughtUp(), transactions: this.#transactions });
    this.upkeep = new Upkeep({ files, addon: parts.addon, native, paths: this.#paths, service: this.#service, room: this.room });
  }

  async caughtUp(): Promise<Lsn> {
    return lsn(await this.#caughtUp());
  }

  async settled(): Promise<Transaction> {
    const { ended } = await this.native.settle();
    await this.#caughtUp();
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
    return this.reclaim.isGoing(Number(txid)) ? undefined : this.#transactions.get(txid);
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

  oldestNs = (): bigint => this.#times.oldestNs();

  async log(query: LogQuery): Promise<Change[]> {
    await this.#caughtUp();
    return new LogQueries(this.#told).log(query);
  }

  async changesOf(txid: Txid): Promise<Change[]> {
    await this.#caughtUp();
    return this.#told.changes.of(Number(txid));
  }

  async diff(path: Buffer, from: Txid, to: Txid): Promise<Difference[]> {
    await this.#caughtUp();
    const before = await this.resolvePath(from, path);
    const after = await this.resolvePath(to, path) ?? before;
    if (after === undefined) throw new VolumeError('ENOENT', `${path.toString()} was there at neither moment; check the path with "tidemark log"`);
    return new Diff(this.#told).between({ before: (before ?? after).file, after: after.file }, Number(from), Number(to));
  }

  async deletedEntries(snapshot: Txid, directory: FileId): Promise<DeletedEntry[]> {
    await this.#caughtUp();
    return deletedEntries(this.#service.store, directory, Number(snapshot));
  }

  pins = (): Pin[] => this.#pins.all();

  /** Throws VolumeError EINVAL for a bad name, EEXIST when it is taken, ENOENT for a transaction (or, unpin, a pin) that is not known. */
  pin = (name: string, txid: Txid): Promise<void> => this.#pins.add(name, txid);

  /** As `pin`, of a transaction that has ended: durable when it resolves, and listed when the index gets there, which is not hurried. */
  pinAhead = (name: string, txid: Txid): Promise<void> => this.#pins.addAhead(name, txid);

  unpin = (name: string): Promise<void> => this.#pins.remove(name);

  async status(): Promise<VolumeStatus> {
    const { end, ended, endedTimeNs } = this.native.logState();
    const { liveBytes, historyBytes } = await this.#usage.now();
    const { transactions, external } = this.#service.store.progress();
    return {
      id: this.id, txid: ended, lastTimeNs: this.#transactions.get(ended)?.timeNs ?? endedTimeNs, oldestNs: this.oldestNs(), transactions, historyBytes,
      indexLagBytes: end - BigInt(Math.min(this.#service.readUpTo, Number(end))), externalTransactions: external, ...(liveBytes === undefined ? {} : { liveBytes }),
    };
  }

  verify = (request: VerifyRequest = {}): Promise<VerifyReport> => this.upkeep.verify(request);

  /** Makes the index again from the log; queries wait meanwhile. */
  rebuildIndex = (): Promise<void> => this.#service.rebuild();

  /** 32 hex digits. */
  get id(): string {
    return this.#parts.files.id;
  }

  decode = (attributes: Buffer): Attributes => decodeAttributes(attributes);

  /** A session must have ended before. First the log is closed: its last transaction belongs into the index, too. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.external.over();
    await this.room.close();
    await this.#usage.close();
    await this.upkeep.close();
    try {
      await this.settled();
    } finally {
      await this.#service.close();
      await this.native.close();
      this.#parts.files.close();
    }
  }

  async #ready(): Promise<void> {
    const { native, addon, files, options } = this.#parts;
    await this.#service.rebuildIfAhead(native.logState().end);
    // What a standby has comes from its primary alone: until its mount is read-only nobody changes anything.
    if (this.replication.isFollowing) native.holdChanges();
    else await this.external.begin({
      native, addon, index: this.#service.store, paths: this.#paths, transactions: this.#transactions, root: files.root,
      exclude: this.excludes, excludes: compileExcludes(this.excludes), caughtUp: () => this.#service.caughtUp(), say: (line) => { this.#say(line); },
    }, options.patienceMs);
    await this.#service.caughtUp();
    this.#tellRecovery();
  }

  /** What is asked about the past has an answer only when it is known what happened while nothing was mounted. */
  async #caughtUp(): Promise<number> {
    await this.external.over();
    return this.#service.caughtUp();
  }

  #say(line: string): void {
    this.notices.push(line);
    this.#parts.options.say?.(line);
  }
}
