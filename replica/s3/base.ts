/**
 * What a bucket has: the root of the last run, its entries, and whether they can be believed. In: the bucket, the copy of the manifest that stayed on this machine. Out: what a run goes on from, and what was noticed.
 *
 * Invariants:
 * 1. Entries are believed if they have the hash that the root says, and history's differences since then only if this machine published that root.
 * 2. Otherwise all is compared, and it is looked which packs are there.
 */
import type { Owner } from '../binding.js';
import { refuseForeign } from '../binding.js';
import { DestinationError, faultOf } from '../destination.js';
import { entryAt, LineFile } from '../line-file.js';
import type { ManifestHeader } from '../layout.js';
import type { LocalFiles } from '../local-files.js';
import { pathOfLine, piecesOfLine } from '../entry.js';
import type { Piece } from '../piece.js';
import { readIfThere } from './binding.js';
import { headKey, manifestsPrefix, packsOfLists, packsPrefix, parseRoot } from './layout.js';
import type { Root } from './layout.js';
import { piecesOf } from './lists.js';
import type { S3Objects } from './objects.js';
import { PieceReader } from './pieces.js';

/** The object that names the last backup, as it was read. */
export interface Head {
  readonly bytes: Buffer;
  readonly tag: string;
  /** undefined: it cannot be believed. */
  readonly root?: Root;
  readonly complaint?: string;
}

export class Base {
  readonly head: Head | undefined;
  manifest: LineFile<ManifestHeader> | undefined;
  /** Whose lists are as they should be. */
  root: Root | undefined;
  isDoubtful = false;
  /** Files of which a pack is not there, or is shorter than it was. */
  missing: readonly string[] = [];
  readonly notes: string[] = [];
  /** Packs that are not believed to be what they are called. */
  readonly doubted = new Set<string>();
  /** Packs that are there, with their sizes; undefined: nobody has looked. */
  packs: ReadonlyMap<string, number> | undefined;

  private constructor(head: Head | undefined) {
    this.head = head;
  }

  /** `again`: files that are to be sent again. */
  static async find(objects: S3Objects, { local, owner, again }: { readonly local: LocalFiles; readonly owner: Owner; readonly again: readonly string[] }): Promise<Base> {
    const base = new Base(await readHead(objects, owner));
    if (!base.#isPublishedHere(local)) await base.#doubt(objects, local, owner);
    for (const path of base.manifest === undefined ? [] : again) for (const { pack } of entryAt(base.manifest!, path)?.pieces ?? []) base.doubted.add(pack);
    if (again.length > 0) base.packs ??= await listPacks(objects);
    return base;
  }

  /** Pieces that need not be sent, by their hash. `lists`: of the manifest, else of files. */
  known(what: 'files' | 'lists'): Map<string, Piece> {
    const pieces = what === 'files' ? (this.manifest === undefined ? [] : piecesOf(this.manifest)) : [...this.root?.entries ?? [], ...this.root?.packs ?? []];
    const known = new Map<string, Piece>();
    for (const piece of pieces) if (!this.doubted.has(piece.pack) && (this.packs === undefined || isIn(piece, this.packs))) known.set(piece.sha256, piece);
    return known;
  }

  #isPublishedHere(local: LocalFiles): boolean {
    const root = this.head?.root;
    if (root === undefined) return false;
    for (const name of ['manifest', 'next'] as const) {
      const kept = readKept(local, name);
      if (kept?.sha256 !== root.sha256) continue;
      // What was published by a run whose end this machine did not live to see.
      if (name === 'next') local.rename('next', 'manifest');
      this.manifest = kept;
      this.root = root;
      return true;
    }
    return false;
  }

