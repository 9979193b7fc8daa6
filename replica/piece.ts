/**
 * Where bytes lie in an object store: a stretch of a pack (s3/layout.ts). Pure. In: a piece; out: how it is written in a manifest, and back.
 *
 * Invariants:
 * 1. A pack's name is 64 hexadecimal digits, so what a manifest says never leads out of the packs.
 */

export interface Piece {
  /** The SHA-256 of the whole pack, which is its name. */
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
  /** Of these bytes. */
  readonly sha256: string;
}

/** The last is left out where it is said elsewhere: of a file of one piece. */
export type WrittenPiece = readonly [pack: string, offset: number, length: number, sha256?: string];

const digest = /^[0-9a-f]{64}$/;

export function writtenPieces(pieces: readonly Piece[], sha256?: string): WrittenPiece[] {
  return pieces.map(({ pack, offset, length, sha256: own }) => (pieces.length === 1 && own === sha256 ? [pack, offset, length] : [pack, offset, length, own]));
}

/** `sha256`: of all of it. Throws SyntaxError for what are no pieces. */
export function readPieces(written: readonly WrittenPiece[], sha256?: string): Piece[] {
  return written.map(([pack, offset, length, own = sha256]) => {
    if (!digest.test(pack) || own === undefined || !digest.test(own) || !Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 1) throw new SyntaxError('no pieces of a backup');
    return { pack, offset, length, sha256: own };
  });
}
