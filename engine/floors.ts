/**
 * Floors of files: of a file that has one, only the snapshots from the floor on show anything, and those older ones that were pinned or in use when it was set. In: the
 * index's `B` entries. Out: whether a snapshot shows a file.
 *
 * Invariants:
 * 1. A floor stands in the index before anything goes that only snapshots below it show: whoever has read something and *then* finds no floor in the way has read it whole.
 * 2. Floors only rise, and what was hidden below one stays hidden: each FLOOR record says all of it, and the last one counts.
 */
import { fileFloorKey, filePrefix, fileTxidKey, pendingFloorKey, pendingFloorPrefix, pruningKey, table } from './index-keys.js';
import { fileIdBytes, readFileId, readNumberBE, writeFileId, writeNumberBE } from './ids.js';
import { bodyOf } from './index-packing.js';
import type { IndexTable } from './index-store.js';
import { Kept } from './kept.js';
import { decodeKept, encodeKept } from './log-bodies.js';
import { recordType } from './log-format.js';
import type { RecordView } from './log-reader.js';
import type { FileId } from './types.js';

export interface FileFloor {
  /** The oldest transaction that shows the file, but for those held. */
  readonly txid: number;
  /** Older ones that do, growing. */
  readonly held: readonly number[];
}

/** As the index keeps it. */
export interface KnownFloor extends FileFloor {
  /** Of the FLOOR record that set it. */
  readonly lsn: number;
  /** The file has left the live tree, and nothing shows it any more. */
  readonly isGone: boolean;
}

/** Records of these types undo changes of a file itself: they are what a floor gives up. */
export const ofOneFile: ReadonlySet<number> = new Set([recordType.extent, recordType.hole, recordType.attributes, recordType.xattr]);

/** More moments than these are held in no floor's record: a body has to fit. */
export const heldMax = 100_000;
const headBytes = 17;

/** true when a snapshot shows the file. */
export function isShownAt({ txid, held }: FileFloor, snapshot: number): boolean {
  return snapshot >= txid || held.includes(snapshot);
}

/** The moments below and at a floor, for asking about the gaps between them. */
export function keptOf({ txid, held }: FileFloor): Kept {
  return new Kept(Float64Array.from([...held, txid]));
}

export function encodeFloor({ txid, held, lsn, isGone }: KnownFloor): Buffer {
  const head = Buffer.alloc(headBytes);
  writeNumberBE(head, 0, txid);
  writeNumberBE(head, 8, lsn);
  head[16] = isGone ? 1 : 0;
  return Buffer.concat([head, ...encodeKept(Float64Array.from(held))]);
}

function decodeFloor(value: Buffer): KnownFloor {
  return { txid: readNumberBE(value, 0), held: decodeKept(value.subarray(headBytes)), lsn: readNumberBE(value, 8), isGone: value[16] === 1 };
}

export class Floors {
  readonly #index: IndexTable;

  constructor(index: IndexTable) {
    this.#index = index;
  }

  get(file: FileId): KnownFloor | undefined {
    const value = this.#index.get(fileFloorKey(file));
    return value === undefined ? undefined : decodeFloor(value);
  }

  /** As `get`, but undefined while the index still holds what is below. */
  inForce(file: FileId): KnownFloor | undefined {
    return this.#index.get(pendingFloorKey(file)) === undefined ? this.get(file) : undefined;
  }

  /** true when no file has one. */
  areNone(): boolean {
    return this.#index.atOrAfter(Buffer.of(table.fileFloor), 1) === undefined;
  }

  hides(file: FileId, snapshot: number): boolean {
    const floor = this.get(file);
    return floor !== undefined && !isShownAt(floor, snapshot);
  }

  /** true when the file has left the tree and nothing shows it any more. */
  isGone(file: FileId): boolean {
    const floor = this.get(file);
    return floor?.isGone === true && this.#index.atOrAfter(fileTxidKey(table.attributes, file, floor.txid + 1), filePrefix) === undefined;
  }

  /** The files that a snapshot does not show because of their floors. */
  * hiddenAt(snapshot: number): Generator<FileId> {
    for (const { key, value } of this.#index.scan(Buffer.of(table.fileFloor), 1)) {
      if (!isShownAt(decodeFloor(value), snapshot)) yield readFileId(key, 1);
    }
  }
}

/** true while something that the log no longer keeps is still in the index. */
export function isPruningPending(index: IndexTable): boolean {
  return index.get(pruningKey) !== undefined || index.atOrAfter(pendingFloorPrefix, pendingFloorPrefix.length) !== undefined;
}

/** A FLOOR record's body: a count of bytes (u32), held transactions as in KEPT, files. `files`: so many that the record is not too long. */
export function encodeFloorBody(held: readonly number[], files: readonly FileId[]): Buffer {
  const list = Buffer.concat(encodeKept(Float64Array.from(held)));
  const body = Buffer.alloc(4 + list.length + files.length * fileIdBytes);
  let at = list.copy(body, body.writeUInt32LE(list.length, 0)) + 4;
  for (const file of files) at = writeFileId(body, at, file);
  return body;
}

/** Throws RangeError when the body is cut. */
export function decodeFloorBody(body: Buffer): { held: number[]; files: FileId[] } {
  const start = 4 + body.readUInt32LE(0);
  if (start > body.length || (body.length - start) % fileIdBytes !== 0) throw new RangeError('a floor is cut');
  const files: FileId[] = [];
  for (let at = start; at < body.length; at += fileIdBytes) files.push(readFileId(body, at));
  return { held: decodeKept(body.subarray(4, start)), files };
}

/** Takes a FLOOR record into the index: it hides at once; what is to go is left to the pruner. Throws RangeError when the body is cut. */
export function noteFloors(index: IndexTable, record: RecordView): void {
  const { held, files } = decodeFloorBody(bodyOf(record));
  const value = encodeFloor({ txid: record.txid, held, lsn: record.lsn, isGone: false });
  for (const file of files) {
    index.put(fileFloorKey(file), value);
    index.put(pendingFloorKey(file), Buffer.alloc(0));
  }
}
