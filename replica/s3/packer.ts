/**
 * Puts pieces of bytes into packs, each piece once. In: bytes. Out: pieces, as soon as their packs are full and on their way.
 *
 * While one pack is sent the next one is filled; no more than these two are held.
 *
 * Invariants:
 * 1. Bytes that are known (of the backup before, or of this run) are not packed again.
 * 2. The same bytes in the same order make the same packs.
 * 3. A piece's `pack` is right when `flush` has resolved, and not before.
 */
import { hash } from 'node:crypto';
import type { Piece } from '../piece.js';
import type { PackSender } from './packs.js';

export const packBytes = 32 << 20;

type OpenPiece = { -readonly [Key in keyof Piece]: Piece[Key] };

export class Packer {
  readonly #sender: PackSender;
  readonly #known: Map<string, Piece>;
  #pack: { chunks: Buffer[]; pieces: OpenPiece[]; length: number } = { chunks: [], pieces: [], length: 0 };
  #sending: Promise<void> | undefined;
  /** Bytes that were new. */
  packedBytes = 0;

  /** `known`: by SHA-256; what is packed is added. */
  constructor(sender: PackSender, known: Map<string, Piece>) {
    this.#sender = sender;
    this.#known = known;
  }

  /** At most `packBytes`; not to be changed afterwards. Throws what sending the pack before throws. */
  async add(bytes: Buffer): Promise<Piece> {
    const sha256 = hash('sha256', bytes, 'hex');
    const known = this.#known.get(sha256);
    if (known !== undefined) return known;
    if (this.#pack.length + bytes.length > packBytes) await this.#seal();
    const piece: OpenPiece = { pack: '', offset: this.#pack.length, length: bytes.length, sha256 };
    this.#pack.chunks.push(bytes);
    this.#pack.pieces.push(piece);
    this.#pack.length += bytes.length;
    this.packedBytes += bytes.length;
    this.#known.set(sha256, piece);
    return piece;
  }

  /** When it resolves, all packs are there. */
  async flush(): Promise<void> {
    if (this.#pack.length > 0) await this.#seal();
    await this.#sending;
  }

  async #seal(): Promise<void> {
    const bytes = Buffer.concat(this.#pack.chunks);
    const name = hash('sha256', bytes, 'hex');
    for (const piece of this.#pack.pieces) piece.pack = name;
    this.#pack = { chunks: [], pieces: [], length: 0 };
    await this.#sending;
    this.#sending = this.#sender.send(name, bytes);
    // Whoever waits for it next hears of it.
    this.#sending.catch(() => undefined);
  }
}
