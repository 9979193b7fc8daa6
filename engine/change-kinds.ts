/**
 * What happened to one file in one transaction, told from the records of that transaction. Pure: attributes before and after,
 * what was touched, why the transaction ended. Out: a kind, or nothing worth a line.
 *
 * Invariants:
 * 1. A change that only follows from another one (link count, ctime, a directory's own times) is no change of its own.
 */
import { directoryType, formatMask, symlinkType } from './attributes.js';
import { touched } from './index-keys.js';
import { nameOperation } from './log-bodies.js';
import type { Attributes, ChangeKind, Transaction } from './types.js';

/** What changed in a file's bytes or attributes; undefined when nothing of its own did. `bits`: index-keys `touched`. */
export function contentKind(before: Attributes | undefined, after: Attributes | undefined, bits: number, transaction: Transaction): ChangeKind | undefined {
  if (before === undefined || after === undefined) return bits & touched.data ? 'write' : bits & touched.xattr ? 'xattr' : undefined;
  // What external changes did is not known: the state before them is lost.
  if (transaction.external && bits & (touched.attributes | touched.data)) return 'external';
  if ((after.mode & formatMask) === directoryType) return directoryKind(before, after, bits);
  if (after.size < before.size) return 'truncate';
  if (after.size > before.size) return grownKind(before, after, bits, transaction);
  if (bits & touched.data || after.blocks > before.blocks) return 'write';
  if (bits & touched.xattr) return 'xattr';
  if (ownerOrModeDiffers(before, after)) return 'attributes';
  return before.mtimeNs !== after.mtimeNs || (before.atimeNs !== after.atimeNs && before.ctimeNs !== after.ctimeNs && before.nlink === after.nlink) ? 'attributes' : undefined;
}

/** What a name that appeared in a directory means for the file. `type`: of the file; `replaced`: the name led to another file before. */
export function arrivalKind(operation: number, type: number, wasElsewhere: boolean, replaced: boolean): ChangeKind {
  switch (operation) {
    case nameOperation.mkdir: return 'mkdir';
    case nameOperation.symlink: return 'symlink';
    case nameOperation.mknod: return 'mknod';
    case nameOperation.link: return wasElsewhere ? 'link' : 'create';
    default:
      // Written aside and moved over the old name within one transaction: to the name's reader, a write.
      if (replaced) return 'write';
      return type === directoryType ? 'mkdir' : type === symlinkType ? 'symlink' : 'create';
  }
}

export function departureKind(operation: number): ChangeKind {
  return operation === nameOperation.rmdir ? 'rmdir' : 'delete';
}

function directoryKind(before: Attributes, after: Attributes, bits: number): ChangeKind | undefined {
  if (bits & touched.xattr) return 'xattr';
  if (ownerOrModeDiffers(before, after)) return 'attributes';
  // Names that come and go change a directory's times.
  return !(bits & touched.names) && before.nlink === after.nlink && before.mtimeNs !== after.mtimeNs ? 'attributes' : undefined;
}

function grownKind(before: Attributes, after: Attributes, bits: number, transaction: Transaction): ChangeKind {
  const grewEmpty = transaction.reason === 'truncate' && !(bits & touched.data) && after.blocks <= before.blocks;
  return grewEmpty ? 'truncate' : 'write';
}

function ownerOrModeDiffers(before: Attributes, after: Attributes): boolean {
  return before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid;
}
