/** A thread that makes frames of bytes (pack.ts). In: bytes, which are given away. Out: a frame, given away as well. */
import { move } from 'piscina';
import { packed } from './pack.js';

export interface PackOrder {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly deflates: boolean;
}

export default function pack({ offset, bytes, deflates }: PackOrder): Uint8Array {
  const frame = packed(offset, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), deflates);
  // Small buffers share memory with others, which would go with them.
  return move(frame.byteLength === frame.buffer.byteLength ? frame : Uint8Array.from(frame)) as Uint8Array;
}
