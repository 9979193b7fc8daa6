/**
 * From bytes of a file to the frame that carries them: a run of zeros is told by its length; the rest goes as it is, or deflated where that saves something. In: bytes and their offset. Out: a frame.
 *
 * Invariants:
 * 1. unpackDeflated(packed) equals the bytes, and gives no more than a chunk, whatever a frame says.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { FrameError, encodeFrame, frameType } from './frame.js';

/** Bytes of a file that one frame carries. */
export const chunkBytes = 256 * 1024;
const offsetBytes = 8;
const lengthBytes = 4;
const nothing = Buffer.alloc(chunkBytes);
/** What looks no smaller after this much is not deflated. */
const tastedBytes = 4096;
const worthWhile = 0.85;
const fast = { level: constants.Z_BEST_SPEED };

/** Makes a frame, here or in another thread. */
export type Pack = (offset: number, bytes: Buffer) => Promise<Buffer>;

export const packHere: Pack = (offset, bytes) => Promise.resolve(packed(offset, bytes, false));

/** Bytes for the file that is open: DATA, ZEROS or DEFLATED. */
export function packed(offset: number, bytes: Buffer, deflates: boolean): Buffer {
  const isZero = bytes.equals(nothing.subarray(0, bytes.length));
  const deflated = deflates && !isZero ? smaller(bytes) : undefined;
  if (deflated !== undefined) {
    const payload = Buffer.allocUnsafe(offsetBytes + lengthBytes + deflated.length);
    payload.writeBigUInt64LE(BigInt(offset), 0);
    payload.writeUInt32LE(bytes.length, offsetBytes);
    payload.set(deflated, offsetBytes + lengthBytes);
    return encodeFrame(frameType.deflated, payload);
  }
  const payload = Buffer.alloc(offsetBytes + (isZero ? offsetBytes : bytes.length));
  payload.writeBigUInt64LE(BigInt(offset), 0);
  if (isZero) payload.writeBigUInt64LE(BigInt(bytes.length), offsetBytes);
  else payload.set(bytes, offsetBytes);
  return encodeFrame(isZero ? frameType.zeros : frameType.data, payload);
}

/** What a DEFLATED frame carries. Throws FrameError for one that makes no sense. */
export function unpackDeflated(payload: Buffer): { offset: number; bytes: Buffer } {
  if (payload.length < offsetBytes + lengthBytes) throw new FrameError('a frame of bytes is cut');
  const length = payload.readUInt32LE(offsetBytes);
  try {
    const bytes = inflateRawSync(payload.subarray(offsetBytes + lengthBytes), { maxOutputLength: chunkBytes });
    if (bytes.length === length) return { offset: Number(payload.readBigUInt64LE(0)), bytes };
  } catch {
    // As any other nonsense.
  }
  throw new FrameError('deflated bytes make no sense');
}

function smaller(bytes: Buffer): Buffer | undefined {
  const taste = bytes.subarray(0, tastedBytes);
  if (deflateRawSync(taste, fast).length > taste.length * worthWhile) return undefined;
  const deflated = deflateRawSync(bytes, fast);
  return deflated.length > bytes.length * worthWhile ? undefined : deflated;
}
