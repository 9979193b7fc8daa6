/**
 * What has come and is not applied yet, on the standby's disk: whole transactions as frames, one behind the other, in files of some size. In: frames. Out: transactions that are
 * durable, in order, to be read again as often as need be.
 *
 * Invariants:
 * 1. A transaction counts when its COMMIT stands in the file and its checksum is right; what a broken connection left behind the last COMMIT is cut off.
 * 2. `sync` resolves when all that was committed before is on the disk.
 * 3. A file goes only when everything in it has been applied and is on the disk as files.
 */
import type { Transaction } from '../../../engine/index.js';
import { FrameError, FrameReader, encodeFrame, frameType } from '../frame.js';
import type { Frame } from '../frame.js';
import { beginSchema, commitSchema, readMessage } from '../messages.js';
import { Sum, transactionOf } from '../transfer.js';
import type { SpoolDisk } from './spool-disk.js';

/** A whole transaction in the spool. */
export interface Spooled {
  readonly transaction: Transaction;
  readonly from: bigint;
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  /** Of a small one that has just come: what stands between BEGIN and COMMIT. */
  readonly frames?: readonly Frame[];
}

const fileBytes = 64 << 20;
const readBytes = 256 * 1024;
/** Frames are written together, up to this. */
const gatherBytes = 512 * 1024;
/** Transactions up to this are not read again, as long as few wait. */
const rememberedBytes = 64 * 1024;
const rememberedMax = 500;

export class Spool {
  readonly #disk: SpoolDisk;
  #file: number;
  /** Where the last COMMIT ends, and where the next frame goes. */
  #committed = 0;
  #end = 0;
  #begin: { readonly transaction: Transaction; readonly from: bigint } | undefined;
  #sum = new Sum();
  /** Of the transaction that is coming: what is not written yet, and, while it is small, its frames. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #frames: Frame[] | undefined;
  readonly #unsynced = new Set<number>();
  readonly #waiting: Spooled[] = [];
  #bytes = 0;

  /** Opens what an earlier run has left. */
  constructor(disk: SpoolDisk) {
    this.#disk = disk;
    const files = disk.files();
    this.#file = files.at(-1) ?? 1;
    for (const file of files) this.#scan(file);
    this.#end = this.#committed;
    disk.truncate(this.#file, this.#committed);
  }

  /** Transactions that wait to be applied, oldest first. */
  get waiting(): readonly Spooled[] {
    return this.#waiting;
  }

  /** Bytes of them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest whole transaction; undefined when nothing waits. */
  get last(): Spooled | undefined {
    return this.#waiting.at(-1);
  }

  /** Takes a frame; true when a transaction has become whole. Throws FrameError for one that does not belong here. */
  add(frame: Frame): boolean {
    const bytes = encodeFrame(frame.type, frame.payload);
    if (frame.type === frameType.begin && this.#begin === undefined && this.#end >= fileBytes) this.#rotate();
    const isWhole = this.#note(frame, bytes);
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    this.#end += bytes.length;
    if (this.#end - this.#committed > rememberedBytes) this.#frames = undefined;
    else if (frame.type !== frameType.begin && frame.type !== frameType.commit) this.#frames?.push(frame);
    if (isWhole || this.#gatheredBytes >= gatherBytes) this.#write();
    if (isWhole) this.#commit(this.#file);
    return isWhole;
  }

  /** Forgets what came of a transaction that is not whole: the connection broke. */
  cut(): void {
    this.#begin = undefined;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#disk.truncate(this.#file, this.#committed);
    this.#end = this.#committed;
  }

  async sync(): Promise<void> {
    const files = [...this.#unsynced];
    this.#unsynced.clear();
    for (const file of files) await this.#disk.sync(file);
  }

  /** Frames between BEGIN and COMMIT. */
  * read({ file, offset, length, frames }: Spooled): Generator<Frame> {
    if (frames !== undefined) return yield* frames;
    const reader = new FrameReader();
    for (let at = offset; at < offset + length;) {
      const chunk = this.#disk.read(file, at, Math.min(readBytes, offset + length - at));
      if (chunk.length === 0) throw new FrameError('the spool is shorter than it was');
      reader.push(chunk);
      at += chunk.length;
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        if (frame.type !== frameType.begin && frame.type !== frameType.commit) yield frame;
      }
    }
  }

  /** The oldest has been applied. Files that nobody needs any more go, once `makeDurable` has resolved. */
  async applied(makeDurable: () => Promise<void>): Promise<void> {
    const done = this.#waiting.shift();
    if (done === undefined) return;
    this.#bytes -= done.length;
    if (this.#waiting.length === 0 && this.#begin === undefined && this.#end >= fileBytes) this.#rotate();
    const next = this.#waiting[0]?.file ?? this.#file;
    if (next === done.file) return;
    await makeDurable();
    for (let file = done.file; file < next; file++) {
      this.#unsynced.delete(file);
      this.#disk.remove(file);
    }
  }

  close(): void {
    this.#disk.close();
  }

  #note(frame: Frame, bytes: Buffer): boolean {
    if (frame.type === frameType.begin) {
      if (this.#begin !== undefined) throw new FrameError('a transaction began within another');
      const body = readMessage(beginSchema, frame);
      this.#begin = { transaction: transactionOf(body), from: BigInt(body.from) };
      this.#sum = new Sum();
      this.#frames = [];
    } else if (this.#begin === undefined || (frame.type !== frameType.changes && frame.type !== frameType.data && frame.type !== frameType.zeros && frame.type !== frameType.deflated && frame.type !== frameType.commit)) {
      throw new FrameError(`a frame of type ${frame.type} is not expected here`);
    }
    if (frame.type !== frameType.commit) {
      this.#sum.add(bytes);
      return false;
    }
    const { txid, checksum } = readMessage(commitSchema, frame);
    if (BigInt(txid) !== this.#begin!.transaction.txid || checksum !== this.#sum.value) throw new FrameError(`transaction ${txid} came damaged`);
    return true;
  }

  #write(): void {
    const bytes = this.#gathered.length === 1 ? this.#gathered[0]! : Buffer.concat(this.#gathered);
    this.#disk.append(this.#file, bytes);
    this.#unsynced.add(this.#file);
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  #commit(file: number): void {
    const spooled = { ...this.#begin!, file, offset: this.#committed, length: this.#end - this.#committed, ...(this.#frames === undefined || this.#waiting.length > rememberedMax ? {} : { frames: this.#frames }) };
    this.#waiting.push(spooled);
    this.#bytes += spooled.length;
    this.#committed = this.#end;
    this.#begin = undefined;
  }

  /** Finds the whole transactions of a file. */
  #scan(file: number): void {
    this.#committed = this.#end = 0;
    this.#begin = undefined;
    const reader = new FrameReader();
    try {
      for (let at = 0, chunk = this.#disk.read(file, 0, readBytes); chunk.length > 0; chunk = this.#disk.read(file, at, readBytes)) {
        at += chunk.length;
        reader.push(chunk);
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) this.#found(frame, file);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
    }
    this.#begin = undefined;
  }

  #found(frame: Frame, file: number): void {
    const bytes = encodeFrame(frame.type, frame.payload);
    const isWhole = this.#note(frame, bytes);
    this.#frames = undefined;
    this.#end += bytes.length;
    if (isWhole) this.#commit(file);
  }

  #rotate(): void {
    this.#file++;
    this.#committed = this.#end = 0;
  }
}
