/**
 * What the past of the applications' directories was while they worked: checksums of every file, read through the mount. In: trees. Out: digests, which say
 * after a power cut whether a moment still reads as before (check-moments.ts).
 */
import { crc32 } from 'node:zlib';
import type { Tree } from '../trees.js';
import type { Attributes } from '../witness.js';

export interface Digest extends Attributes {
  readonly kind: 'file' | 'directory';
  /** Of each piece of the bytes. */
  readonly sums: readonly number[];
}

/** By path from the directory. */
export type Digests = ReadonlyMap<string, Digest>;

/** A moment of all applications, and the transaction that the daemon named for it. */
export interface MomentWitness {
  readonly txid: string;
  readonly timeNs: bigint;
  /** The journal's length when all of it had been read. */
  readonly at: number;
  /** When the daemon had named it, among all that the witness counts. */
  readonly moment: number;
  /** The last operation that each worker had ended when the daemon was asked, in the order of workersOf. Those under way may be in it or not. */
  readonly done: readonly number[];
  /** By directory of an application. */
  readonly trees: ReadonlyMap<string, Digests>;
}

const pieceBytes = 65_536;

export function digestsOf(tree: Tree): Digests {
  return new Map([...tree].map(([path, { kind, bytes, attributes }]) => [path, { kind, ...attributes, sums: sumsOf(bytes) }]));
}

export function sumsOf(bytes: Buffer): number[] {
  const sums: number[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) sums.push(crc32(bytes.subarray(at, at + pieceBytes)));
  return sums;
}

/** Where the first piece that differs begins; undefined: none does. */
export function firstDifference(one: readonly number[], other: readonly number[]): number | undefined {
  const length = Math.max(one.length, other.length);
  for (let piece = 0; piece < length; piece += 1) if (one[piece] !== other[piece]) return piece * pieceBytes;
  return undefined;
}
