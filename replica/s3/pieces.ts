/**
 * Reads pieces of packs. In: a piece. Out: its bytes.
 *
 * What is read in order lies in order (files are packed in the order of their paths), so behind a piece that follows the one before a whole stretch is fetched at once.
 *
 * Invariants:
 * 1. Bytes are those of the piece's SHA-256, or an error: absent when the pack is gone, damaged when it is another or shorter.
 */
import { hash } from 'node:crypto';
import { DestinationError, faultOf } from '../destination.js';
import type { Piece } from '../piece.js';
import { packKey } from './layout.js';
import type { S3Objects } from './objects.js';

const stretchBytes = 8 << 20;
/** Between two pieces that count as following each other: what was there already, or is of a list. */
const gapBytes = 1 << 20;
/** Of packs that are read by turns, as a list is that was changed here and there. */
const mostStretches = 4;

interface Stretch {
  readonly offset: number;
  readonly bytes: Buffer;
}

export class PieceReader {
  readonly #objects: S3Objects;
  /** The last one of each pack, by its name; the one used last stands last. */
  readonly #stretches = new Map<string, Stretch>();

  constructor(objects: S3Objects) {
    this.#objects = objects;
  }

  async read(piece: Piece): Promise<Buffer> {
    const bytes = this.#fromStretch(piece) ?? await this.#fetch(piece);
    if (bytes.length !== piece.length || hash('sha256', bytes, 'hex') !== piece.sha256) throw new DestinationError('damaged', `${packKey(piece.pack)} on ${this.#objects.shown} is not what was sent there`);
    return bytes;
  }

  /** A list that was cut into pieces. */
  async readAll(pieces: readonly Piece[]): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (const piece of pieces) parts.push(await this.read(piece));
    return Buffer.concat(parts);
  }

  #fromStretch({ pack, offset, length }: Piece): Buffer | undefined {
    const stretch = this.#stretches.get(pack);
    if (stretch === undefined || offset < stretch.offset || offset + length > endOf(stretch)) return undefined;
    this.#keep(pack, stretch);
    return stretch.bytes.subarray(offset - stretch.offset, offset - stretch.offset + length);
  }

  async #fetch({ pack, offset, length }: Piece): Promise<Buffer> {
    const before = this.#stretches.get(pack);
    const follows = before !== undefined && offset >= before.offset && offset - endOf(before) <= gapBytes;
    try {
      const bytes = await this.#objects.range(packKey(pack), offset, follows ? Math.max(stretchBytes, length) : length);
      this.#keep(pack, { offset, bytes });
      return bytes.subarray(0, length);
    } catch (error) {
      if (faultOf(error) === 'refused') throw new DestinationError('damaged', `${packKey(pack)} on ${this.#objects.shown} is shorter than it was`, { cause: error });
      throw error;
    }
  }

  #keep(pack: string, stretch: Stretch): void {
    this.#stretches.delete(pack);
    this.#stretches.set(pack, stretch);
    for (const oldest of this.#stretches.keys()) {
      if (this.#stretches.size <= mostStretches) return;
      this.#stretches.delete(oldest);
    }
  }
}

function endOf({ offset, bytes }: Stretch): number {
  return offset + bytes.length;
}
