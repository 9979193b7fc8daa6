/**
 * What the lanes of a power-cut test share: the disk below, the daemon beside, the witness of all.
 */
import type { Witness } from './witness.js';

/** What a lane shares with the others. */
export interface Surroundings {
  readonly witness: Witness;
  /** punch.c, compiled. */
  readonly punchProgram: string;
  /** The journal's length. */
  position(): number;
  /** After one operation in so many the kernel writes what it changed to the disk, log or no log: it may at any time. */
  readonly writesBackIn: number;
  /** Has the kernel write a file or directory of the protected one to the disk, past the mount. */
  writeBack(path: string): Promise<void>;
  /** Ends the open transaction; names the last one. */
  lastTransaction(): Promise<{ readonly txid: string; readonly timeNs: string }>;
}
