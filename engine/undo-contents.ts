/**
 * Which bytes, sizes and attributes of a file an undo puts back. Pure. In: a file's history, the path it will have. Out: steps and conflicts.
 *
 * Invariants:
 * 1. Bytes that others have changed since stay, and those that only others changed are not touched.
 * 2. A file does not become shorter when others have written behind its former end.
 * 3. The modification time comes back only where all that is younger is mine.
 */
import type { FileId } from './types.js';
import { momentBefore, runOf, segmentsOf } from './undo-runs.js';
import type { Run } from './undo-runs.js';
import type { Conflict, FileHistory, Step, UndoStep, ValueStep } from './undo-types.js';

export interface ContentOutcome {
  readonly steps: UndoStep[];
  readonly conflicts: Conflict[];
}

/** `path`: where the file is when names are as they are to be. */
export function planContents(file: FileId, history: FileHistory, path: string): ContentOutcome {
  const outcome: ContentOutcome = { steps: [], conflicts: [] };
  const target = { path, file };
  const against = (kind: Conflict['kind'], { mine, other }: { mine: Step; other: Step }, more: Partial<Conflict> = {}): void => {
    outcome.conflicts.push({ kind, ...target, mine: mine.txid, other: other.txid, ...more });
  };
  const size = runOf(history.sizes);
  const sizeClash = size.clash ?? writtenBehind(history, size);
  if (sizeClash !== undefined) against('size', sizeClash);
  const isSizeMine = size.first !== undefined && sizeClash === undefined;
  if (isSizeMine && Number(size.first.before) !== history.size) outcome.steps.push({ kind: 'size', ...target, size: Number(size.first.before), snapshot: momentBefore(size.first) });
  const sizeAfter = isSizeMine ? Number(size.first.before) : history.size;
  for (const { start, end, run } of segmentsOf(history.bytes)) {
    // What mine wrote behind the end of then has no bytes of then; what lies behind the end that comes is gone.
    const until = Math.min(end, run.first!.size, sizeAfter);
    if (run.clash !== undefined && (start < run.first!.size || !isSizeMine)) against('bytes', run.clash, { range: { start, end } });
    else if (run.clash === undefined && start < until) outcome.steps.push({ kind: 'bytes', ...target, start, end: until, snapshot: momentBefore(run.first!) });
  }
  const putBack = (kind: 'uid' | 'gid' | 'mode', steps: readonly ValueStep[]): void => {
    const { first, clash } = runOf(steps);
    if (clash !== undefined) against(kind === 'mode' ? 'mode' : 'owner', clash);
    else if (first !== undefined) outcome.steps.push({ kind, ...target, value: first.before, snapshot: momentBefore(first) });
  };
  // A change of the owner takes capabilities and setuid bits, an ACL changes the mode.
  putBack('uid', history.uids);
  putBack('gid', history.gids);
  for (const [name, steps] of history.xattrs) {
    const { first, clash } = runOf(steps);
    if (clash !== undefined) against('xattr', clash, { xattr: name });
    else if (first !== undefined) outcome.steps.push({ kind: 'xattr', ...target, name, snapshot: momentBefore(first) });
  }
  putBack('mode', history.modes);
  const time = runOf(history.mtimes);
  if (time.first !== undefined && time.clash === undefined && outcome.conflicts.length === 0) {
    outcome.steps.push({ kind: 'mtime', ...target, value: time.first.before, snapshot: momentBefore(time.first) });
  }
  return outcome;
}

/** Others' bytes behind the size that would come back. */
function writtenBehind({ bytes }: FileHistory, { first }: Run<ValueStep>): { mine: Step; other: Step } | undefined {
  if (first === undefined) return undefined;
  const other = bytes.find((step) => !step.isMine && step.txid > first.txid && step.end > Number(first.before));
  return other === undefined ? undefined : { mine: first, other };
}
