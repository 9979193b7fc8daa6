/**
 * Checks a volume against itself: every checksum of the log, the order of its ENDs, the index against the records, objects
 * against what the log says left the tree, and the names the log last told of against the tree. In: the store, opened. Out: faults,
 * each with its remedy. Nothing is changed. A deep check also reads back what has no checksums: the live files and the objects.
 *
 * Invariants:
 * 1. Only what the index had read when the check began is compared with it.
 * 2. A fault is told once, and the check goes on; at most `faultsMax` are listed.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from './errors.js';
import { Floors, isPruningPending, ofOneFile } from './floors.js';
import { fileKey, filePrefix, fileTxidKey, namedKey, numberKey, dataKey, placed, table, txidMax, decodePlaceEntry } from './index-keys.js';
import { fileOf } from './index-packing.js';
import type { IndexStore } from './index-store.js';
import { generationOf, inodeOf, makeFileId, readNumberBE, readNumberLE } from './ids.js';
import { decodeEnd, decodeName, endBodyBytes, endFlag } from './log-bodies.js';
import { recordHeaderBytes, recordType, sizeClassBytes } from './log-format.js';
import type { Crc } from './log-format.js';
import { judged } from './judged.js';
import { checkingReader, describeLogFault, logRemedy } from './log-check.js';
import type { RecordView } from './log-reader.js';
import { LogSegments } from './log-segments.js';
import { nameChangeUpTo } from './name-history.js';
import type { NativeVolume } from './native.js';
import { pacer } from './pacer.js';
import type { Paths } from './paths.js';
import { readBack } from './read-back.js';
import type { StoreFiles } from './store-files.js';
import type { Fault, FileId, ReadBackReport, VerifyReport, VerifyRequest } from './types.js';

export interface VerifyOptions {
  readonly files: StoreFiles;
  readonly native: NativeVolume;
  readonly index: IndexStore;
  readonly paths: Paths;
  readonly crc: Crc;
  /** LSN up to which log and index are compared. */
  readonly readUpTo: number;
  readonly request: VerifyRequest;
}

const faultsMax = 1000;
const progressEveryRecords = 20_000;
const rebuildRemedy = 'run "tidemark verify --rebuild-index" to make the index again from the log';
const objectNamePattern = /^([0-9a-f]+)\.([0-9a-f]+)$/;

