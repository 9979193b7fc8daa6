/**
 * A transaction on its way: BEGIN, what is done to names, the bytes of files, attributes, COMMIT. In: a moment, the one before it, the history to read from. Out: frames.
 *
 * Invariants:
 * 1. The bytes are those of the moment, whatever is written meanwhile.
 * 2. Memory is bounded by some frames of bytes, however large a file is; they go out in order.
 * 3. COMMIT carries the checksum of all frames since BEGIN.
 */
import { crc32 } from 'node:zlib';
import { formatMask, regularType } from '../../engine/attributes.js';
import type { Step, StepFile, Transaction, Txid } from '../../engine/index.js';
import { encodeJson, frameHeaderBytes, frameType } from './frame.js';
import { attributeOperations, nameOperations } from './operations.js';
import type { Operation } from './operations.js';
import { chunkBytes, packHere } from './pack.js';
import type { Pack } from './pack.js';

/** Reads a file as of a moment. */
export type ReadAt = (snapshot: Txid, file: StepFile['file'], offset: bigint, length: number) => Promise<Buffer>;

/** A transaction, its numbers in decimal, and the one before it. */
export interface BeginBody extends Omit<Transaction, 'txid' | 'timeNs'> {
  readonly from: string;
  readonly txid: string;
  readonly timeNs: string;
}

export interface CommitBody {
  readonly txid: string;
  readonly checksum: number;
}

/** Frames of bytes that are made ahead of the one that goes out. */
const aheadMost = 8;
const operationsPerFrame = 500;
const operationTextMax = 128 * 1024;

/** Frames of one transaction, in order. */
export async function* framesOf(step: Step, transaction: Transaction, readAt: ReadAt, pack: Pack = packHere): AsyncGenerator<Buffer> {
  const sum = new Sum();
  yield sum.add(encodeJson(frameType.begin, beginBody(step.from, transaction)));
  let batch = new Batch();
  for (const operation of nameOperations(step)) if (batch.add(operation)) yield sum.add(batch.take());
  for (const file of step.files) {
    const isRegular = (file.attributes.mode & formatMask) === regularType;
    if (isRegular && (file.ranges.length > 0 || file.attributes.size !== (file.before?.size ?? 0n))) {
      if (batch.add({ do: 'open', path: file.path.toString('latin1') }) || file.ranges.length > 0) yield sum.add(batch.take());
      for await (const frame of dataOf(file, transaction.txid, readAt, pack)) yield sum.add(frame);
      if (batch.add({ do: 'close', size: Number(file.attributes.size) })) yield sum.add(batch.take());
    }
    for (const operation of attributeOperations(file)) if (batch.add(operation)) yield sum.add(batch.take());
  }
  if (!batch.isEmpty) yield sum.add(batch.take());
  yield encodeJson(frameType.commit, { txid: String(transaction.txid), checksum: sum.value } satisfies CommitBody);
}

/** The checksum over frames, as COMMIT has it: of their heads, which have those of the payloads. */
export class Sum {
  value = 0;

  add(frame: Buffer): Buffer {
    this.value = crc32(frame.subarray(0, frameHeaderBytes), this.value);
    return frame;
  }
}

async function* dataOf(file: StepFile, snapshot: Txid, readAt: ReadAt, pack: Pack): AsyncGenerator<Buffer> {
  const ahead: Promise<Buffer>[] = [];
  for (const { start, end } of file.ranges) {
    for (let offset = start; offset < end; offset += chunkBytes) {
      const frame = readAt(snapshot, file.file, BigInt(offset), Math.min(chunkBytes, end - offset)).then((bytes) => pack(offset, bytes));
      // That it fails is met in its turn, if that comes.
      frame.catch(() => undefined);
      if (ahead.push(frame) === aheadMost) yield await ahead.shift()!;
    }
  }
  for (const frame of ahead) yield await frame;
}

function beginBody(from: number, transaction: Transaction): BeginBody {
  const { txid, timeNs, ...rest } = transaction;
  return { ...rest, from: String(from), txid: String(txid), timeNs: String(timeNs) };
}

/** What BEGIN said. Throws RangeError or SyntaxError for one that makes no sense. */
export function transactionOf(body: BeginBody): Transaction {
  const { from: _, txid, timeNs, ...rest } = body;
  return { ...rest, txid: BigInt(txid) as Txid, timeNs: BigInt(timeNs) };
}

class Batch {
  #operations: Operation[] = [];
  #text = 0;

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** true when it is time to take it. */
  add(operation: Operation): boolean {
    this.#operations.push(operation);
    this.#text += JSON.stringify(operation).length;
    return this.#operations.length >= operationsPerFrame || this.#text >= operationTextMax;
  }

  take(): Buffer {
    const frame = encodeJson(frameType.changes, this.#operations);
    this.#operations = [];
    this.#text = 0;
    return frame;
  }
}
