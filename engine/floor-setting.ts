/**
 * Has the log tell floors of files: those that the policy's rules ask for, and those of names that come back after they had no history. In: planned floors, globs. Out:
 * FLOOR records, on the disk.
 *
 * Invariants:
 * 1. What came back is shown at no moment from before: nobody knows what it was.
 */
import { directoryType, formatMask } from './attributes.js';
import { compileExcludes } from './excludes.js';
import { namesPath } from './file-rules.js';
import type { FloorGroup } from './floor-plan.js';
import { encodeFloorBody } from './floors.js';
import { txid as toTxid } from './ids.js';
import type { NativeVolume } from './native.js';
import { pacer } from './pacer.js';
import { splitPath } from './path-bytes.js';
import { walkTree } from './tree-walk.js';
import type { FileId } from './types.js';

/** Records handed to the addon at once. */
const recordsInCall = 1000;

export async function setFloors(native: NativeVolume, groups: readonly FloorGroup[]): Promise<void> {
  for (let start = 0; start < groups.length; start += recordsInCall) {
    const some = groups.slice(start, start + recordsInCall);
    await native.appendFloors(some.map(({ txid }) => toTxid(txid)), some.map(({ held, files }) => encodeFloorBody(held, files)));
  }
}

/** `before`, `now`: globs without history, when the volume was last open and from now on. `root`: the backing directory. Returns how many files came back. */
export async function hideReturned(native: NativeVolume, root: string, before: readonly string[], now: readonly string[]): Promise<number> {
  const returned = before.filter((glob) => !now.includes(glob)).map((glob) => compileExcludes([glob]));
  if (returned.length === 0) return 0;
  // They may have changed since the last transaction ended, and it shows them as they are only from the next one on.
  const txid = Number(native.logState().ended) + 1;
  const pause = pacer();
  const files: FileId[] = [];
  for (const { path, stats } of walkTree(root)) {
    await pause();
    const text = path.toString('latin1');
    if ((Number(stats.mode) & formatMask) === directoryType || !returned.some((glob) => namesPath(glob, text))) continue;
    const file = fileAt(native, path);
    if (file !== undefined) files.push(file);
  }
  const groups: FloorGroup[] = [];
  for (let start = 0; start < files.length; start += recordsInCall) groups.push({ txid, held: [], files: files.slice(start, start + recordsInCall) });
  await setFloors(native, groups);
  return files.length;
}

function fileAt(native: NativeVolume, path: Buffer): FileId | undefined {
  let file = native.rootId;
  const above: Buffer[] = [];
  for (const name of splitPath(path)) {
    const found = native.lookup(file, Buffer.from(above.map((part) => part.toString('latin1')).join('/'), 'latin1'), name);
    if (found === undefined) return undefined;
    file = found.file;
    above.push(name);
  }
  return file;
}
