/**
 * What a destination has: the manifest of its last run, and whether it can be believed. In: the destination, the copy of the manifest that stayed on this machine. Out: a manifest to go on from, and what was noticed.
 *
 * Invariants:
 * 1. A manifest is believed only if it is, byte for byte, the one that this machine published (a directory), or has its length and its end (where reading it costs).
 * 2. Where it is another, everything is compared, and what is at the destination is looked at.
 */
import { LineFile } from './line-file.js';
import { parseEntry } from './entry.js';
import { DestinationError, faultOf, readWhole } from './destination.js';
import type { Destination } from './destination.js';
import type { Owner } from './binding.js';
import { lastBackup, manifestName } from './layout.js';
import type { ManifestHeader } from './layout.js';
import type { LocalFiles } from './local-files.js';
import { joined } from './paths.js';
import { decodePath } from './stored-name.js';

const largestManifestBytes = 2 ** 31;
/** The end of a manifest has its hash. */
const endBytes = 256;

export class Baseline {
  readonly manifest: LineFile<ManifestHeader> | undefined;
  /** History's differences since it cannot be relied on alone. */
  readonly isDoubtful: boolean;
  /** Files that it names and that are not there, or have another length. */
  readonly missing: readonly string[];
  readonly notes: readonly string[];

  private constructor(manifest: LineFile<ManifestHeader> | undefined, isDoubtful: boolean, missing: readonly string[], notes: readonly string[]) {
    this.manifest = manifest;
    this.isDoubtful = isDoubtful;
    this.missing = missing;
    this.notes = notes;
  }

  static async find(destination: Destination, { local, owner }: { readonly local: LocalFiles; readonly owner: Owner }): Promise<Baseline> {
    const kept = local.read('manifest');
    const size = await destination.size(manifestName);
    if (kept === undefined && size === undefined) return new Baseline(undefined, false, [], []);
    if (kept !== undefined && size === kept.length && await isSame(destination, kept)) return new Baseline(new LineFile(kept, 'the copy of the manifest in the store'), false, [], []);
    // What was published by a run whose end this machine did not live to see.
    const next = local.read('next');
    if (next !== undefined && size === next.length && await isSame(destination, next)) {
      local.rename('next', 'manifest');
      return new Baseline(new LineFile(next, 'the copy of the manifest in the store'), false, [], []);
    }
    return Baseline.#doubt(destination, owner, local, kept);
  }

  /** true when the manifest there is, as far as can be told cheaply, the one that was published. */
  static async isPublished(destination: Destination, published: Buffer): Promise<boolean> {
    return (await destination.size(manifestName)) === published.length && isSame(destination, published);
  }

  /** Something else lies there than this machine published. */
  static async #doubt(destination: Destination, owner: Owner, local: LocalFiles, kept: Buffer | undefined): Promise<Baseline> {
    const notes: string[] = [];
    let manifest: LineFile<ManifestHeader> | undefined;
    try {
      const bytes = await readWhole(destination, manifestName, largestManifestBytes);
      const found = new LineFile<ManifestHeader>(bytes, `${manifestName} on ${destination.shown}`);
      if (found.header.volume === owner.volume && found.header.name === owner.name) {
        manifest = found;
        local.keep('manifest', bytes);
        return new Baseline(manifest, true, await missingFiles(destination, manifest), notes);
      }
      notes.push(`${manifestName} on ${destination.shown} is of another backup; it was not believed, and all was compared`);
    } catch (error) {
      if (faultOf(error) !== 'absent' && faultOf(error) !== 'damaged') throw error;
      notes.push(error instanceof DestinationError && error.fault === 'damaged' ? error.message : `${manifestName} is gone from ${destination.shown}; all was compared, and it was written anew`);
    }
    manifest = kept === undefined ? undefined : readKept(kept);
    const missing = manifest === undefined ? [] : await missingFiles(destination, manifest);
    return new Baseline(manifest, true, missing, notes);
  }
}

/** undefined: a power cut has taken it; then nothing is known of the destination but what is there. */
function readKept(kept: Buffer): LineFile<ManifestHeader> | undefined {
  try {
    return new LineFile(kept, 'the copy of the manifest in the store');
  } catch {
    return undefined;
  }
}

async function isSame(destination: Destination, kept: Buffer): Promise<boolean> {
  if (!destination.isRemote) return (await readWhole(destination, manifestName, kept.length)).equals(kept);
  const stream = await destination.read(manifestName, Math.max(0, kept.length - endBytes));
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).equals(kept.subarray(-endBytes));
}

/** By what the directories of LastBackup list. */
export async function missingFiles(destination: Destination, manifest: LineFile<ManifestHeader>): Promise<string[]> {
  const sizes = new Map<string, number>();
  const { names } = manifest.header;
  await listInto(destination, '', names, sizes);
  const missing: string[] = [];
  for (const index of manifest.below('')) {
    const entry = parseEntry(manifest.line(index));
    if (entry.type === 'file' && sizes.get(entry.path) !== entry.size) missing.push(entry.path);
  }
  return missing;
}

async function listInto(destination: Destination, directory: string, names: ManifestHeader['names'], sizes: Map<string, number>): Promise<void> {
  let items;
  try {
    items = await destination.list(joined(lastBackup, directory));
  } catch (error) {
    if (faultOf(error) === 'absent') return;
    throw error;
  }
  for (const { name, type, size } of items) {
    const path = joined(directory, name);
    if (type === 'directory') await listInto(destination, path, names, sizes);
    else sizes.set(decodePath(path, names), size);
  }
}

