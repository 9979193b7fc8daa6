/**
 * Frames: what travels between the two nodes of a pair, and what the standby's spool holds (docs/FORMAT.md). In: a type and a payload. Out: bytes, and the other way round.
 *
 * Invariants:
 * 1. decode(encode(x)) equals x, however the bytes are cut on the way.
 * 2. No more than one frame's length is ever waited for: a longer one is refused as soon as its header is read.
 * 3. A frame whose checksum is wrong, or whose type is unknown, ends the reading: what follows cannot be trusted.
 */
import { crc32 } from 'node:zlib';

export const frameHeaderBytes = 16;
/** Length and type, which have a checksum of their own: a wrong length would be waited for. */
const headBytes = 8;
export const payloadBytesMax = 1 << 20;

export const frameType = {
  hello: 1, welcome: 2, refused: 3, ping: 4, pong: 5,
  begin: 10, changes: 11, data: 12, zeros: 13, commit: 14, acknowledged: 15, applied: 16, deflated: 17,
  list: 20, listed: 21, read: 22, bytes: 23, hash: 24, hashed: 25, failed: 26,
  moments: 27, momentsTold: 28, at: 29, handOver: 30, handed: 31, root: 32,
} as const;

export type FrameType = (typeof frameType)[keyof typeof frameType];

export interface Frame {
  readonly type: FrameType;
  readonly payload: Buffer;
}

/** The other end, or the spool, says what no frame can say. */
export class FrameError extends Error {
  readonly code = 'EFRAME';
}

const known: ReadonlySet<number> = new Set(Object.values(frameType));

/** Throws RangeError for a payload that is too long: a mistake of ours. */
export function encodeFrame(type: FrameType, payload: Uint8Array): Buffer {
  if (payload.length > payloadBytesMax) throw new RangeError(`a frame of ${payload.length} bytes`);
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  bytes.writeUInt32LE(payload.length, 0);
  bytes[4] = type;
  bytes.set(payload, frameHeaderBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headBytes)), 8);
  bytes.writeUInt32LE(crc32(payload), 12);
  return bytes;
}

export function encodeJson(type: FrameType, value: unknown): Buffer {
  return encodeFrame(type, Buffer.from(JSON.stringify(value)));
}

/** Throws FrameError when the payload is no JSON. */
export function decodeJson(frame: Frame): unknown {
  try {
    return JSON.parse(frame.payload.toString('utf8'));
  } catch {
    throw new FrameError(`a frame of type ${frame.type} cannot be read`);
  }
}

/** Puts frames together from pieces of any length. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Bytes that have come and make no whole frame yet. */
  get pending(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole frame; undefined when more has to come. Throws FrameError. */
  next(): Frame | undefined {
    if (this.#bytes < frameHeaderBytes) return undefined;
    const header = this.#peek(frameHeaderBytes);
    const length = header.readUInt32LE(0);
    const type = header[4]!;
    if (crc32(header.subarray(0, headBytes)) !== header.readUInt32LE(8)) throw new FrameError('a frame came damaged');
    if (length > payloadBytesMax) throw new FrameError(`a frame of ${length} bytes is too long`);
    if (!known.has(type) || header[5] !== 0 || header[6] !== 0 || header[7] !== 0) throw new FrameError(`a frame of unknown type ${type}`);
    if (this.#bytes < frameHeaderBytes + length) return undefined;
    const bytes = this.#take(frameHeaderBytes + length);
    const payload = bytes.subarray(frameHeaderBytes);
    if (crc32(payload) !== bytes.readUInt32LE(12)) throw new FrameError('a frame came damaged');
    return { type: type as FrameType, payload };
  }

  #peek(length: number): Buffer {
    if (this.#chunks[0]!.length < length) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  #take(length: number): Buffer {
    const all = this.#chunks.length === 1 || this.#chunks[0]!.length >= length ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    if (all !== this.#chunks[0]) this.#chunks = [all];
    if (all.length === length) this.#chunks.shift();
    else this.#chunks[0] = all.subarray(length);
    this.#bytes -= length;
    return all.subarray(0, length);
  }
}
