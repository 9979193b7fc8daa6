/**
 * Whether the past of a lane reads, after a power cut, as it did before. In: what the lane's witness knows, the cut, a reader of the past. Out: complaints.
 *
 * Invariants:
 * 1. A snapshot whose transaction must be in the log is there, and is as check-past.ts says; so is the moment of one that is not.
 */
import { Random } from '../support/seed.js';
import { checkLostMoment, checkPast } from './check-past.js';
import type { Cut } from './journal.js';
import type { Tree } from './trees.js';
import { isLogged, reachAt } from './witness.js';
import type { LaneWitness, SnapshotWitness, Witness } from './witness.js';

/** The past as a mount shows it, or as the engine tells. */
export interface PastReader {
  /** When the transaction ended; undefined when there is none of this number. */
  timeOf(txid: string): Promise<bigint | undefined>;
  ofTransaction(txid: string, directory: string): Promise<Tree>;
  ofTime(timeNs: bigint, directory: string): Promise<Tree>;
}

export interface CheckedSnapshots {
  readonly complaints: readonly string[];
  readonly compared: number;
  /** Snapshots whose transaction had its END lost with the log's last records. */
  readonly lost: number;
}

/** Snapshots compared for each lane: the newest before the cut, and some of the others. */
const newestCompared = 4;
const othersCompared = 4;

export async function checkSnapshots(lane: LaneWitness, cut: Cut, witness: Witness, past: PastReader): Promise<CheckedSnapshots> {
  const reach = reachAt(witness, lane, cut.position);
  const complaints: string[] = [];
  let [compared, lost] = [0, 0];
  for (const snapshot of chooseSnapshots(lane, cut)) {
    const { txid, timeNs, moment } = snapshot;
    if ((await past.timeOf(txid)) === timeNs) {
      compared += 1;
      complaints.push(...checkPast(lane, snapshot, reach, await past.ofTransaction(txid, lane.directory)));
    } else {
      lost += 1;
      if (witness.isExact || isLogged(witness, moment, cut.position)) complaints.push(`transaction ${txid} is not in the log, although it has to be`);
      complaints.push(...checkLostMoment(lane, snapshot, reach, await past.ofTime(timeNs, lane.directory)));
    }
  }
  return { complaints, compared, lost };
}

function chooseSnapshots(lane: LaneWitness, cut: Cut): SnapshotWitness[] {
  const random = new Random(cut.seed);
  const taken = lane.snapshots.filter(({ at }) => at <= cut.position);
  const older = taken.slice(0, -newestCompared);
  const others = new Set(Array.from({ length: othersCompared }, () => older[random.below(Math.max(1, older.length))]));
  return [...[...others].filter((snapshot) => snapshot !== undefined), ...taken.slice(-newestCompared)];
}