export async function verifyVolume(options: VerifyOptions): Promise<VerifyReport> {
  const check = new Verification(options);
  await check.log();
  await check.objects();
  await check.tree();
  if (options.request.depth === 'deep') await check.bytes();
  return check.report();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #faults: Fault[] = [];
  #records = 0;
  #transactions = 0;
  #objects = 0;
  #names = 0;
  #lastTxid = 0;
  /** When the last END was read. */
  #omissions = 0;
  #lastTimeNs = 0n;
  #readBack: ReadBackReport | undefined;
  readonly #segments: number;
  readonly #horizon: number;
  readonly #floors: Floors;
  readonly #areFloors: boolean;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#horizon = judged(options.index).horizon;
    this.#floors = new Floors(options.index);
    this.#areFloors = !this.#floors.areNone();
    this.#segments = new LogSegments(options.files.log, options.crc).refresh().length;
  }

  report(): VerifyReport {
    return {
      segments: this.#segments, records: this.#records, transactions: this.#transactions, objects: this.#objects, files: this.#names, faults: this.#faults,
      ...(this.#readBack === undefined ? {} : { readBack: this.#readBack }),
    };
  }

  /** Every record: checksum, order, and its entry in the index. */
  async log(): Promise<void> {
    const { files, crc, readUpTo, request } = this.#options;
    const onProgress = request.onProgress ?? (() => {});
    const reader = checkingReader({ directory: files.log, position: 0, crc, onFault: (fault) => { this.#add(describeLogFault(fault)); } });
    const pause = pacer();
    try {
      for (let record = reader.next(readUpTo); record !== undefined; record = reader.next(readUpTo)) {
        this.#record(record, reader.omissions);
        if (++this.#records % progressEveryRecords === 0) onProgress(reader.position, readUpTo);
        await pause();
      }
    } finally {
      reader.close();
    }
    onProgress(readUpTo, readUpTo);
  }

  /** Everything in objects/ must be something that, as the log says, left the tree. */
  async objects(): Promise<void> {
    const { files, index } = this.#options;
    const pause = pacer();
    for (const directory of namesIn(files.objects)) {
      for (const name of namesIn(join(files.objects, directory))) {
        await pause();
        const match = objectNamePattern.exec(name);
        this.#objects++;
        const file = match === null ? undefined : makeFileId(BigInt(`0x${match[1]!}`), Number.parseInt(match[2]!, 16));
        const isKnown = file !== undefined && index.atOrAfter(fileKey(table.place, file), filePrefix) !== undefined;
        if (!isKnown) this.#fault(`objects/${directory}/${name}`, 'nothing in the log speaks of it', 'it takes space and does no harm; remove it by hand if you like');
      }
    }
  }

  /** The last thing the log says of each name must be what the tree has. */
  async tree(): Promise<void> {
    const { index } = this.#options;
    const pause = pacer();
    let from: Buffer = Buffer.of(table.name);
    for (;;) {
      const entry = index.atOrAfter(from, 1);
      if (entry === undefined) return;
      const name = Buffer.from(entry.key.subarray(filePrefix, entry.key.length - 9));
      const directory = makeFileId(entry.key.readBigUInt64BE(1), entry.key.readUInt32BE(9));
      from = namedKey(table.name, directory, name, txidMax);
      this.#names++;
      this.#name(directory, name);
      await pause();
    }
  }

  /** What has no checksums can at least be read. */
  async bytes(): Promise<void> {
    const { files, request } = this.#options;
    this.#readBack = await readBack({
      files, signal: request.signal ?? new AbortController().signal, onFault: (fault) => { this.#add(fault); },
    });
  }

  /** `omissions`: how often the reader has met records that packing left out. */
  #record(record: RecordView, omissions: number): void {
    // What is given up is not missed.
    if ((record.txid <= this.#horizon && record.type !== recordType.end) || (this.#areFloors && this.#isBelowFloor(record))) return;
    const body = record.buffer.subarray(record.start + recordHeaderBytes, record.start + record.length);
    const file = makeFileId(record.buffer.readBigUInt64LE(record.start + 24), record.buffer.readUInt32LE(record.start + 12));
    switch (record.type) {
      case recordType.end: return this.#end(record, body, omissions);
      case recordType.attributes: return this.#expect(fileTxidKey(table.attributes, file, record.txid), record);
      case recordType.xattr: return this.#expect(namedKey(table.xattr, file, body.subarray(8, 8 + record.aux), record.txid), record);
      case recordType.name: return this.#expect(namedKey(table.name, file, decodeName(body, record.aux).name, record.txid), record);
      case recordType.extent:
      case recordType.hole: return this.#extent(record, file);
      default:
    }
  }

  #isBelowFloor(record: RecordView): boolean {
    const floor = ofOneFile.has(record.type) ? this.#floors.get(fileOf(record)) : undefined;
    return floor !== undefined && record.txid <= floor.txid;
  }

  #end(record: RecordView, body: Buffer, omissions: number): void {
    this.#transactions++;
    if (body.length < endBodyBytes) return this.#fault(`log position ${record.lsn}`, 'an END that is cut', logRemedy);
    const { timeNs, flags } = decodeEnd(body, record.aux);
    const isFollowed = (flags & endFlag.followed) !== 0;
    // The END of a transaction that nobody needs any more may have been left out.
    const mayFollow = omissions === this.#omissions && !isFollowed ? record.txid === this.#lastTxid + 1 : record.txid > this.#lastTxid;
    if (this.#lastTxid !== 0 && !mayFollow && this.#lastTxid >= this.#horizon && !this.#isGivenUp(record.txid)) {
      this.#fault(`log position ${record.lsn}`, `transaction ${record.txid} follows on ${this.#lastTxid}`, logRemedy);
    }
    // A primary that was superseded goes back to the times of the one that it follows.
    if (timeNs <= this.#lastTimeNs && !isFollowed) {
      const remedy = 'moments between the two may lead to the wrong one of them';
      this.#fault(`log position ${record.lsn}`, `transaction ${record.txid} ended before the one before it`, remedy);
    }
    this.#omissions = omissions;
    this.#lastTxid = record.txid;
    this.#lastTimeNs = timeNs;
    if (record.txid > this.#horizon) this.#expect(numberKey(table.transaction, record.txid), record);
  }

  #extent(record: RecordView, file: FileId): void {
    const classBytes = sizeClassBytes[record.aux];
    const offset = readNumberLE(record.buffer, record.start + 32);
    if (classBytes === undefined || offset % classBytes !== 0) return this.#fault(`log position ${record.lsn}`, 'an extent out of its grid', logRemedy);
    const key = dataKey(file, record.aux, offset / classBytes, record.txid);
    const value = this.#options.index.get(key);
    // Of two of one transaction the first counts.
    if (value === undefined || readNumberBE(value, 0) > record.lsn) this.#lacks('record', record);
    const change = this.#options.index.get(Buffer.concat([numberKey(table.change, record.txid), fileKey(0, file).subarray(1)]));
    if (change === undefined) this.#lacks('change', record);
  }

  #expect(key: Buffer, record: RecordView): void {
    if (this.#options.index.get(key) === undefined) this.#lacks('record', record);
  }

  #lacks(what: string, record: RecordView): void {
    if (!this.#isGivenUp(record.txid) && !this.#isBelowFloor(record)) this.#fault('index', `lacks the ${what} at log position ${record.lsn}`, rebuildRemedy);
  }

  /** Since the check began, or just now: on a full disk history is given up at any time. */
  #isGivenUp(txid: number): boolean {
    const { index } = this.#options;
    index.refresh();
    return txid <= judged(index).horizon || isPruningPending(index);
  }

  #name(directory: FileId, name: Buffer): void {
    const { index, native, paths } = this.#options;
    const last = nameChangeUpTo(index, directory, name, txidMax);
    if (last === undefined || (last.before === 0n && last.after === 0n)) return;
    const live = ifThere(() => native.lookup(directory, paths.hint(directory), name))?.file ?? 0n;
    // Somebody may have changed it since the check began: only what stayed the same is compared.
    if (nameChangeUpTo(index, directory, name, txidMax)?.txid !== last.txid || Number(native.logState().end) !== this.#options.readUpTo) return;
    if (live !== last.after) {
      const where = paths.pathOf(txidMax - 1, directory)?.toString() ?? describe(directory);
      this.#fault(`${where}: ${name.toString()}`, 'is not what the log last said', 'the tree was changed past the mount; mount it again to have that recorded');
    }
    if (last.before === 0n || ifThere(() => native.stat(last.before, paths.hint(last.before))) !== undefined || this.#wasExternal(last.before)) return;
    index.refresh();
    const isSame = nameChangeUpTo(index, directory, name, txidMax)?.before === last.before;
    if (isSame && !this.#floors.isGone(last.before) && !isPruningPending(index)) {
      this.#fault(describe(last.before), `the file once named ${name.toString()} is neither in the tree nor in objects`, 'its old versions are lost; restore them from a backup');
    }
  }

  /** A file removed past the mount could not be kept. */
  #wasExternal(file: FileId): boolean {
    const last = this.#options.index.atOrBefore(Buffer.concat([fileTxidKey(table.place, file, txidMax), Buffer.alloc(268, 0xff)]), filePrefix);
    if (last === undefined) return false;
    const { bits, txid } = decodePlaceEntry(last.key, last.value);
    const end = this.#options.index.get(numberKey(table.transaction, txid));
    return (bits & placed.before) !== 0 && end !== undefined && (end[21]! & 1) !== 0;
  }

  #fault(where: string, what: string, remedy: string): void {
    this.#add({ where, what, remedy });
  }

  #add(fault: Fault): void {
    if (this.#faults.length < faultsMax) this.#faults.push(fault);
  }
}

function describe(file: FileId): string {
  return `inode ${inodeOf(file)}.${generationOf(file)}`;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function ifThere<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESTALE') return undefined;
    throw error;
  }
}
