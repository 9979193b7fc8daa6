/**
 * From a step to what has to be done, one thing after the other, on a tree as of its beginning. In: a Step of the engine. Out: operations on paths, which a standby carries out.
 *
 * Invariants:
 * 1. Done in order on the tree as of `from`, they make the names of the tree as of `to`: each path is the one that leads there at that moment.
 * 2. One name that moves is one rename, also over what stood there. Where several move they go through a directory beside them, so that none is in another's way.
 * 3. Bytes are written behind all names, attributes last: what goes on in a directory changes its times.
 */
import { directoryType, regularType, symlinkType } from '../../engine/attributes.js';
import type { Step, StepFile, StepName } from '../../engine/index.js';

/** Paths are latin1: one character a byte. Numbers beyond 2⁵³ are decimal strings. */
export type Operation =
  | { readonly do: 'remove' | 'rmdir'; readonly path: string }
  /** `mode`: its permissions. */
  | { readonly do: 'mkdir' | 'create'; readonly path: string; readonly mode: number }
  | { readonly do: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly do: 'symlink'; readonly path: string; readonly target: string }
  | { readonly do: 'mknod'; readonly path: string; readonly mode: number; readonly rdev: string }
  /** DATA and ZEROS that follow are of this file. */
  | { readonly do: 'open'; readonly path: string }
  | { readonly do: 'close'; readonly size: number }
  | { readonly do: 'xattrs'; readonly path: string; readonly xattrs: readonly (readonly [name: string, value: string])[] }
  | {
    readonly do: 'attributes'; readonly path: string; readonly mode: number; readonly uid: number; readonly gid: number; readonly mtimeNs: string;
    /** Where it changed: reading on the standby changes it there, too. */
    readonly atimeNs?: string;
  };

const aside = '/.tidemark-pair-moving';

/** What is done to names. */
export function nameOperations(step: Step): Operation[] {
  const { moves, removed, added } = pairUp(step);
  const files = new Map(step.files.map((file) => [file.file, file]));
  const operations: Operation[] = [];
  const single = moves.length === 1 ? singleMove(moves[0]!, removed, added) : undefined;
  if (single !== undefined) return [single];
  const staged = new Map(moves.map((move, index) => [move.from, `${aside}/${index}`]));
  if (moves.length > 0) operations.push({ do: 'mkdir', path: aside, mode: 0o700 });
  for (const name of step.removed) {
    const to = staged.get(name);
    if (to !== undefined) operations.push({ do: 'rename', path: textOf(name.path), to });
    else if (removed.has(name)) operations.push({ do: name.type === directoryType ? 'rmdir' : 'remove', path: textOf(name.path) });
  }
  const arrivals = new Map(moves.map((move) => [move.to, staged.get(move.from)!]));
  const made = new Map<bigint, string>();
  const links: StepName[] = [];
  for (const name of step.added) {
    const from = arrivals.get(name);
    if (from !== undefined) operations.push({ do: 'rename', path: from, to: textOf(name.path) });
    else if (files.get(name.file)?.isNew === true && !made.has(name.file)) operations.push(make(name, files.get(name.file)!));
    else {
      links.push(name);
      continue;
    }
    if (!made.has(name.file)) made.set(name.file, textOf(name.path));
  }
  if (moves.length > 0) operations.push({ do: 'rmdir', path: aside });
  for (const name of links) {
    const kept = made.get(name.file) ?? name.kept?.toString('latin1');
    if (kept !== undefined) operations.push({ do: 'link', path: kept, to: textOf(name.path) });
  }
  return operations;
}

/** What is done to a file when all names stand and its bytes are written. */
export function attributeOperations(file: StepFile): Operation[] {
  const path = textOf(file.path);
  const { mode, uid, gid, atimeNs, mtimeNs } = file.attributes;
  const xattrs = file.xattrs?.map(({ name, value }) => [name.toString('latin1'), value.toString('base64')] as const);
  return [
    ...(xattrs === undefined || (file.isNew && xattrs.length === 0) ? [] : [{ do: 'xattrs', path, xattrs } as const]),
    { do: 'attributes', path, mode, uid, gid, mtimeNs: String(mtimeNs), ...(file.before?.atimeNs === atimeNs ? {} : { atimeNs: String(atimeNs) }) },
  ];
}

interface Move {
  readonly from: StepName;
  readonly to: StepName;
}

/** A file that goes from one name and comes to another has moved; what is left over goes or comes. */
function pairUp(step: Step): { moves: Move[]; removed: Set<StepName>; added: Set<StepName> } {
  const removed = new Set(step.removed);
  const added = new Set(step.added);
  const moves: Move[] = [];
  const going = new Map<bigint, StepName[]>();
  for (const name of step.removed) going.set(name.file, [...going.get(name.file) ?? [], name]);
  for (const to of step.added) {
    const from = going.get(to.file)?.shift();
    if (from === undefined) continue;
    removed.delete(from);
    added.delete(to);
    moves.push({ from, to });
  }
  return { moves, removed, added };
}

/** A rename, also over something else, and nothing besides. */
function singleMove({ from, to }: Move, removed: ReadonlySet<StepName>, added: ReadonlySet<StepName>): Operation | undefined {
  if (added.size > 0) return undefined;
  const [replaced] = removed;
  const isAlone = removed.size === 0 || (removed.size === 1 && replaced!.path.equals(to.path) && (replaced!.type === directoryType) === (from.type === directoryType));
  return isAlone ? { do: 'rename', path: textOf(from.path), to: textOf(to.path) } : undefined;
}

function make({ path, type: kind }: StepName, file: StepFile): Operation {
  const mode = file.attributes.mode & 0o777;
  if (kind === directoryType) return { do: 'mkdir', path: textOf(path), mode };
  if (kind === regularType) return { do: 'create', path: textOf(path), mode };
  if (kind === symlinkType) return { do: 'symlink', path: textOf(path), target: (file.target ?? Buffer.alloc(0)).toString('latin1') };
  return { do: 'mknod', path: textOf(path), mode: file.attributes.mode, rdev: String(file.attributes.rdev) };
}

function textOf(path: Buffer): string {
  return path.toString('latin1');
}
