/**
 * The permission of then where the kernel cannot check it: a directory of `@deleted` shows what was deleted at many moments, and at each of them its mode and ACL may have
 * been another one. In: packed attributes and ACL of then, a caller. Out: whether he might have. (acl(5), "access check algorithm")
 *
 * Invariants:
 * 1. uid 0 passes, as it does in the kernel.
 * 2. What cannot be read (an ACL of another version, groups of a process that has ended) gives nothing.
 */
import { readFileSync } from 'node:fs';
import type { Caller } from '../native/types.js';
import { decodeAttributes } from '../engine/attributes.js';

export interface PermissionsThen {
  /** Packed (FORMAT, 80 bytes). */
  readonly attributes: Buffer;
  readonly xattrs: readonly { readonly name: Buffer; readonly value: Buffer }[];
}

const accessList = Buffer.from('system.posix_acl_access');
const aclVersion = 2;
const aclHeaderBytes = 4;
const aclEntryBytes = 8;
const tag = { userOwner: 0x01, user: 0x02, groupOwner: 0x04, group: 0x08, mask: 0x10, other: 0x20 } as const;

interface AclEntry {
  readonly tag: number;
  readonly bits: number;
  readonly id: number;
}

/** `mask`: 4 read, 2 write, 1 search; `groups`: the caller's, besides his own. */
export function mightThen({ attributes, xattrs }: PermissionsThen, caller: Caller, groups: readonly number[], mask: number): boolean {
  if (caller.uid === 0) return true;
  const { mode, uid, gid } = decodeAttributes(attributes);
  const list = xattrs.find(({ name }) => name.equals(accessList));
  const entries = list === undefined ? ofMode(mode) : decodeAcl(list.value);
  return entries !== undefined && allows(entries, { uid, gid }, caller.uid, new Set([caller.gid, ...groups]), mask);
}

/** Supplementary groups of a process; none when it has ended. */
export function groupsOf({ pid }: Caller): number[] {
  try {
    const line = /^Groups:(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '';
    return line.split(/\s+/).filter((word) => word !== '').map(Number);
  } catch {
    return [];
  }
}

function allows(entries: readonly AclEntry[], owner: { uid: number; gid: number }, uid: number, groups: ReadonlySet<number>, mask: number): boolean {
  const bitsOf = (wanted: number): number => entries.find((entry) => entry.tag === wanted)?.bits ?? 0;
  const hasMask = entries.some((entry) => entry.tag === tag.mask);
  const limit = hasMask ? bitsOf(tag.mask) : 7;
  const grants = (bits: number): boolean => (bits & mask) === mask;
  if (uid === owner.uid) return grants(bitsOf(tag.userOwner));
  const named = entries.find((entry) => entry.tag === tag.user && entry.id === uid);
  if (named !== undefined) return grants(named.bits & limit);
  const ofGroups = entries.filter((entry) => (entry.tag === tag.groupOwner && groups.has(owner.gid)) || (entry.tag === tag.group && groups.has(entry.id)));
  if (ofGroups.length > 0) return ofGroups.some(({ bits }) => grants(bits & limit));
  return grants(bitsOf(tag.other));
}

function ofMode(mode: number): AclEntry[] {
  return [{ tag: tag.userOwner, bits: (mode >> 6) & 7, id: 0 }, { tag: tag.groupOwner, bits: (mode >> 3) & 7, id: 0 }, { tag: tag.other, bits: mode & 7, id: 0 }];
}

function decodeAcl(value: Buffer): AclEntry[] | undefined {
  if (value.length < aclHeaderBytes || value.readUInt32LE(0) !== aclVersion) return undefined;
  const entries: AclEntry[] = [];
  for (let at = aclHeaderBytes; at + aclEntryBytes <= value.length; at += aclEntryBytes) {
    entries.push({ tag: value.readUInt16LE(at), bits: value.readUInt16LE(at + 2), id: value.readUInt32LE(at + 4) });
  }
  return entries;
}
