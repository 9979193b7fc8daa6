/**
 * The lists of a root: entries, and names of packs. In: bytes, pieces. Out: the same, the other way round.
 *
 * A list is cut where a line ends whose checksum says so. So two lists that are alike are cut alike but for where they differ, and a run sends of its manifest what changed.
 *
 * Invariants:
 * 1. The pieces of a list, one behind the other, are the list.
 */
import { crc32 } from 'node:zlib';
import type { LineFile } from '../line-file.js';
import { piecesOfLine } from '../entry.js';
import type { Piece } from '../piece.js';
import type { Packer } from './packer.js';
import type { PieceReader } from './pieces.js';

/** One line of so many ends a piece. */
const oneLineIn = 64;
const mostBytes = 1 << 20;
const newline = 10;

export async function packList(list: Buffer, packer: Packer): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (const part of cutList(list)) pieces.push(await packer.add(part));
  return pieces;
}

export function* cutList(list: Buffer): Generator<Buffer> {
  let from = 0;
  for (let at = 0; at < list.length;) {
    const found = list.indexOf(newline, at);
    const end = Math.min(found < 0 ? list.length : found + 1, from + mostBytes);
    if (end - from >= mostBytes || crc32(list.subarray(at, end)) % oneLineIn === 0) {
      yield list.subarray(from, end);
      from = end;
    }
    at = end;
  }
  if (from < list.length) yield list.subarray(from);
}

/** The names of all packs that entries name. */
export function packsOf(manifest: LineFile<unknown>): Set<string> {
  const names = new Set<string>();
  for (const piece of piecesOf(manifest)) names.add(piece.pack);
  return names;
}

export function* piecesOf(manifest: LineFile<unknown>): Generator<Piece> {
  for (const index of manifest.below('')) yield* piecesOfLine(manifest.line(index));
}

export function writePackList(names: ReadonlySet<string>): Buffer {
  return Buffer.from([...names].sort().map((name) => `${name}\n`).join(''));
}

/** Throws absent, damaged. */
export async function readPackList(reader: PieceReader, pieces: readonly Piece[]): Promise<string[]> {
  return (await reader.readAll(pieces)).toString('latin1').split('\n').filter((name) => name !== '');
}
