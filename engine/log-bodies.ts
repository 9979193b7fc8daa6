/**
 * Bodies of the log's records, decoded and encoded (docs/FORMAT.md). Decoders get the record's header fields they need
 * and a body whose checksum has been compared; they throw RangeError when the body is too short for what it claims,
 * which callers treat as damage.
 *
 * Invariants:
 * 1. Decoded names and values are copies: they outlive the buffer they were read from.
 * 2. decode(encode(x)) equals x.
 */
import { makeFileId, generationOf, inodeOf } from './ids.js';
import type { FileId } from './types.js';

export const nameOperation = {
  create: 1, unlink: 2, link: 3, renameAway: 4, renameTo: 5, exchange: 6, mkdir: 7, rmdir: 8, symlink: 9, mknod: 10, external: 11,
} as const;

export const endReasons = ['', 'sync', 'close', 'name', 'truncate', 'timer', 'query', 'unmount', 'recovery', 'external', 'write', 'actor'] as const;
/** `followed`: the transaction has number and time of another volume's, so there may be a gap before it. */
export const endFlag = { external: 1, recovered: 2, relaxed: 4, quiescent: 8, severalProcesses: 16, severalActors: 32, followed: 64 } as const;
/** aux of a NOTE. */
export const historyGapNote = 4;
export const pinRemoved = 1;
/** Of KEPT: another part follows. */
export const keptGoesOn = 1;
export const nameBodyBytes = 40;
export const endBodyBytes = 24;

const noXattr = 0xffff_ffff;
export const absent = 0n as FileId;

export interface NameChange {
  /** 0 when the name was absent. */
  readonly before: FileId;
  /** 0 when the name is absent afterwards. */
  readonly after: FileId;
  readonly typeBefore: number;
  readonly typeAfter: number;
  readonly operation: number;
  readonly name: Buffer;
}

export interface End {
  readonly timeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly reason: number;
  readonly flags: number;
  readonly command: string;
}

export interface Place {
  readonly parent: FileId;
  readonly type: number;
  readonly name: Buffer;
}

export function decodeName(body: Buffer, nameLength: number): NameChange {
  return {
    before: makeFileId(body.readBigUInt64LE(0), body.readUInt32LE(16)),
    after: makeFileId(body.readBigUInt64LE(8), body.readUInt32LE(20)),
    typeBefore: body.readUInt32LE(24),
    typeAfter: body.readUInt32LE(28),
    operation: body.readUInt8(32),
    name: copyOf(body, nameBodyBytes, nameLength),
  };
}

export function encodeName(change: NameChange): Buffer {
  const body = Buffer.alloc(nameBodyBytes + change.name.length);
  body.writeBigUInt64LE(inodeOf(change.before), 0);
  body.writeBigUInt64LE(inodeOf(change.after), 8);
  body.writeUInt32LE(generationOf(change.before), 16);
  body.writeUInt32LE(generationOf(change.after), 20);
  body.writeUInt32LE(change.typeBefore, 24);
  body.writeUInt32LE(change.typeAfter, 28);
  body[32] = change.operation;
  change.name.copy(body, nameBodyBytes);
  return body;
}

/** `body` may be longer than the record: `commandLength` says where the command ends. */
export function decodeEnd(body: Buffer, commandLength: number): End {
  return {
    timeNs: body.readBigInt64LE(0),
    uid: body.readUInt32LE(8),
    gid: body.readUInt32LE(12),
    pid: body.readUInt32LE(16),
    reason: body.readUInt8(20),
    flags: body.readUInt8(21),
    command: body.toString('utf8', endBodyBytes, endBodyBytes + commandLength),
  };
}

export function encodeEnd(end: End): Buffer {
  const command = Buffer.from(end.command);
  const body = Buffer.alloc(endBodyBytes + command.length);
  body.writeBigInt64LE(end.timeNs, 0);
  body.writeUInt32LE(end.uid, 8);
  body.writeUInt32LE(end.gid, 12);
  body.writeUInt32LE(end.pid, 16);
  body[20] = end.reason;
  body[21] = end.flags;
  command.copy(body, endBodyBytes);
  return body;
}

/** The value is undefined when there was no such attribute. */
export function decodeXattr(body: Buffer, nameLength: number): { name: Buffer; value: Buffer | undefined } {
  const valueLength = body.readUInt32LE(0);
  const name = copyOf(body, 8, nameLength);
  return { name, value: valueLength === noXattr ? undefined : copyOf(body, 8 + nameLength, valueLength) };
}

export function encodeXattr(name: Buffer, value: Buffer | undefined): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(value === undefined ? noXattr : value.length, 0);
  return Buffer.concat([head, name, value ?? Buffer.alloc(0)]);
}

export function decodePlace(body: Buffer, nameLength: number): Place {
  return {
    parent: makeFileId(body.readBigUInt64LE(0), body.readUInt32LE(8)),
    type: body.readUInt32LE(12),
    name: copyOf(body, 16, nameLength),
  };
}

export function encodePlace(place: Place): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(inodeOf(place.parent), 0);
  head.writeUInt32LE(generationOf(place.parent), 8);
  head.writeUInt32LE(place.type, 12);
  return Buffer.concat([head, place.name]);
}

export function decodePin(body: Buffer, nameLength: number): { madeAtNs: bigint; name: Buffer } {
  return { madeAtNs: body.readBigInt64LE(0), name: copyOf(body, 8, nameLength) };
}

export function encodePin(madeAtNs: bigint, name: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeBigInt64LE(madeAtNs, 0);
  return Buffer.concat([head, name]);
}

/** Kept transactions in one KEPT record: a body stays well below the greatest record. */
const keptPerPart = 100_000;

/** Bodies of KEPT records: the first number, then the distances, as LEB128. `txids`: growing, at least one. */
export function encodeKept(txids: Float64Array): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start < txids.length; start += keptPerPart) {
    const bytes: number[] = [];
    for (let index = start; index < Math.min(start + keptPerPart, txids.length); index++) {
      let rest = txids[index]! - (index === start ? 0 : txids[index - 1]!);
      for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
      bytes.push(rest);
    }
    parts.push(Buffer.from(bytes));
  }
  return parts;
}

/** The numbers in one body. */
export function decodeKept(body: Buffer): number[] {
  const txids: number[] = [];
  let [value, scale] = [0, 1];
  for (const byte of body) {
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte & 128) continue;
    txids.push((txids.at(-1) ?? 0) + value);
    [value, scale] = [0, 1];
  }
  if (scale !== 1) throw new RangeError('a number is cut');
  return txids;
}

function copyOf(body: Buffer, start: number, length: number): Buffer {
  if (start + length > body.length) throw new RangeError(`a record's body of ${body.length} bytes is too short`);
  return Buffer.from(body.subarray(start, start + length));
}
