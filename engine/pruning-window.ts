/**
 * Transactions that are pruned together, and what they touched. In: rows of the index, one at a time. Out: each file and each name once.
 */
import { fileTxidPrefix } from './index-packing.js';
import type { IndexEntry } from './index-store.js';
import { fileIdBytes, inodeOf, readFileId } from './ids.js';
import type { FileId } from './types.js';

const filesAt = fileTxidPrefix(0).length;

export class PruningWindow {
  readonly txids: number[] = [];
  /** With their bits (index-keys `touched`). */
  readonly files = new Map<FileId, number>();
  /** By directory and name (latin1). */
  readonly names = new Map<FileId, Map<string, Buffer>>();
  /** Directories whose rows have been merged already. */
  readonly merged = new Set<FileId>();
  count = 0;

  /** A `C` row of the transaction; they come in order. */
  note(txid: number, { key, value }: IndexEntry): void {
    if (this.txids.at(-1) !== txid) this.txids.push(txid);
    this.count++;
    const file = readFileId(key, filesAt);
    const name = key.subarray(filesAt + fileIdBytes);
    if (name.length === 0) this.files.set(file, (this.files.get(file) ?? 0) | value[0]!);
    else this.#noteName(file, Buffer.from(name));
  }

  /** The files with their bits, neighbours in the index one after the other: what they share of it is written once. */
  inOrder(): (readonly [FileId, number])[] {
    const keyed = [...this.files].map((entry) => [Number(inodeOf(entry[0])), entry] as const);
    return keyed.sort(([a], [b]) => a - b).map(([, entry]) => entry);
  }

  #noteName(directory: FileId, name: Buffer): void {
    const ofDirectory = this.names.get(directory) ?? new Map<string, Buffer>();
    this.names.set(directory, ofDirectory);
    ofDirectory.set(name.toString('latin1'), name);
  }
}
