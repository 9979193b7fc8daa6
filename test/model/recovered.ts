/**
 * What a tree may look like after its daemon was killed in the middle of an operation: descriptions of before, after (the
 * twin's) and now come in; an assertion fails when now is neither.
 *
 * Invariants:
 * 1. An operation on names or attributes is done or not done.
 * 2. One that writes bytes may have gone part of the way, in the files it changes and in nothing else.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Operation } from './operations.js';

const writing = new Set<unknown>(['write', 'append', 'direct', 'over', 'copy', 'mmap', 'fallocate', 'tmpfile']);

export interface Trees {
  readonly live: readonly string[];
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export function checkRecovered(trees: Trees, underway: { readonly operation: Operation; readonly hasReturned: boolean } | undefined, did: readonly string[]): void {
  const { live, before, after } = trees;
  const what = `the tree after a crash, ${underway === undefined ? 'between operations' : underway.hasReturned ? 'after the last' : 'during the last'} of ${did.join('; ')}`;
  if (underway === undefined) assert.deepEqual(live, before, what);
  else if (underway.hasReturned) assert.deepEqual(live, after, what);
  else if (isDeepStrictEqual(live, before)) return;
  else if (writing.has(underway.operation.words[0])) assert.deepEqual(...withoutChanged(trees), what);
  else assert.deepEqual(live, after, what);
}

/** A line of describe.c without the mtime, which the two trees cannot have in common. */
export function withoutTime(line: string): string {
  return line.slice(0, line.lastIndexOf(' '));
}

/** Live and after, of the files that the operation changes only the names. */
function withoutChanged({ live, before, after }: Trees): [string[], string[]] {
  const kept = new Set(before.filter((line) => after.includes(line)));
  const same = new Set([...kept].map(pathOf));
  const reduce = (line: string): string => (same.has(pathOf(line)) ? line : pathOf(line));
  return [live.map(reduce), after.map(reduce)];
}

function pathOf(line: string): string {
  return line.slice(0, line.indexOf(' '));
}
