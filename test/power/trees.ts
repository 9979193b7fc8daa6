/**
 * Reads a lane's directory, live or in a snapshot, and says whether bytes are what they may be.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attributes } from './witness.js';

export interface Found {
  readonly kind: 'file' | 'directory';
  /** Of a file. */
  readonly bytes: Buffer;
  readonly attributes: Attributes;
}

/** By path from the lane's directory; nothing when there is no such directory. */
export type Tree = ReadonlyMap<string, Found>;

export async function readTree(root: string, prefix = ''): Promise<Tree> {
  const found = new Map<string, Found>();
  for (const entry of await readdir(root, { withFileTypes: true }).catch(nothingIfAbsent)) {
    const path = `${prefix}${entry.name}`;
    const at = join(root, entry.name);
    const { mode, size, mtimeNs } = await stat(at, { bigint: true });
    const attributes = { mode: Number(mode), size: Number(size), mtimeNs };
    const isDirectory = entry.isDirectory();
    found.set(path, { kind: isDirectory ? 'directory' : 'file', bytes: isDirectory ? Buffer.alloc(0) : await readFile(at), attributes });
    if (isDirectory) for (const [below, value] of await readTree(at, `${path}/`)) found.set(below, value);
  }
  return found;
}

export interface ContentRule {
  /** What the file may have been. */
  readonly versions: readonly Buffer[];
  /** It may have grown beyond all of them: an append whose record the power took. */
  readonly mayBeLonger: boolean;
}

/**
 * What is wrong with bytes; undefined: nothing. Of one version they must be the whole; of several each byte must be that of one of them, as
 * any of the writes between the first and the last may be on the disk or not. Behind the end of the shortest there may be zeros: a
 * file system may have put the new size on the disk before the bytes.
 */
export function contentFault(bytes: Buffer, { versions, mayBeLonger }: ContentRule): string | undefined {
  const sizes = versions.map(({ length }) => length);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  if (bytes.length < least) return `is ${bytes.length} bytes long instead of ${least} at least`;
  if (bytes.length > most && !mayBeLonger) return `is ${bytes.length} bytes long instead of ${most} at most`;
  const compared = Math.min(bytes.length, most);
  if (versions.some((version) => version.length >= compared && version.compare(bytes, 0, compared, 0, compared) === 0)) return undefined;
  for (let at = 0; at < compared; at += 1) {
    const byte = bytes[at]!;
    if (versions.some((version) => version[at] === byte) || (versions.length > 1 && byte === 0 && at >= least)) continue;
    return `differs at byte ${at} of ${bytes.length} from ${versions.length === 1 ? 'what it was' : `all ${versions.length} versions it may be`}`;
  }
  return undefined;
}

function nothingIfAbsent(error: NodeJS.ErrnoException): [] {
  if (error.code === 'ENOENT') return [];
  throw error;
}
