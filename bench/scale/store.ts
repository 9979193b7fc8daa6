/**
 * A store whose log is yet to be made up. In: a directory with files. Out: the ids of these files, and a writer for the log of their history.
 *
 * Invariants:
 * 1. The store is made by the engine itself; only its log is then begun anew. Its index is missing, so that the next mount makes it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackDirectory } from '../../engine/directory-entries.js';
import { Volume } from '../../engine/volume.js';
import { addon } from '../../native/index.js';
import type { FileId } from '../../native/types.js';
import { SegmentWriter } from './segments.js';

/** Makes the files of the tree: `fill(DIRECTORY, COUNT)` makes empty ones, f0, f1, … in directories of 1,000. */
export type Fill = (directory: string, count: number) => Promise<unknown>;

export const filesPerDirectory = 1000;

export interface Made {
  readonly file: FileId;
  readonly parent: FileId;
  readonly name: Buffer;
}

export interface Tree {
  readonly rootId: FileId;
  readonly directories: Made[];
  readonly files: Made[];
  /** What lies in a directory of the root besides, and in the root itself, by name. */
  readonly others: ReadonlyMap<string, Made>;
}

/** Makes the store by the way, as the first mount would. `folders`: directories of the root whose files are told by name, too. */
export async function readTree(directory: string, folders: readonly string[] = []): Promise<Tree> {
  const volume = await Volume.open(directory);
  try {
    const { native, rootId } = volume;
    const below = (parent: FileId, path: string): Made[] => unpackDirectory(native.readDirectory(parent, Buffer.from(path))).map(({ file, name }) => ({ file, parent, name: Buffer.from(name) }));
    const number = ({ name }: Made): number => Number(name.toString().slice(1));
    const inOrder = (all: Made[]): Made[] => all.sort((a, b) => number(a) - number(b));
    const top = below(rootId, '');
    const directories = inOrder(top.filter(({ name }) => /^d\d/.test(name.toString())));
    const files = directories.flatMap(({ file, name }) => inOrder(below(file, name.toString())));
    const listed = folders.flatMap((folder) => below(top.find(({ name }) => name.toString() === folder)!.file, folder));
    return { rootId, directories, files, others: new Map([...top, ...listed].map((made) => [made.name.toString(), made])) };
  } finally {
    await volume.close();
  }
}

/** The history reaches from `days` ago to now, which is after the last file was made. Its policy keeps everything. */
export function beginLog(directory: string, days: number): { segments: SegmentWriter; firstNs: bigint; lastNs: bigint } {
  const store = join(directory, '.tidemark');
  for (const name of ['log', 'index']) rmSync(join(store, name), { recursive: true });
  mkdirSync(join(store, 'log'), { mode: 0o700 });
  const volume = JSON.parse(readFileSync(join(store, 'volume.json'), 'utf8')) as { id: string };
  const lastMs = Date.now();
  const firstMs = lastMs - days * 86_400_000;
  const policy = { ladder: 'forever:all', diskShare: '100%', atLeast: '1h' };
  writeFileSync(join(store, 'volume.json'), JSON.stringify({ ...volume, created: new Date(firstMs).toISOString(), policy }));
  const segments = new SegmentWriter({ directory: join(store, 'log'), volumeId: Buffer.from(volume.id, 'hex'), crc: addon.crc32c });
  return { segments, firstNs: BigInt(firstMs) * 1_000_000n, lastNs: BigInt(lastMs) * 1_000_000n };
}
