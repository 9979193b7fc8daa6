/**
 * Transactions that are pruned together, and what they touched. In: rows of the index, one at a time. Out: each file and each name once.
 */
import type { FileId } from './types.js';

export class PruningWindow {
  readonly txids: number[] = [];
  /** With their bits (index-keys `touched`). */
  readonly files = new Map<FileId, number>();
  /** By directory and name (latin1). */
  readonly names = new Map<FileId, Map<string, Buffer>>();
  count = 0;

  noteName(directory: FileId, name: Buffer): void {
    const ofDirectory = this.names.get(directory) ?? new Map<string, Buffer>();
    this.names.set(directory, ofDirectory);
    ofDirectory.set(name.toString('latin1'), name);
  }
}
