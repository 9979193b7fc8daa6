/**
 * Where the bytes of a file as of a snapshot lie. In: the index's data entries, the size at the snapshot. Out: pieces as the addon
 * takes them. No live tree, no waiting: the caller has both behind him.
 *
 * Invariants:
 * 1. Pieces stand in order, without gaps or overlaps, and cover [0, size).
 * 2. For every byte the earliest pre-image stored after the snapshot is used, over all size classes; of two in one
 *    transaction the one that was logged first; without any, the inode's own byte.
 * 3. Bytes of a pre-image's block behind its body read as zeros.
 */
import { dataKey, dataPrefix, fileKey, filePrefix, table, txidAtEnd } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { readNumberBE } from './ids.js';
import { sizeClassBytes } from './log-format.js';
import { PieceKind } from './native.js';
import type { FileId } from './types.js';

/** The pre-image that counts for one block of one size class. */
interface PreImage {
  /** First byte of the block, in the file. */
  readonly offset: number;
  readonly txid: number;
  readonly lsn: number;
  /** Bytes in the log; 0 for a hole. */
  readonly length: number;
}

/** Entries of older transactions stepped over one by one before it pays to seek. */
const stepsBeforeSeek = 8;

/** Four numbers a piece, as in Plan. */
export function planPieces(index: IndexStore, file: FileId, snapshot: number, size: number): BigUint64Array {
  if (size > 0 && isDataChanged(index, file, snapshot)) return planChanged(index, file, snapshot, size);
  const pieces = new PieceList();
  if (size > 0) pieces.add(0, size, PieceKind.File, 0);
  return pieces.packed();
}

/** As planPieces, for a file whose bytes are known to have changed since the snapshot. */
export function planChanged(index: IndexStore, file: FileId, snapshot: number, size: number): BigUint64Array {
  const pieces = new PieceList();
  if (size > 0) new Cover(gather(index, file, snapshot, size), pieces).cover(0, size, sizeClassBytes.length - 1, undefined);
  return pieces.packed();
}

/** true when a pre-image of the file's bytes was stored after the snapshot. */
export function isDataChanged(index: IndexStore, file: FileId, snapshot: number): boolean {
  const newest = index.get(fileKey(table.dataLast, file));
  return newest !== undefined && readNumberBE(newest, 0) > snapshot;
}

/** By size class, for each block the earliest pre-image after the snapshot; in order of blocks. The entries of small files are read in one go. */
function gather(index: IndexStore, file: FileId, snapshot: number, size: number): PreImage[][] {
  const found: PreImage[][] = sizeClassBytes.map(() => []);
  let from: Buffer | undefined = dataKey(file, 0, 0, snapshot + 1);
  while (from !== undefined) {
    const start: Buffer = from;
    from = undefined;
    let steps = 0;
    for (const { key, value } of index.scan(start, filePrefix)) {
      const sizeClass = key[filePrefix]!;
      const block = readNumberBE(key, dataPrefix);
      const offset = block * sizeClassBytes[sizeClass]!;
      if (offset >= size) {
        from = dataKey(file, sizeClass + 1, 0, snapshot + 1);
        break;
      }
      const list = found[sizeClass]!;
      const isTaken = list.at(-1)?.offset === offset;
      const txid = txidAtEnd(key);
      if (txid > snapshot && !isTaken) {
        list.push({ offset, txid, lsn: readNumberBE(value, 0), length: value[12] === 1 ? 0 : value.readUInt32BE(8) });
        steps = 0;
      } else if (++steps === stepsBeforeSeek) {
        from = dataKey(file, sizeClass, isTaken ? block + 1 : block, snapshot + 1);
        break;
      }
    }
  }
  return found;
}

/** Lays the pre-images of the size classes over each other. */
class Cover {
  readonly #preImages: readonly (readonly PreImage[])[];
  readonly #pieces: PieceList;
  /** Blocks are passed once, from low to high: how many of each class have been. */
  readonly #passed: number[];

  constructor(preImages: readonly (readonly PreImage[])[], pieces: PieceList) {
    this.#preImages = preImages;
    this.#pieces = pieces;
    this.#passed = preImages.map(() => 0);
  }

  /** Covers [start, end) with the pre-images of this class and those below; `best` is what the classes above offer. */
  cover(start: number, end: number, sizeClass: number, best: PreImage | undefined): void {
    if (sizeClass < 0) return this.#emit(start, end, best);
    const list = this.#preImages[sizeClass]!;
    let at = start;
    for (let index = this.#passed[sizeClass]!; index < list.length && list[index]!.offset < end; index++) {
      const preImage = list[index]!;
      this.#passed[sizeClass] = index + 1;
      if (preImage.offset > at) this.cover(at, preImage.offset, sizeClass - 1, best);
      at = Math.min(end, preImage.offset + sizeClassBytes[sizeClass]!);
      this.cover(preImage.offset, at, sizeClass - 1, earlier(best, preImage));
    }
    if (at < end) this.cover(at, end, sizeClass - 1, best);
  }

  #emit(start: number, end: number, preImage: PreImage | undefined): void {
    if (preImage === undefined) return this.#pieces.add(start, end, PieceKind.File, 0);
    const bodyEnd = Math.min(end, preImage.offset + preImage.length);
    if (start < bodyEnd) this.#pieces.add(start, bodyEnd, PieceKind.Log, preImage.lsn);
    if (bodyEnd < end) this.#pieces.add(Math.max(start, bodyEnd), end, PieceKind.Zero, 0);
  }
}

function earlier(a: PreImage | undefined, b: PreImage): PreImage {
  if (a === undefined) return b;
  return a.txid < b.txid || (a.txid === b.txid && a.lsn < b.lsn) ? a : b;
}

/** Pieces in the making: what follows on without a break is one piece. */
class PieceList {
  readonly #numbers: number[] = [];

  add(start: number, end: number, kind: PieceKind, position: number): void {
    const last = this.#numbers.length - 4;
    if (last >= 0 && this.#numbers[last + 2] === kind) {
      const follows = kind !== PieceKind.Log || this.#numbers[last + 3] === position;
      if (follows) {
        this.#numbers[last + 1]! += end - start;
        return;
      }
    }
    this.#numbers.push(start, end - start, kind, position);
  }

  packed(): BigUint64Array {
    const packed = new BigUint64Array(this.#numbers.length);
    for (let index = 0; index < packed.length; index++) packed[index] = BigInt(this.#numbers[index]!);
    return packed;
  }
}
