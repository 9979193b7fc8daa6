/**
 * Gives a restored file the owner, extended attributes, mode and times that it had.
 *
 * Invariants:
 * 1. The order matters: changing the owner clears setuid bits and capabilities, an ACL changes the mode's group bits, and everything
 *    changes the times. So: owner, extended attributes, mode, times.
 * 2. When the owner cannot be given (only root may), setuid and setgid are not given either: they would act for somebody else.
 */
import { chmodSync, lchownSync, lstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { files } from '../../native/index.js';
import { bytesOf } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { codeOf } from '../errors.js';

/** What could not be given back, for one note at the end. */
export interface Shortfall {
  owners: number;
  attributes: number;
}

/** `target` gets what `source` (as in a snapshot, with `stat`) has; only what differs is touched. */
export function restoreAttributes(source: BytePath, target: BytePath, stat: BigIntStats, shortfall: Shortfall): void {
  const path = bytesOf(target);
  const hasOwner = restoreOwner(path, stat, shortfall);
  restoreXattrs(bytesOf(source), path, shortfall);
  const mode = Number(stat.mode) & (hasOwner ? 0o7777 : 0o1777);
  const now = lstatSync(path, { bigint: true });
  if (!stat.isSymbolicLink() && (Number(now.mode) & 0o7777) !== mode) chmodSync(path, mode);
  if (now.mtimeNs !== stat.mtimeNs || !stat.isDirectory()) files.setTimes(path, stat.atimeNs, stat.mtimeNs);
}

function restoreOwner(path: Buffer, stat: BigIntStats, shortfall: Shortfall): boolean {
  const now = lstatSync(path, { bigint: true });
  if (now.uid === stat.uid && now.gid === stat.gid) return true;
  try {
    lchownSync(path, Number(stat.uid), Number(stat.gid));
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EPERM' && codeOf(error) !== 'EINVAL') throw error;
    shortfall.owners += 1;
    return false;
  }
}

function restoreXattrs(source: Buffer, target: Buffer, shortfall: Shortfall): void {
  const then = files.getXattrs(source);
  const now = new Map(files.getXattrs(target).map(({ name, value }) => [name.toString('latin1'), value]));
  for (const { name, value } of then) {
    const present = now.get(name.toString('latin1'));
    now.delete(name.toString('latin1'));
    if (present === undefined || !present.equals(value)) attempt(() => files.setXattr(target, name, value), shortfall);
  }
  for (const name of now.keys()) attempt(() => files.removeXattr(target, Buffer.from(name, 'latin1')), shortfall);
}

/** Some names only root may set (trusted., security.), and some places know none. */
function attempt(action: () => void, shortfall: Shortfall): void {
  try {
    action();
  } catch (error) {
    if (!['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error) ?? '')) throw error;
    shortfall.attributes += 1;
  }
}
