/**
 * The history of a directory, made up: a log of n transactions over files that are really there. In: a directory on the disk, a number. Out: the directory with
 * a store whose log tells how each file was made and changed since; its index is missing, so that the next mount makes it.
 *
 * A tenth of the transactions make a file, one in a hundred overwrites 1 MiB (of zeros, which take no room), the others the 64 bytes of a file. All files are
 * empty now, but for `note`, whose versions are known.
 *
 * Invariants:
 * 1. Ids and names in the log are those of the files; times end when the log is written, which is after the last file was made.
 * 2. The same numbers give the same history, but for ids and times.
 */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { directoryType, encodeAttributes, regularType } from '../../engine/attributes.js';
import { absent, encodeEnd, encodeName, encodePin, encodePlace, nameOperation } from '../../engine/log-bodies.js';
import { recordType } from '../../engine/log-format.js';
import type { FileId } from '../../native/types.js';
import { Random } from '../../test/support/seed.js';
import type { SegmentWriter } from './segments.js';
import { beginLog, filesPerDirectory, readTree } from './store.js';
import type { Fill, Made, Tree } from './store.js';

export interface HistorySize {
  readonly transactions: number;
  /** Of them a whole number of thousands, at least one. */
  readonly files: number;
  /** Versions of `note`. */
  readonly noteVersions: number;
  /** How far back it reaches. */
  readonly days: number;
}

export interface MadeHistory {
  readonly transactions: number;
  /** Of the log, holes and all. */
  readonly logBytes: number;
  readonly segments: number;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** The transaction that wrote version v (1 …) of `note`, at [v]; it made it, empty, at [0]. */
  readonly noteTxids: readonly number[];
}

const smallBytes = 64;
const bigBytes = 1 << 30;
const extentBytes = 1 << 20;
const bigCount = 10;
export const pinName = 'release';

/** What version v of `note` holds. */
export function noteVersion(version: number): string {
  return `version ${version}`.padEnd(smallBytes - 1).concat('\n');
}

export async function makeHistory(directory: string, size: HistorySize, fill: Fill): Promise<MadeHistory> {
  await fill(directory, size.files);
  mkdirSync(join(directory, 'big'));
  for (let index = 0; index < bigCount; index++) {
    writeFileSync(join(directory, `big/b${index}`), '');
    truncateSync(join(directory, `big/b${index}`), bigBytes);
  }
  writeFileSync(join(directory, 'note'), noteVersion(size.noteVersions));
  const tree = await readTree(directory, ['big']);
  const { segments, firstNs, lastNs } = beginLog(directory, size.days);
  return new HistoryWriter(segments, tree, size, firstNs, lastNs).write();
}

class HistoryWriter {
  readonly #segments: SegmentWriter;
  readonly #tree: Tree;
  readonly #size: HistorySize;
  readonly #firstNs: bigint;
  readonly #lastNs: bigint;
  readonly #random = new Random(1);
  readonly #zeros = Buffer.alloc(extentBytes);
  readonly #end = encodeEnd({ timeNs: 0n, uid: 0, gid: 0, pid: 4711, reason: 2, flags: 0, command: 'editor' });
  readonly #attributes: Buffer;
  readonly #directoryAttributes: Buffer;
  readonly #noteTxids: number[] = [];
  #txid = 1n;
  #made = 0;

  constructor(segments: SegmentWriter, tree: Tree, size: HistorySize, firstNs: bigint, lastNs: bigint) {
    this.#segments = segments;
    this.#tree = tree;
    this.#size = size;
    this.#firstNs = firstNs;
    this.#lastNs = lastNs;
    const base = { uid: 0, gid: 0, nlink: 1, rdev: 0n, blocks: 8n, atimeNs: firstNs, mtimeNs: firstNs, ctimeNs: firstNs };
    this.#attributes = encodeAttributes({ ...base, mode: regularType | 0o644, size: BigInt(smallBytes) });
    this.#directoryAttributes = encodeAttributes({ ...base, mode: directoryType | 0o755, nlink: 2, size: 4096n });
  }

