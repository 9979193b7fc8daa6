/**
 * Room on the disk, as the addon tells of it and is told: the part of a volume's surface that keeps applications writing while history makes room.
 */
import type { Lsn } from './types.js';

/** How much room the disk has for whoever writes; in bytes. */
export interface RoomState {
  /** What may be taken before requests have to wait: what is free without the reserve, the floor and what the index has yet to write. Negative: what is missing. */
  readonly availableBytes: number;
  readonly totalBytes: number;
  /** What the reserve holds, and what it should. */
  readonly reserveBytes: number;
  readonly reserveWanted: number;
  /** The file system has hardly an inode left. */
  readonly lacksInodes: boolean;
  /** A request found no room since the last answer: those that need some wait. */
  readonly isShort: boolean;
  /** The last answer was that nothing more can be given up. */
  readonly isRefusing: boolean;
  /** Requests that wait, and the most that one of them may take. */
  readonly waiting: number;
  readonly largestWaiting: number;
  /** Requests that were answered ENOSPC since the volume was opened. */
  readonly refused: number;
}

export interface RoomCalls {
  /**
   * How much room there is. `indexed`: how far the index has read the log. From the first call on requests for which there is no room wait (60 seconds at most) for `answerRoom`,
   * so the caller has to look several times a second.
   */
  room(indexed: Lsn): RoomState;
  /** Requests that wait for up to so many bytes are tried again, others are answered ENOSPC. 0: nothing more can be given up; until another answer nothing waits. */
  answerRoom(mostBytes: number): void;
  /** Sets room aside again. Rejects with ENOSPC when there is none, EOPNOTSUPP where the file system cannot. */
  makeReserve(): Promise<void>;
  /** Gives the reserve up: what gives history up needs room to begin. */
  giveReserve(): void;
}
