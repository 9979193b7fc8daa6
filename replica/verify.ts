/**
 * Checks a destination: whether all is there that its manifest names, and, of some or all files, whether their bytes are those that were sent. In: a place. Out: what is missing or damaged, to be sent again.
 *
 * Invariants:
 * 1. Nothing is changed at the destination.
 * 2. A manifest that is not the one that was published is a fault, whatever it says.
 */
import { Baseline, missingFiles } from './baseline.js';
import { openBound } from './binding.js';
import type { Owner } from './binding.js';
import { faultOf } from './destination.js';
import { manifestName } from './layout.js';
import type { LocalFiles } from './local-files.js';
import type { Place, TreePlace } from './place.js';
import { Progress } from './progress.js';
import type { Report } from './progress.js';
import { BackupView } from './view.js';
import type { BackupContents } from './view.js';

export interface VerifyOptions<P extends Place = Place> {
  readonly place: P;
  readonly owner: Owner;
  readonly local: LocalFiles;
  /** Of the files, so many in a hundred are read back, others each time. */
  readonly percent: number;
  readonly onReport: (report: Report) => void;
}

export interface VerifyResult {
  /** Files that the manifest names, and how many of them were read back with how many bytes. */
  readonly files: number;
  readonly readFiles: number;
  readonly readBytes: number;
  readonly missing: readonly string[];
  readonly damaged: readonly string[];
  readonly notes: readonly string[];
}

/** Throws DestinationError. */
export async function verifyBackup({ place, owner, local, percent, onReport }: VerifyOptions<TreePlace>): Promise<VerifyResult> {
  const progress = new Progress(onReport);
  progress.phase('connecting');
  const destination = await openBound(place, owner);
  try {
    const notes: string[] = [];
    const published = local.read('manifest');
    const view = await BackupView.open(destination);
    if (published !== undefined && !(await Baseline.isPublished(destination, published))) notes.push(`${manifestName} on ${destination.shown} is not the one that was published; the next run compares everything and writes it anew`);
    progress.phase('comparing');
    const missing = new Set(await missingFiles(destination, view.manifest));
    return { ...await readBack(view, missing, percent, progress), notes };
  } finally {
    progress.end();
    await destination.close();
  }
}

/** Reads files back, so many in a hundred. `missing`: those that are known to be. Throws DestinationError. */
export async function readBack(view: BackupContents, missing: Set<string>, percent: number, progress: Progress): Promise<Omit<VerifyResult, 'notes'>> {
  const all = (await view.entries(view.last, '')).filter(({ entry }) => entry.type === 'file');
  const chosen = all.filter(({ entry }) => !missing.has(entry.path) && Math.random() * 100 < percent);
  progress.phase('verifying', chosen.length, chosen.reduce((sum, { entry }) => sum + entry.size, 0));
  const damaged: string[] = [];
  let readBytes = 0;
  for (const found of chosen) {
    try {
      await view.copy(found, undefined, (count) => { readBytes += count; progress.add(0, count); });
    } catch (error) {
      if (faultOf(error) === 'absent') missing.add(found.entry.path);
      else if (faultOf(error) === 'damaged') damaged.push(found.entry.path);
      else throw error;
    }
    progress.add(1, 0);
  }
  return { files: all.length, readFiles: chosen.length, readBytes, missing: [...missing], damaged };
}
