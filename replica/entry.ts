/**
 * One file, directory or symlink of a backup, as a line of its manifest. In: what the snapshot shows. Out: a line of JSON, and back.
 *
 * Invariants:
 * 1. `parseEntry(encodeEntry(entry))` is the same entry.
 * 2. A line begins with the path and has no line break inside.
 */
import type { BigIntStats } from 'node:fs';
import { jsonTime, readMoment } from '../engine/moments.js';
import { bytesOf, fromBytes, fromText, toText } from './paths.js';
import { readPieces, writtenPieces } from './piece.js';
import type { Piece, WrittenPiece } from './piece.js';

export const entryTypes = ['file', 'directory', 'symlink', 'fifo', 'socket', 'character-device', 'block-device'] as const;
export type EntryType = (typeof entryTypes)[number];

export interface Entry {
  /** paths.ts */
  readonly path: string;
  readonly type: EntryType;
  /** Bytes; 0 for all but files. */
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of files, hexadecimal. */
  readonly sha256?: string;
  /** Of files in an object store that are not empty: where their bytes lie, in order. */
  readonly pieces?: readonly Piece[];
  /** Of symlinks: where to, one character a byte. */
  readonly target?: string;
  /** Of devices, as stat gives it. */
  readonly rdev?: number;
  /** Files with the same one are one file with several names. */
  readonly link?: string;
}

interface Line {
  readonly path: string;
  readonly pathHex?: string;
  readonly type: EntryType;
  readonly size?: number;
  readonly time: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly sha256?: string;
  readonly pieces?: readonly WrittenPiece[];
  readonly target?: string;
  readonly targetHex?: string;
  readonly rdev?: number;
  readonly link?: string;
}

/** Without the line break. */
export function encodeEntry(entry: Entry): string {
  const { path, type, size, mtimeNs, mode, uid, gid, sha256, pieces, target, rdev, link } = entry;
  const text = toText(path);
  const line: Line = {
    path: text ?? bytesOf(path).toString('utf8'),
    ...(text === undefined ? { pathHex: bytesOf(path).toString('hex') } : {}),
    type,
    ...(type === 'file' ? { size } : {}),
    time: jsonTime(mtimeNs), mode: mode.toString(8).padStart(4, '0'), uid, gid,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(pieces === undefined ? {} : { pieces: writtenPieces(pieces, sha256) }),
    ...(target === undefined ? {} : toText(target) === undefined ? { target: bytesOf(target).toString('utf8'), targetHex: bytesOf(target).toString('hex') } : { target: toText(target)! }),
    ...(rdev === undefined ? {} : { rdev }),
    ...(link === undefined ? {} : { link }),
  };
  return JSON.stringify(line);
}

/** Throws SyntaxError for what is no entry. */
export function parseEntry(text: string): Entry {
  const line = JSON.parse(text) as Line;
  const { type, size = 0, time, mode, uid, gid, sha256, pieces, rdev, link } = line;
  const moment = typeof time === 'string' ? readMoment(time, 0n) : undefined;
  if (typeof line.path !== 'string' || moment === undefined || !('timeNs' in moment) || !entryTypes.includes(type) || !/^[0-7]{4,5}$/.test(mode)) throw new SyntaxError(`no entry of a backup: ${text.slice(0, 200)}`);
  const path = keyOf(line);
  // A manifest that somebody else wrote must not lead out of the place that it is restored to.
  if (path.startsWith('/') || path.split('/').some((name) => name === '' || name === '.' || name === '..') || path.includes('\0')) throw new SyntaxError(`no path of a backup: ${line.path}`);
  const target = line.targetHex === undefined ? (line.target === undefined ? undefined : fromText(line.target)) : fromBytes(Buffer.from(line.targetHex, 'hex'));
  return {
    path, type, size, mtimeNs: moment.timeNs, mode: Number.parseInt(mode, 8), uid, gid,
    ...(sha256 === undefined ? {} : { sha256 }), ...(pieces === undefined ? {} : { pieces: readPieces(pieces, sha256) }), ...(target === undefined ? {} : { target }), ...(rdev === undefined ? {} : { rdev }), ...(link === undefined ? {} : { link }),
  };
}

/** The path of a line alone. */
export function pathOfLine(text: string): string {
  return keyOf(JSON.parse(text) as Line);
}

/** The pieces of a line alone; none of what is no file, or empty. Throws SyntaxError. */
export function piecesOfLine(text: string): Piece[] {
  const { pieces = [], sha256 } = JSON.parse(text) as Line;
  return readPieces(pieces, sha256);
}

function keyOf({ path, pathHex }: Line): string {
  return pathHex === undefined ? fromText(path) : fromBytes(Buffer.from(pathHex, 'hex'));
}

/** What a stat of the snapshot says; the rest (hash, target) is added by who reads. */
export function entryOf(path: string, stat: BigIntStats): Entry {
  const type = typeOf(stat);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path, type, size: type === 'file' ? Number(stat.size) : 0, mtimeNs: stat.mtimeNs, mode: Number(stat.mode) & 0o7777, uid: Number(stat.uid), gid: Number(stat.gid),
    ...(isDevice ? { rdev: Number(stat.rdev) } : {}),
    ...(type !== 'directory' && stat.nlink > 1n ? { link: String(stat.ino) } : {}),
  };
}

function typeOf(stat: BigIntStats): EntryType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isSocket()) return 'socket';
  return stat.isCharacterDevice() ? 'character-device' : 'block-device';
}

/** true when all but the bytes is the same. */
export function hasSameAttributes(one: Entry, other: Entry): boolean {
  return one.type === other.type && one.mode === other.mode && one.uid === other.uid && one.gid === other.gid && one.mtimeNs === other.mtimeNs && one.size === other.size && one.rdev === other.rdev;
}
