/**
 * The reading half of the in-memory NativeVolume: a tree and a log, asked as the addon is. In: file ids and plans. Out: what they hold now.
 */
import { recordHeaderBytes } from '../../engine/log-format.js';
import { generationOf, inodeOf } from '../../engine/ids.js';
import { PieceKind } from '../../native/types.js';
import type { RoomState } from '../../native/room.js';
import type { FileId, Plan } from '../../native/types.js';
import type { LogWriter } from './log-writer.js';
import { MemoryTree } from './memory-tree.js';

export class MemoryReader {
  readonly tree = new MemoryTree();
  readonly rootId = this.tree.root.file;
  readonly log: LogWriter;
  /** Where the last pre-image of a file's bytes stands in the log. */
  readonly bytesSavedAt = new Map<FileId, number>();

  // There is no mount to hold.
  closePeerGate(): void {}

  openPeerGate(): void {}

  peerHas(): void {}

  waitingForPeer(): number {
    return 0;
  }

  holdChanges(): void {}
  releaseChanges(): void {}
  serve(): never {
    throw new Error('nothing mounts this tree');
  }

  /** Some segments were packed: records are looked for. */
  isPacked = false;

  constructor(log: LogWriter) {
    this.log = log;
  }

  stat(file: FileId): Buffer {
    return this.tree.packed(this.tree.get(file));
  }

  readDirectory(file: FileId): Buffer {
    return Buffer.concat([...this.tree.get(file).names].map(([name, child]) => {
      const head = Buffer.alloc(16);
      head.writeBigUInt64LE(inodeOf(child), 0);
      head.writeUInt32LE(generationOf(child), 8);
      head.writeUInt32LE(Buffer.byteLength(name), 12);
      return Buffer.concat([head, this.stat(child), Buffer.from(name)]);
    }));
  }

  readLink(file: FileId): Buffer {
    return this.tree.get(file).content;
  }

  xattrs(file: FileId): { name: Buffer; value: Buffer }[] {
    return [...this.tree.get(file).xattrs].map(([name, value]) => ({ name: Buffer.from(name), value }));
  }

  lookup(directory: FileId, _path: Buffer | null, name: Buffer): { file: FileId; type: number } | undefined {
    const file = this.tree.get(directory).names.get(name.toString());
    return file === undefined ? undefined : { file, type: this.tree.type(this.tree.get(file)) };
  }

  isObject(file: FileId): boolean {
    return this.tree.get(file).nlink === 0;
  }

  access(): number {
    return 0;
  }

  /** There is always room. */
  room(): RoomState {
    return {
      availableBytes: 1e12, totalBytes: 2e12, reserveBytes: 0, reserveWanted: 0, lacksInodes: false, isShort: false, isRefusing: false, waiting: 0, largestWaiting: 0, refused: 0,
    };
  }

  answerRoom(): void {}

  async makeReserve(): Promise<void> {}

  giveReserve(): void {}

  async readPlan(plan: Plan, offset: bigint, length: number): Promise<Buffer> {
    const end = Math.min(Number(plan.size), Number(offset) + length);
    const result = Buffer.alloc(Math.max(0, end - Number(offset)));
    let at = 0;
    for (let index = 0; index < plan.pieces.length; index += 4) {
      const [start, size, kind, position] = [0, 1, 2, 3].map((part) => Number(plan.pieces[index + part])) as [number, number, number, number];
      if (start !== at || size <= 0) throw new Error(`a piece at ${start} follows on ${at}`);
      at += size;
      const from = Math.max(start, Number(offset));
      const to = Math.min(start + size, end);
      if (from >= to || kind === PieceKind.Zero) continue;
      if (kind === PieceKind.File && (this.bytesSavedAt.get(plan.file) ?? -1) >= plan.plannedAt) throw Object.assign(new Error('the plan is out of date'), { code: 'ESTALE' });
      const source = kind === PieceKind.File ? this.tree.get(plan.file).content.subarray(from, to) : this.#record(position, from, to);
      source.copy(result, from - Number(offset));
    }
    if (at !== Number(plan.size)) throw new Error(`pieces cover ${at} of ${plan.size} bytes`);
    return result;
  }

  /** Bytes of an EXTENT; its header tells where in the file they begin. */
  #record(position: number, from: number, to: number): Buffer {
    if (this.isPacked) {
      const record = this.log.record(position);
      const start = recordHeaderBytes - Number(record.readBigUInt64LE(32));
      return record.subarray(start + from, start + to);
    }
    const start = Number(this.log.read(position + 32, 8).readBigUInt64LE());
    return this.log.read(position + recordHeaderBytes + from - start, to - from);
  }

  // It follows no other volume, and all of it is lost with the process.
  async openFollowed(): Promise<void> {}
  async endFollowed(): Promise<void> {}
  async syncTree(): Promise<void> {}
  stopFollowing(): void {}
}
