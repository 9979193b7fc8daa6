/**
 * A history that is to be pruned: versions of files, each of real bytes, with pins in it. In: a directory with files, numbers. Out: the store's log, and how many of its bytes are
 * needed after all but the last day and the pins was given up.
 *
 * Invariants:
 * 1. What is needed is reckoned here from the list of versions alone: at a kept moment s, of each file its first version after s.
 */
import { absent, encodeEnd, encodePin } from '../../engine/log-bodies.js';
import { encodeAttributes, regularType } from '../../engine/attributes.js';
import { alignRecord, recordHeaderBytes, recordType } from '../../engine/log-format.js';
import { Random } from '../../test/support/seed.js';
import { beginLog, readTree } from '../scale/store.js';

export interface PrunableSize {
  readonly versions: number;
  readonly days: number;
  readonly pins: number;
}

export interface PrunableHistory {
  readonly logBytes: number;
  readonly lastNs: bigint;
  /** Of the log, once only pins and what is younger than a time are kept. */
  neededBytes(sinceNs: bigint): number;
}

const versionBytes = 4096;
const commandBytes = 6;
/** ATTR and EXTENT of one version, and its END. */
const undoBytes = alignRecord(recordHeaderBytes + 80) + alignRecord(recordHeaderBytes + versionBytes);
const endBytes = alignRecord(recordHeaderBytes + 24 + commandBytes);

/** The directory has its files already, in directories of 1,000. */
export async function makePrunable(directory: string, { versions, days, pins }: PrunableSize): Promise<PrunableHistory> {
  const { files } = await readTree(directory);
  const { segments, firstNs, lastNs } = beginLog(directory, days);
  const random = new Random(3);
  const fileOf = Uint32Array.from({ length: versions }, () => random.below(files.length));
  const bytes = random.bytes(versionBytes * 2);
  const attributes = encodeAttributes({ mode: regularType | 0o644, uid: 0, gid: 0, nlink: 1, rdev: 0n, size: BigInt(versionBytes), blocks: 8n, atimeNs: firstNs, mtimeNs: firstNs, ctimeNs: firstNs });
  const end = encodeEnd({ timeNs: 0n, uid: 0, gid: 0, pid: 4711, reason: 2, flags: 0, command: 'editor' });
  const timeOf = (index: number): bigint => firstNs + ((lastNs - firstNs) * BigInt(index + 1)) / BigInt(versions);
  const header = { flags: 0, aux: 0, offset: 0n, size: 0n };
  for (let index = 0; index < versions; index++) {
    const txid = BigInt(index + 1);
    const { file } = files[fileOf[index]!]!;
    segments.append({ ...header, type: recordType.attributes, file, txid }, attributes);
    segments.append({ ...header, type: recordType.extent, file, txid, size: BigInt(versionBytes) }, bytes.subarray(index % versionBytes, (index % versionBytes) + versionBytes));
    end.writeBigInt64LE(timeOf(index), 0);
    segments.append({ ...header, type: recordType.end, aux: commandBytes, file: absent, txid }, end);
  }
  const pinned = Array.from({ length: pins }, (_, index) => Math.floor((versions * (index + 1)) / (pins + 1)));
  for (const txid of pinned) {
    const name = Buffer.from(`pin-${txid}`);
    segments.append({ ...header, type: recordType.pin, aux: name.length, file: absent, txid: BigInt(txid) }, encodePin(lastNs, name));
  }
  const closed = Buffer.alloc(8);
  closed.writeBigInt64LE(lastNs, 0);
  segments.append({ ...header, type: recordType.note, aux: 2, file: absent, txid: BigInt(versions + 1) }, closed);
  segments.close();
  const neededBytes = (sinceNs: bigint): number => {
    const firstKept = firstAfter(versions, (index) => timeOf(index) >= sinceNs);
    const needed = neededVersions(fileOf, pinned, firstKept);
    return (needed + (versions - firstKept)) * undoBytes + (versions - firstKept) * endBytes;
  };
  return { logBytes: segments.end, lastNs, neededBytes };
}

/** Versions below `until` that are the first of their file after a pin. (Version i was written by transaction i + 1.) */
function neededVersions(fileOf: Uint32Array, pinned: readonly number[], until: number): number {
  let needed = 0;
  for (const [at, pin] of pinned.entries()) {
    const seen = new Set<number>();
    // Up to the next pin: what comes later is that one's.
    for (let index = pin; index < Math.min(until, pinned[at + 1] ?? until); index++) {
      if (seen.has(fileOf[index]!)) continue;
      seen.add(fileOf[index]!);
      needed++;
    }
  }
  return needed;
}

function firstAfter(count: number, isAfter: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAfter(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
