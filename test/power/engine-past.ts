/**
 * The past as the engine tells it, without a mount. In: an open volume. Out: trees of moments.
 */
import { txid as toTxid } from '../../engine/ids.js';
import type { FileId, Txid } from '../../engine/types.js';
import type { Volume } from '../../engine/volume.js';
import type { PastReader } from './check-snapshots.js';
import type { Found, Tree } from './trees.js';

const typeMask = 0o170000;
const directoryType = 0o040000;

export function enginePast(volume: Volume): PastReader {
  const ofTransaction = async (snapshot: Txid, directory: string): Promise<Tree> => {
    const found = new Map<string, Found>();
    const root = await volume.resolvePath(snapshot, Buffer.from(directory));
    if (root !== undefined) await readBelow(volume, snapshot, root.file, '', found);
    return found;
  };
  return {
    timeOf: async (text) => volume.transaction(toTxid(BigInt(text)))?.timeNs,
    ofTransaction: (text, directory) => ofTransaction(toTxid(BigInt(text)), directory),
    ofTime: (timeNs, directory) => ofTransaction(volume.snapshotAt(timeNs), directory),
  };
}

async function readBelow(volume: Volume, snapshot: Txid, directory: FileId, prefix: string, found: Map<string, Found>): Promise<void> {
  for (const { name, file, attributes: packed } of await volume.list(snapshot, directory)) {
    const path = `${prefix}${name.toString()}`;
    const { mode, size, mtimeNs } = volume.decode(packed);
    const attributes = { mode, size: Number(size), mtimeNs };
    const isDirectory = (mode & typeMask) === directoryType;
    const bytes = isDirectory ? Buffer.alloc(0) : await volume.read(snapshot, file, 0n, Number(size));
    found.set(path, { kind: isDirectory ? 'directory' : 'file', bytes, attributes });
    if (isDirectory) await readBelow(volume, snapshot, file, `${path}/`, found);
  }
}
