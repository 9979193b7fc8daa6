/**
 * Deceives recovery, to prove that an examination finds what it would then do wrong. In: a store that nobody has open. Out: the same, forged.
 *
 * Invariants:
 * 1. The store stays sound: every record is as whole as it was.
 */
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { recordHeaderBytes, recordType } from '../../engine/log-format.js';
import { LogReader } from '../../engine/log-reader.js';
import type { RecordView } from '../../engine/log-reader.js';
import { LogSegments } from '../../engine/log-segments.js';
import { loadAddon } from '../../engine/native.js';
import { openStore } from '../../engine/opening.js';

export type Forgery =
  | 'none'
  /** Recovery has to believe that the page cache lived on, and writes nothing again: as on a disk that lost what was synced. */
  | 'same-mount'
  /** Nothing was ever retired: what was long overwritten or cut off is written again. */
  | 'never-retired'
  /** No segment tells where the oldest intent stands: those before the last two are overlooked. */
  | 'no-floor'
  /** What writes destroyed was zeros. */
  | 'other-past'
  /** The addon takes the process along. */
  | 'crash';

/** Notes of the log, by the number in native/src/record.h. */
const notes = { mounted: 1, retired: 6, floor: 7 } as const;

/** `root`: the backing directory; `mountpoint`: of the file system it is on. Returns whether recovery has to go wrong by that. */
export async function forge(forgery: Forgery, mountpoint: string, root: string): Promise<boolean> {
  // Cut before there was one.
  if (!existsSync(join(root, '.tidemark/log'))) return false;
  if (forgery === 'no-floor') return hideFloors(root);
  if (forgery === 'same-mount') await pretendSameMount(mountpoint, root);
  if (forgery === 'never-retired') await rewrite(root, isNote(notes.retired), disguise);
  if (forgery === 'crash') process.kill(process.pid, 'SIGKILL');
  if (forgery === 'other-past') await rewrite(root, ({ type }) => type === recordType.extent, (bytes) => bytes.fill(0, recordHeaderBytes));
  return forgery !== 'none';
}

/** true: an intent before the last two segments, which recovery reads anyway, is still outstanding. */
async function hideFloors(root: string): Promise<boolean> {
  const before = new LogSegments(join(root, '.tidemark/log'), (await loadAddon()).crc32c).refresh().at(-2);
  const outstanding = new Map<string, number>();
  const isFloor = isNote(notes.floor);
  const isRetired = isNote(notes.retired);
  await rewrite(root, (record) => {
    const { buffer, start, lsn, type } = record;
    // Of a record's header: the file's generation and inode, and what a RETIRED note tells.
    const file = `${buffer.readUInt32LE(start + 12)} ${buffer.readBigUInt64LE(start + 24)}`;
    if (type === recordType.intent && lsn < (before?.base ?? 0)) outstanding.set(file, lsn);
    if (isRetired(record) && buffer.readBigUInt64LE(start + 32) > (outstanding.get(file) ?? Infinity)) outstanding.delete(file);
    return isFloor(record);
  }, disguise);
  return outstanding.size > 0;
}

/** Any store that is opened on this mount notes which one it is: a new one does, and what it noted goes into the store that is to be deceived. */
async function pretendSameMount(mountpoint: string, root: string): Promise<void> {
  const other = join(mountpoint, 'other');
  mkdirSync(other);
  const { files, native } = openStore(other, {}, await loadAddon());
  await native.close();
  files.close();
  copyFileSync(join(other, '.tidemark/instance'), join(root, '.tidemark/instance'));
}

function isNote(note: number): (record: RecordView) => boolean {
  return ({ type, aux }) => type === recordType.note && aux === note;
}

/** Makes a note say that the volume was mounted, which recovery does not ask for. */
function disguise(bytes: Buffer): void {
  bytes.writeUInt16LE(notes.mounted, 10);
}

async function rewrite(root: string, isWanted: (record: RecordView) => boolean, change: (bytes: Buffer) => void): Promise<void> {
  const directory = join(root, '.tidemark/log');
  const { crc32c: crc } = await loadAddon();
  const segments = new LogSegments(directory, crc);
  const reader = new LogReader({ directory, position: 0, crc, bodies: 'all', onDamage: () => undefined });
  for (let record = reader.next(Number.MAX_SAFE_INTEGER); record !== undefined; record = reader.next(Number.MAX_SAFE_INTEGER)) {
    if (!isWanted(record)) continue;
    const bytes = Buffer.from(record.buffer.subarray(record.start, record.start + record.length));
    change(bytes);
    bytes.writeUInt32LE(crc(bytes.subarray(4)), 0);
    const found = segments.at(record.lsn);
    if (found === undefined) throw new RangeError(`no segment has ${record.lsn}`);
    const file = openSync(found.segment.path, 'r+');
    writeSync(file, bytes, 0, bytes.length, record.lsn - found.segment.base);
    closeSync(file);
  }
  reader.close();
}