  async #doubt(objects: S3Objects, local: LocalFiles, owner: Owner): Promise<void> {
    const kept = readKept(local, 'manifest') ?? readKept(local, 'doubted');
    const earlier = await newestReadable(objects, this.head?.root === undefined ? [] : [this.head.root], owner, this.notes);
    if (this.head === undefined && kept === undefined && earlier === undefined) return;
    this.isDoubtful = true;
    if (this.head === undefined) this.notes.push(`${headKey} is gone from ${objects.shown}; all was compared, and it was written anew`);
    else if (this.head.complaint !== undefined) this.notes.push(this.head.complaint);
    else if (earlier?.root !== this.head.root) for (const pack of packsOfLists(this.head.root!)) this.doubted.add(pack);
    const isLast = earlier !== undefined && earlier.root === this.head?.root;
    this.manifest = isLast || kept === undefined ? earlier?.manifest : kept;
    this.root = isLast ? earlier.root : undefined;
    this.packs = await listPacks(objects);
    if (this.manifest !== undefined) this.missing = missingFiles(this.manifest, this.packs);
  }
}

/** Throws foreign. */
export async function readHead(objects: S3Objects, owner?: Owner): Promise<Head | undefined> {
  const found = await readIfThere(objects, headKey);
  if (found === undefined) return undefined;
  try {
    const root = parseRoot(found.bytes, `${headKey} on ${objects.shown}`);
    if (owner !== undefined) refuseForeign(objects.shown, root.header, owner);
    return { ...found, root };
  } catch (error) {
    if (!(error instanceof DestinationError) || error.fault !== 'damaged') throw error;
    return { ...found, complaint: error.message };
  }
}

/** The entries of a root. Throws absent, damaged. */
export async function readEntries(objects: S3Objects, reader: PieceReader, { entries, sha256 }: Root): Promise<LineFile<ManifestHeader>> {
  const what = `the list of files on ${objects.shown}`;
  const manifest = new LineFile<ManifestHeader>(await reader.readAll(entries), what);
  if (manifest.sha256 !== sha256) throw new DestinationError('damaged', `${what} was altered (it is another one), it does not count; the next run sends what is missing`);
  return manifest;
}

export async function listPacks(objects: S3Objects): Promise<Map<string, number>> {
  const packs = new Map<string, number>();
  for await (const { key, size } of objects.list(packsPrefix)) packs.set(key.slice(packsPrefix.length), size);
  return packs;
}

export function missingFiles(manifest: LineFile<ManifestHeader>, packs: ReadonlyMap<string, number>): string[] {
  const missing: string[] = [];
  for (const index of manifest.below('')) {
    const line = manifest.line(index);
    if (!piecesOfLine(line).every((piece) => isIn(piece, packs))) missing.push(pathOfLine(line));
  }
  return missing;
}

function isIn({ pack, offset, length }: Piece, packs: ReadonlyMap<string, number>): boolean {
  return (packs.get(pack) ?? 0) >= offset + length;
}

/** The first of some roots, and then of the earlier ones, whose entries can be read. */
async function newestReadable(objects: S3Objects, first: readonly Root[], owner: Owner, notes: string[]): Promise<{ readonly root: Root; readonly manifest: LineFile<ManifestHeader> } | undefined> {
  const reader = new PieceReader(objects);
  const keys: string[] = [];
  for await (const { key } of objects.list(manifestsPrefix)) keys.push(key);
  for (const one of [...first, ...keys.reverse()]) {
    try {
      const root = typeof one === 'string' ? parseRoot((await objects.get(one)).bytes, `${one} on ${objects.shown}`) : one;
      if (root.header.volume === owner.volume && root.header.name === owner.name) return { root, manifest: await readEntries(objects, reader, root) };
    } catch (error) {
      if (!(error instanceof DestinationError) || (error.fault !== 'absent' && error.fault !== 'damaged')) throw error;
      notes.push(error.message);
    }
  }
  return undefined;
}

/** undefined also for one that a power cut has taken. */
function readKept(local: LocalFiles, name: string): LineFile<ManifestHeader> | undefined {
  const bytes = local.read(name);
  if (bytes === undefined) return undefined;
  try {
    return new LineFile<ManifestHeader>(bytes, 'the copy of the manifest in the store');
  } catch (error) {
    if (faultOf(error) === 'damaged') return undefined;
    throw error;
  }
}
