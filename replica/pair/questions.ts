/**
 * Answers what a standby asks during its initial sync: what stands in a directory, bytes of a file, the hash of a file, all as of one moment. In: frames. Out: frames.
 *
 * Invariants:
 * 1. Each question has exactly one answer, or several parts of which one is the last; what fails is answered with FAILED.
 * 2. No answer is longer than a frame.
 */
import { createHash } from 'node:crypto';
import { formatMask, symlinkType } from '../../engine/attributes.js';
import { VolumeError, codeOf, messageOf } from '../../engine/index.js';
import type { FileId, ListedEntry, Txid } from '../../engine/index.js';
import type { Channel } from './channel.js';
import { FrameError, encodeFrame, encodeJson, frameType } from './frame.js';
import type { Frame } from './frame.js';
import { atSchema, hashSchema, listSchema, momentsSchema, readMessage, readSchema } from './messages.js';
import type { ListedFile } from './messages.js';
import { checksumOf } from './position.js';
import type { Source } from './source.js';
import { chunkBytes } from './pack.js';

const entriesPerFrame = 200;
const listedBytesMax = 512 * 1024;

export type Send = (frame: Buffer) => Promise<void>;

/** true when the frame was a question. */
export async function answerQuestion(source: Source, snapshot: Txid, frame: Frame, send: Send): Promise<boolean> {
  if (frame.type === frameType.list) {
    const { id, file } = readMessage(listSchema, frame);
    await guarded(id, send, () => list(source, snapshot, id, BigInt(file) as FileId, send));
  } else if (frame.type === frameType.read) {
    const { id, file, offset, length } = readMessage(readSchema, frame);
    await guarded(id, send, async () => { await send(bytesFrame(id, await source.read(snapshot, BigInt(file) as FileId, BigInt(offset), length))); });
  } else if (frame.type === frameType.hash) {
    const { id, file } = readMessage(hashSchema, frame);
    await guarded(id, send, async () => { await send(encodeJson(frameType.hashed, { id, hash: await hashAt(source, snapshot, BigInt(file) as FileId) })); });
  } else {
    return false;
  }
  return true;
}

/** What a node is asked that compares itself with this one: the moments there are, and all of the above about any of them. Until the connection ends. */
export async function answerComparison(source: Source, link: Channel): Promise<void> {
  const send: Send = (answer) => link.send(answer);
  const holder = {};
  let snapshot = source.last().txid;
  try {
    for (let frame = await link.receive(); frame !== undefined; frame = await link.receive()) {
      if (frame.type === frameType.moments) {
        const { id, after, most } = readMessage(momentsSchema, frame);
        await source.caughtUp();
        await send(encodeJson(frameType.momentsTold, { id, moments: source.after(BigInt(after) as Txid, most).map((moment) => ({ txid: String(moment.txid), checksum: checksumOf(moment) })) }));
      } else if (frame.type === frameType.at) {
        const { id, txid } = readMessage(atSchema, frame);
        source.hold(holder, snapshot = BigInt(txid) as Txid);
        await guarded(id, send, async () => {
          if (source.transaction(snapshot) === undefined) throw new VolumeError('ENOENT', `transaction ${txid} is no longer kept`);
          await send(encodeJson(frameType.root, { id, file: String(source.rootId) }));
        });
      } else if (!await answerQuestion(source, snapshot, frame, send)) {
        throw new FrameError(`a frame of type ${frame.type} is not expected here`);
      }
    }
  } finally {
    source.hold(holder, undefined);
  }
}

async function guarded(id: number, send: Send, answer: () => Promise<void>): Promise<void> {
  try {
    await answer();
  } catch (error) {
    await send(encodeJson(frameType.failed, { id, code: codeOf(error), message: messageOf(error).slice(0, 1000) }));
  }
}

/** What stands in a directory, each with all its attributes; of the root also itself, as `.`. */
export async function entriesAt(source: Source, snapshot: Txid, directory: FileId): Promise<ListedFile[]> {
  const listed = await namesAt(source, snapshot, directory);
  const entries: ListedFile[] = [];
  for (let start = 0; start < listed.length; start += entriesPerFrame) {
    entries.push(...await Promise.all(listed.slice(start, start + entriesPerFrame).map((entry) => describe(source, snapshot, entry))));
  }
  return entries;
}

async function namesAt(source: Source, snapshot: Txid, directory: FileId): Promise<Pick<ListedEntry, 'name' | 'file'>[]> {
  const listed: Pick<ListedEntry, 'name' | 'file'>[] = await source.list(snapshot, directory);
  // The root's own attributes stand in no directory.
  if (directory === source.rootId) listed.push({ name: Buffer.from('.'), file: directory });
  return listed;
}

async function list(source: Source, snapshot: Txid, id: number, directory: FileId, send: Send): Promise<void> {
  const listed = await namesAt(source, snapshot, directory);
  for (let start = 0; start === 0 || start < listed.length; start += entriesPerFrame) {
    const entries = await Promise.all(listed.slice(start, start + entriesPerFrame).map((entry) => describe(source, snapshot, entry)));
    await sendEntries(entries, id, start + entriesPerFrame >= listed.length, send);
  }
}

/** In as many frames as extended attributes need. */
async function sendEntries(entries: readonly ListedFile[], id: number, last: boolean, send: Send): Promise<void> {
  const bytes = JSON.stringify(entries).length;
  const half = Math.ceil(entries.length / 2);
  if (bytes <= listedBytesMax || entries.length < 2) return send(encodeJson(frameType.listed, { id, entries, last }));
  await sendEntries(entries.slice(0, half), id, false, send);
  await sendEntries(entries.slice(half), id, last, send);
}

async function describe(source: Source, snapshot: Txid, { name, file }: Pick<ListedEntry, 'name' | 'file'>): Promise<ListedFile> {
  const { mode, uid, gid, nlink, rdev, size, atimeNs, mtimeNs } = await source.attributes(snapshot, file);
  const xattrs = await source.xattrs(snapshot, file);
  const target = (mode & formatMask) === symlinkType ? (await source.readLink(file)).toString('latin1') : undefined;
  return {
    name: name.toString('latin1'), file: String(file), mode, uid, gid, nlink, rdev: String(rdev), size: Number(size), atimeNs: String(atimeNs), mtimeNs: String(mtimeNs),
    xattrs: xattrs.map((xattr): [string, string] => [xattr.name.toString('latin1'), xattr.value.toString('base64')]),
    ...(target === undefined ? {} : { target }),
  };
}

function bytesFrame(id: number, bytes: Buffer): Buffer {
  const payload = Buffer.alloc(4 + bytes.length);
  payload.writeUInt32LE(id, 0);
  bytes.copy(payload, 4);
  return encodeFrame(frameType.bytes, payload);
}

/** SHA-256 of a file's bytes, hex. */
export async function hashAt(source: Source, snapshot: Txid, file: FileId): Promise<string> {
  const { size } = await source.attributes(snapshot, file);
  const hash = createHash('sha256');
  for (let offset = 0n; offset < size; offset += BigInt(chunkBytes)) {
    hash.update(await source.read(snapshot, file, offset, Number(size - offset < BigInt(chunkBytes) ? size - offset : BigInt(chunkBytes))));
  }
  return hash.digest('hex');
}