  write(): MadeHistory {
    const { transactions, noteVersions } = this.#size;
    this.#note(1, this.#firstNs);
    const noteEvery = Math.floor(transactions / (noteVersions + 1));
    const makeEvery = transactions / this.#size.files;
    for (let count = 0; count < transactions; count++) {
      if (count % noteEvery === 0 && this.#noteTxids.length <= noteVersions) this.#writeNote();
      else if (this.#made < this.#size.files && count >= this.#made * makeEvery) this.#make();
      else if (count % 100 === 7) this.#overwriteBig();
      else this.#overwriteSmall();
      this.#endTransaction(count + 1);
    }
    this.#pin();
    this.#note(2, this.#lastNs);
    this.#segments.close();
    const { end: logBytes, segmentCount: segments } = this.#segments;
    return { transactions, logBytes, segments, firstNs: this.#firstNs, lastNs: this.#lastNs, noteTxids: this.#noteTxids };
  }

  #make(): void {
    const made = this.#tree.files[this.#made]!;
    if (this.#made % filesPerDirectory === 0) this.#arrive(this.#tree.directories[this.#made / filesPerDirectory]!, directoryType, nameOperation.mkdir);
    this.#arrive(made, regularType, nameOperation.create);
    this.#made++;
  }

  #arrive({ file, parent, name }: Made, type: number, operation: number): void {
    this.#append(recordType.attributes, parent, this.#directoryAttributes);
    this.#append(recordType.name, parent, encodeName({ before: absent, after: absent, typeBefore: 0, typeAfter: type, operation, name }), { aux: name.length });
    this.#append(recordType.place, file, encodePlace({ parent, type, name }), { aux: name.length });
  }

  /** Some files are written far more often than others. */
  #overwriteSmall(): void {
    const part = this.#random.below(1 << 30) / (1 << 30);
    const made = this.#tree.files[Math.floor(part * part * Math.max(this.#made, 1))]!;
    this.#overwrite(made.file, Buffer.alloc(smallBytes, Number(this.#txid) & 0xff));
  }

  #overwrite(file: FileId, bytes: Buffer): void {
    this.#append(recordType.attributes, file, this.#attributes);
    this.#append(recordType.extent, file, bytes, { size: BigInt(bytes.length) });
  }

  #overwriteBig(): void {
    const { file, parent, name } = this.#tree.others.get(`b${this.#random.below(bigCount)}`)!;
    this.#append(recordType.place, file, encodePlace({ parent, type: regularType, name }), { aux: name.length });
    const attributes = Buffer.from(this.#attributes);
    attributes.writeBigUInt64LE(BigInt(bigBytes), 24);
    this.#append(recordType.attributes, file, attributes);
    const offset = BigInt(this.#random.below(bigBytes / extentBytes) * extentBytes);
    this.#segments.appendZeros({ type: recordType.extent, flags: 0, aux: 2, file, txid: this.#txid, offset, size: BigInt(extentBytes) }, this.#zeros);
  }

  #writeNote(): void {
    const version = this.#noteTxids.length;
    this.#noteTxids.push(Number(this.#txid));
    const note = this.#tree.others.get('note')!;
    if (version === 0) return this.#arrive(note, regularType, nameOperation.create);
    if (version > 1) return this.#overwrite(note.file, Buffer.from(noteVersion(version - 1)));
    const empty = Buffer.from(this.#attributes);
    empty.writeBigUInt64LE(0n, 24);
    this.#append(recordType.attributes, note.file, empty);
  }

  #pin(): void {
    const name = Buffer.from(pinName);
    const txid = BigInt(Math.ceil(this.#size.transactions / 2));
    this.#segments.append({ type: recordType.pin, flags: 0, aux: name.length, file: absent, txid, offset: 0n, size: 0n }, encodePin(this.#lastNs, name));
  }

  #endTransaction(count: number): void {
    const timeNs = this.#firstNs + ((this.#lastNs - this.#firstNs) * BigInt(count)) / BigInt(this.#size.transactions);
    this.#end.writeBigInt64LE(timeNs, 0);
    this.#append(recordType.end, absent, this.#end, { aux: this.#end.length - 24 });
    this.#txid++;
  }

  /** 1: mounted, 2: cleanly unmounted. */
  #note(kind: number, timeNs: bigint): void {
    const body = Buffer.alloc(8);
    body.writeBigInt64LE(timeNs, 0);
    this.#append(recordType.note, absent, body, { aux: kind });
  }

  #append(type: number, file: FileId, body: Buffer, more: { readonly aux?: number; readonly size?: bigint } = {}): void {
    this.#segments.append({ type, flags: 0, aux: more.aux ?? 0, file, txid: this.#txid, offset: 0n, size: more.size ?? 0n }, body);
  }
}
