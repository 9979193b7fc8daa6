/**
 * What a sync was about to do, written down before it does it, and what follows from that for the next one when it was cut off: what it did itself is nobody's change. Pure but for the words of the file. In: intents, both sides
 * as they are. Out: paths whose base is another one by now.
 *
 * Invariants:
 * 1. A path at which the sync had come to its end has what it put there as its base; one that it had only cleared has nothing. Then what stands at the other side, from where it was being brought, wins as if nothing had happened.
 * 2. Where somebody else was quicker, the base stays.
 */
import { encodeEntry, parseEntry } from '../entry.js';
import type { Entry } from '../entry.js';
import { isSame } from './decide.js';
import type { Side } from './decide.js';

export type Intent =
  /** The path is to be as the other side has it; no entry: gone. */
  | { readonly what: 'put'; readonly side: Side; readonly path: string; readonly entry?: Entry }
  | { readonly what: 'move'; readonly side: Side; readonly from: string; readonly to: string };

export interface Sides {
  base(path: string): Entry | undefined;
  /** With its hash, if it is a file of this size. */
  now(side: Side, path: string, size: number): Entry | undefined;
  /** As exactly as the side keeps times. */
  isSameTime(side: Side, one: bigint, other: bigint): boolean;
}

/** Paths with another base. */
export function recall(intents: readonly Intent[], sides: Sides): Map<string, Entry | undefined> {
  const bases = new Map<string, Entry | undefined>();
  const base = (path: string): Entry | undefined => (bases.has(path) ? bases.get(path) : sides.base(path));
  for (const intent of intents) {
    if (intent.what === 'move') {
      const { side, from, to } = intent;
      const moved = base(from);
      if (moved === undefined || sides.now(side, from, moved.size) !== undefined || sides.now(side, to, moved.size) === undefined) continue;
      bases.set(to, { ...moved, path: to });
      bases.set(from, undefined);
    } else {
      const { side, path, entry } = intent;
      const now = sides.now(side, path, entry?.size ?? 0);
      if (now === undefined) bases.set(path, undefined);
      else if (entry !== undefined && isWhatWasPut(now, entry, (one, other) => sides.isSameTime(side, one, other))) bases.set(path, { ...entry, ...now });
    }
  }
  return bases;
}

/** A file that nobody had read before it was brought over is known by its size and by the time that it was given. */
function isWhatWasPut(now: Entry, put: Entry, isSameTime: (one: bigint, other: bigint) => boolean): boolean {
  if (put.type !== 'file' || put.sha256 !== undefined) return isSame(now, put);
  return now.type === 'file' && now.size === put.size && isSameTime(now.mtimeNs, put.mtimeNs);
}

interface Line {
  readonly side: Side;
  readonly from?: string;
  readonly to?: string;
  readonly gone?: string;
  readonly entry?: string;
}

/** Each once: runs that fail again and again intend the same. */
export function encodeIntents(intents: readonly Intent[]): Buffer {
  const lines = intents.map((intent): Line => {
    if (intent.what === 'move') return { side: intent.side, from: intent.from, to: intent.to };
    return intent.entry === undefined ? { side: intent.side, gone: intent.path } : { side: intent.side, entry: encodeEntry(intent.entry) };
  });
  return Buffer.from(`[${[...new Set(lines.map((line) => JSON.stringify(line)))].join(',\n')}]`);
}

/** Throws SyntaxError. */
export function parseIntents(bytes: Buffer): Intent[] {
  return (JSON.parse(bytes.toString()) as Line[]).map(({ side, from, to, gone, entry }): Intent => {
    if (from !== undefined && to !== undefined) return { what: 'move', side, from, to };
    if (gone !== undefined) return { what: 'put', side, path: gone };
    const parsed = parseEntry(entry ?? '');
    return { what: 'put', side, path: parsed.path, entry: parsed };
  });
}
