/**
 * What lies where in a bucket, below the prefix of a place. Pure.
 *
 * ```
 * tidemark-destination.json       whose it is; written once
 * tidemark-manifest.json          the last backup: a root; replaced only by who has read what it replaces
 * manifests/@T.json               the roots of the backups before it; never changed
 * packs/NAME                      bytes of files and of lists, one behind the other; named by the SHA-256 of all of it; never changed
 * ```
 *
 * A root is two lines: JSON, and the SHA-256 of the first. It says whose backup of when it is, and where two lists lie, cut into pieces as files are, so that the pieces that did not change are not sent again: the entries (line-file.ts, as
 * in the manifest of other destinations, with the pieces of each file), and the names of all packs that the entries name.
 *
 * Invariants:
 * 1. A root whose hash is not right is no root.
 */
import { createHash } from 'node:crypto';
import { formatMoment, readMoment } from '../../engine/moments.js';
import { DestinationError } from '../destination.js';
import { backupFormat, manifestName } from '../layout.js';
import type { ManifestHeader } from '../layout.js';
import { readPieces, writtenPieces } from '../piece.js';
import type { Piece, WrittenPiece } from '../piece.js';

export const bindingKey = 'tidemark-destination.json';
export const headKey = manifestName;
export const manifestsPrefix = 'manifests/';
export const packsPrefix = 'packs/';

export interface Root {
  readonly header: ManifestHeader;
  /** Of the list of entries: what stands in its last line. */
  readonly sha256: string;
  readonly entries: readonly Piece[];
  readonly packs: readonly Piece[];
}

interface WrittenRoot extends ManifestHeader {
  readonly sha256: string;
  readonly lists: { readonly entries: readonly WrittenPiece[]; readonly packs: readonly WrittenPiece[] };
}

export function packKey(name: string): string {
  return `${packsPrefix}${name}`;
}

/** To the nanosecond: no two backups of a volume have the same. */
export function earlierKey(timeNs: bigint): string {
  return `${manifestsPrefix}@${formatMoment(timeNs, 'nanosecond')}.json`;
}

/** undefined for a key that is none of ours. */
export function timeOfEarlier(key: string): bigint | undefined {
  const text = /^manifests\/@(.*)\.json$/.exec(key)?.[1];
  const moment = text === undefined ? undefined : readMoment(text, 0n);
  return moment === undefined || 'txid' in moment ? undefined : moment.timeNs;
}

export function encodeRoot({ header, sha256, entries, packs }: Root): Buffer {
  const written: WrittenRoot = { ...header, sha256, lists: { entries: writtenPieces(entries), packs: writtenPieces(packs) } };
  const line = `${JSON.stringify(written)}\n`;
  return Buffer.from(`${line}${digestOf(line)}\n`);
}

/** `what`: for the error. Throws DestinationError damaged, foreign. */
export function parseRoot(bytes: Buffer, what: string): Root {
  const text = bytes.toString();
  const end = text.indexOf('\n') + 1;
  const damaged = (why: string): DestinationError => new DestinationError('damaged', `${what} was altered (${why}), it does not count; the next run sends what is missing`);
  if (end === 0) throw damaged('it ends early');
  if (text.slice(end) !== `${digestOf(text.slice(0, end))}\n`) throw damaged('its checksum is wrong');
  try {
    const { sha256, lists, ...header } = JSON.parse(text.slice(0, end)) as WrittenRoot;
    if (header.format > backupFormat) throw new DestinationError('foreign', `${what} was written by a newer tidemark; update this one`);
    return { header, sha256, entries: readPieces(lists.entries), packs: readPieces(lists.packs) };
  } catch (error) {
    if (error instanceof DestinationError) throw error;
    throw damaged('it cannot be read');
  }
}

/** Every pack that holds a list of this root. */
export function packsOfLists({ entries, packs }: Root): Set<string> {
  return new Set([...entries, ...packs].map(({ pack }) => pack));
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
