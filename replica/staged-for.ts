/**
 * For which snapshot the staging area holds files: what was staged for another one is removed. In: a destination, a snapshot's number.
 *
 * Invariants:
 * 1. Nothing lies in the staging area but what belongs to this snapshot, when the note says its number.
 */
import { faultOf, readWhole, removeTree } from './destination.js';
import type { Destination } from './destination.js';
import { stagedPlace, workPlace } from './layout.js';
import type { LocalFiles } from './local-files.js';

const noteName = `${workPlace}/staged-for`;

/** true when nothing has been staged for this one yet. */
export async function clearOtherStaging(destination: Destination, local: LocalFiles, txid: string): Promise<boolean> {
  const isFresh = (await noted(destination)) !== txid;
  if (isFresh) {
    await removeTree(destination, stagedPlace);
    await local.put(destination, noteName, [Buffer.from(`${txid}\n`)]);
  }
  await destination.makeDirectory(stagedPlace);
  return isFresh;
}

async function noted(destination: Destination): Promise<string | undefined> {
  try {
    return (await readWhole(destination, noteName, 100)).toString().trim();
  } catch (error) {
    if (faultOf(error) === 'absent') return undefined;
    throw error;
  }
}
