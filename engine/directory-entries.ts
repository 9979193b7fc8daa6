/**
 * What the addon's readDirectory gives, entry by entry. In: its bytes (native/types.ts has the layout). Out: entries, whose buffers are views of
 * these bytes.
 */
import { formatMask } from './attributes.js';
import { makeFileId } from './ids.js';
import type { FileId } from './types.js';

export interface DirectoryEntry {
  readonly name: Buffer;
  readonly file: FileId;
  /** mode & S_IFMT */
  readonly type: number;
  /** 80 bytes as in FORMAT. */
  readonly attributes: Buffer;
}

const attributesStart = 16;
const nameStart = 96;

export function unpackDirectory(packed: Buffer): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  for (let at = 0; at < packed.length;) {
    const end = at + nameStart + view.getUint32(at + 12, true);
    entries.push({
      name: packed.subarray(at + nameStart, end),
      file: makeFileId(view.getBigUint64(at, true), view.getUint32(at + 8, true)),
      type: view.getUint32(at + attributesStart, true) & formatMask,
      attributes: packed.subarray(at + attributesStart, at + nameStart),
    });
    at = end;
  }
  return entries;
}
