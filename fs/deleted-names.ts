/**
 * By which names a directory of `@deleted` shows what was deleted in it. The newest of a name keeps it; older ones carry the time at which they were deleted, before the
 * extension, so that file managers still know their type: `report (2026-11-22T07-00-05Z).txt`. Pure.
 *
 * Invariants:
 * 1. No two entries have the same name, and none is longer than 255 bytes.
 * 2. A name with a time means the same entry for as long as that is shown, also when it is listed without one.
 */
import { directoryType } from '../engine/attributes.js';
import { formatMoment } from '../engine/moments.js';
import type { DeletedContents, DeletedName, ResolvedEntry } from '../engine/types.js';

/** A present directory with deleted things below it, or something deleted. */
export type ShownEntry = { readonly below: ResolvedEntry } | { readonly deleted: DeletedName };

export interface DeletedNames {
  /** By name, one character a byte. */
  readonly listed: ReadonlyMap<string, ShownEntry>;
  /** Listed, or a name with a time. */
  find(name: string): ShownEntry | undefined;
}

const longestName = 255;
/** Longer endings are no extensions. */
const longestExtension = 12;

export function nameDeleted({ deleted, below }: DeletedContents): DeletedNames {
  const listed = new Map<string, ShownEntry>(below.map((entry) => [entry.name.toString('latin1'), { below: entry }]));
  const timed = new Map<string, ShownEntry>();
  for (const entry of deleted) {
    const shown = { deleted: entry };
    const withTimes = [timedName(entry, 'second'), timedName(entry, 'nanosecond')];
    const name = [entry.name.toString('latin1'), ...withTimes].find((one) => !listed.has(one));
    // Only names that were cut off could still be the same: their newest is shown.
    if (name !== undefined) listed.set(name, shown);
    for (const one of withTimes) if (!timed.has(one)) timed.set(one, shown);
  }
  return { listed, find: (name) => listed.get(name) ?? timed.get(name) };
}

function timedName({ name, type, timeNs }: DeletedName, precision: 'second' | 'nanosecond'): string {
  const text = name.toString('latin1');
  const dot = type === directoryType ? -1 : text.lastIndexOf('.');
  const at = dot > 0 && text.length - dot <= longestExtension ? dot : text.length;
  const time = ` (${formatMoment(timeNs, precision)})`;
  return `${cut(text.slice(0, at), longestName - time.length - (text.length - at))}${time}${text.slice(at)}`;
}

/** At most so many bytes, and no half character of UTF-8. */
function cut(text: string, longest: number): string {
  let end = Math.min(text.length, longest);
  while (end > 0 && end < text.length && (text.charCodeAt(end) & 0xc0) === 0x80) end--;
  return text.slice(0, end);
}
