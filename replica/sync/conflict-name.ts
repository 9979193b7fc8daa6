/**
 * What the version of a file is called that gave up its name: `report (conflict from stick 2026-11-23 0930).txt`. Pure. In: the path, whose version it is, when, which names are taken. Out: a path.
 *
 * Invariants:
 * 1. It is a name that is free, also where capitals count for nothing, and no longer than names can be.
 */
import { fromText, joined, nameOf, parentOf } from '../paths.js';
import { fold } from './stored-names.js';

const longestName = 255;

/** `isTaken`: of a path. */
export function conflictPath(path: string, from: string, nowMs: number, isTaken: (path: string) => boolean): string {
  const when = new Date(nowMs - new Date(nowMs).getTimezoneOffset() * 60_000).toISOString();
  const name = nameOf(path);
  // A dot in front begins a hidden file, no extension.
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 && name.length - dot <= 20 ? name.slice(dot) : '';
  const stem = name.slice(0, name.length - extension.length);
  for (let count = 1; ; count++) {
    const mark = fromText(` (conflict from ${from} ${when.slice(0, 10)} ${when.slice(11, 13)}${when.slice(14, 16)}${count === 1 ? '' : ` ${count}`})`);
    const candidate = joined(parentOf(path), `${shortened(stem, longestName - mark.length - extension.length)}${mark}${extension}`);
    if (!isTaken(candidate)) return candidate;
  }
}

/** Not in the middle of a character. */
function shortened(name: string, mostBytes: number): string {
  let end = Math.min(name.length, mostBytes);
  while (end < name.length && end > 0 && (name.charCodeAt(end) & 0xc0) === 0x80) end--;
  return name.slice(0, end);
}

/** For `isTaken`: all paths of both sides, however they are written. */
export function takenPaths(...paths: readonly Iterable<string>[]): { has(path: string): boolean; add(path: string): void } {
  const taken = new Set<string>();
  for (const some of paths) for (const path of some) taken.add(fold(path));
  return { has: (path) => taken.has(fold(path)), add: (path) => void taken.add(fold(path)) };
}
