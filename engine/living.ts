/**
 * Which records of the log are still needed. In: the index, which has been pruned, and a record. Out: yes or no. What is needed is what the index would be made
 * again from: it answers the same without the rest.
 *
 * Invariants:
 * 1. In doubt a record is needed.
 * 2. Above the horizon everything is, but what is below a file's floor.
 */
import { decodeFloorBody, Floors, keptOf, ofOneFile } from './floors.js';
import { decodeNameEntry, dataKey, fileKey, filePrefix, fileTxidKey, namedKey, numberKey, table } from './index-keys.js';
import { bodyOf, fileOf, placeKey } from './index-packing.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE, readNumberLE } from './ids.js';
import { judged } from './judged.js';
import type { Judged } from './judged.js';
import { Kept } from './kept.js';
import { historyGapNote, decodeName, decodePin, decodePlace, decodeXattr } from './log-bodies.js';
import { recordType, sizeClassBytes } from './log-format.js';
import type { RecordView } from './log-reader.js';
import type { FileId } from './types.js';

/** The transactions up to the horizon that are kept. */
function keptUpTo(index: IndexStore, { oldest, horizon }: Judged): Kept {
  const txids = oldest === 0 ? [0] : [];
  for (const { key } of index.scan(numberKey(table.transaction, oldest), 1)) {
    const txid = readNumberBE(key, 1);
    if (txid > horizon) break;
    txids.push(txid);
  }
  return new Kept(Float64Array.from(txids));
}

export class Living {
  readonly #index: IndexStore;
  readonly #kept: Kept;
  readonly #horizon: number;
  /** Undefined: no file has one. */
  readonly #floors: Floors | undefined;

  constructor(index: IndexStore) {
    const now = judged(index);
    this.#index = index;
    this.#kept = keptUpTo(index, now);
    this.#horizon = now.horizon;
    const floors = new Floors(index);
    this.#floors = floors.areNone() ? undefined : floors;
  }

  /** `record`: with its body, but for extents. Throws RangeError when the body is cut. */
  needs(record: RecordView): boolean {
    const { type, aux } = record;
    if (type === recordType.floor) return this.#needsFloor(record);
    const floor = ofOneFile.has(type) ? this.#floors?.inForce(fileOf(record)) : undefined;
    const isBelowFloor = floor !== undefined && record.txid <= floor.txid;
    if (record.txid > this.#horizon && !isBelowFloor) return true;
    const shownBy = this.#kept.atOrAfter(isBelowFloor ? keptOf(floor).atOrAfter(record.txid) : record.txid);
    switch (type) {
      case recordType.extent:
      case recordType.hole: return this.#needsExtent(record, shownBy);
      case recordType.attributes: return this.#index.get(fileTxidKey(table.attributes, fileOf(record), shownBy))?.equals(bodyOf(record).subarray(0, 80)) === true;
      case recordType.xattr: {
        const { name, value } = decodeXattr(bodyOf(record), aux);
        const known = this.#index.get(namedKey(table.xattr, fileOf(record), name, shownBy));
        return known !== undefined && (value === undefined ? known[0] === 0 : known[0] === 1 && known.subarray(1).equals(value));
      }
      case recordType.name: return this.#needsName(record, shownBy);
      case recordType.place: {
        const { parent, name } = decodePlace(bodyOf(record), aux);
        return this.#index.get(placeKey(fileOf(record), shownBy, parent, name)) !== undefined;
      }
      case recordType.end: return this.#index.get(numberKey(table.transaction, record.txid)) !== undefined;
      case recordType.intent: return false;
      case recordType.note: return aux === historyGapNote;
      case recordType.pin: return this.#needsPin(record);
      case recordType.kept: return record.txid === this.#horizon;
      default: return true;
    }
  }

  /** As long as it is the last one of some file. */
  #needsFloor(record: RecordView): boolean {
    return decodeFloorBody(bodyOf(record)).files.some((file) => this.#floors?.get(file)?.lsn === record.lsn);
  }

  #needsExtent(record: RecordView, shownBy: number): boolean {
    const classBytes = sizeClassBytes[record.aux];
    if (classBytes === undefined) return true;
    const block = readNumberLE(record.buffer, record.start + 32) / classBytes;
    const known = this.#index.get(dataKey(fileOf(record), record.aux, block, shownBy));
    return known !== undefined && readNumberBE(known, 0) === record.lsn;
  }

  /** The first and the last of those that merged tell what was before and what is after; where files are that live on, all of them. */
  #needsName(record: RecordView, shownBy: number): boolean {
    const change = decodeName(bodyOf(record), record.aux);
    if (this.#isKnown(change.before) || this.#isKnown(change.after)) return true;
    const known = this.#index.get(namedKey(table.name, fileOf(record), change.name, shownBy));
    if (known === undefined) return false;
    const entry = decodeNameEntry(known);
    return entry.lsn === record.lsn || (entry.after === change.after && entry.typeAfter === change.typeAfter);
  }

  #isKnown(file: FileId): boolean {
    return file !== 0n && this.#index.atOrAfter(fileKey(table.place, file), filePrefix) !== undefined;
  }

  /** A removal stays: an older segment may still hold what it removes. */
  #needsPin(record: RecordView): boolean {
    if (record.flags !== 0) return true;
    const { name } = decodePin(bodyOf(record), record.aux);
    const known = this.#index.get(Buffer.concat([Buffer.of(table.pin), name]));
    return known !== undefined && readNumberBE(known, 0) === record.txid;
  }
}
