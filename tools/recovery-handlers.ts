/**
 * What the daemon answers about lost things: the recovery bin, what was deleted under a path, what it takes to undo somebody's changes. In: control requests, the volume.
 * Out: items and replies in the words of protocol.ts. Nothing is changed here: commands do that through the mount.
 */
import { inodeOf } from '../engine/ids.js';
import { MomentError, VolumeError } from '../engine/errors.js';
import { compileExcludes } from '../engine/excludes.js';
import { binNs } from '../engine/deleted-tree.js';
import { clockNs } from '../engine/moments.js';
import { lastBackup } from '../engine/pins.js';
import type { RecoveryBin, UndoProposal } from '../engine/recovery-bin.js';
import type { BinItem, FileId, Transaction, Txid } from '../engine/types.js';
import type { Volume } from '../engine/volume.js';
import type { ActorChoice } from '../engine/whose.js';
import type { Handlers } from './control-server.js';
import type { MomentReply, TransactionItem } from './protocol.js';
import type { BinEntryItem, UndoConflictItem, UndoStepItem } from './recovery-protocol.js';
import { fromWire, toWire } from './wire.js';

type Recoverable = Pick<Volume, 'settled' | 'pins' | 'resolvePath' | 'transaction' | 'parseMoment' | 'snapshotAt' | 'excludes'> & { readonly bin: RecoveryBin };

export function recoveryHandlers(volume: Recoverable): Pick<Handlers, 'bin' | 'undelete' | 'undo'> {
  return {
    bin: async (request, connection) => {
      const directory = await directoryAt(volume, request.path, await volume.settled());
      const { pattern, limit } = request;
      const backup = request.since === undefined ? lastBackup(volume.pins()) : undefined;
      const after = backup?.txid ?? orOldest(() => (request.since === undefined ? volume.snapshotAt(clockNs() - binNs) : volume.parseMoment(request.since)));
      const items = volume.bin.list({
        directory, after: Number(after), by: choiceOf(request), ...(pattern === undefined ? {} : { pattern: compileExcludes([pattern]) }), ...(limit === undefined ? {} : { limit }),
      });
      for await (const item of items) {
        // Who asked has seen enough.
        if (!connection.isOpen) break;
        await connection.emit(request.id, binItem(item));
      }
      return backup === undefined ? {} : { backup: backup.name };
    },
    undelete: async (request) => {
      const last = await volume.settled();
      const at = request.at === undefined ? last.txid : volume.parseMoment(request.at);
      const version = await volume.bin.lastDeleted(fromWire(request.path), Number(at));
      const exclude = [...volume.excludes];
      if (version === undefined) return { exclude };
      const { type, snapshot, deletedAt, otherName } = version;
      return { exclude, found: { type, snapshot: momentOf(volume, snapshot), deletedAt: momentOf(volume, deletedAt), ...(otherName === undefined ? {} : { otherName: toWire(otherName) }) } };
    },
    undo: async (request, connection) => {
      const last = await volume.settled();
      const directory = await directoryAt(volume, request.path, last);
      const upTo = request.until === undefined ? last.txid : volume.parseMoment(request.until);
      const after = orGivenUp(volume, () => volume.parseMoment(request.since));
      const proposal = await volume.bin.proposeUndo({ directory, after: Number(after), upTo: Number(upTo), by: choiceOf(request) });
      for (const step of proposal.steps) await connection.emit(request.id, { step: stepItem(volume, step) });
      for (const conflict of proposal.conflicts) await connection.emit(request.id, { conflict: conflictItem(conflict) });
      return { after: String(after), upTo: String(upTo) };
    },
  };
}

export function momentOf(volume: Pick<Volume, 'transaction'>, txid: Txid): MomentReply {
  return { txid: String(txid), timeNs: String(volume.transaction(txid)?.timeNs ?? 0n) };
}

/** What a path leads to now. Throws VolumeError ENOENT. */
async function directoryAt(volume: Recoverable, path: string, { txid }: Transaction): Promise<FileId> {
  const entry = await volume.resolvePath(txid, fromWire(path));
  if (entry === undefined) throw new VolumeError('ENOENT', `${path} is not there now; name the directory that held it`);
  return entry.file;
}

/** A moment before all that is kept bounds nothing. */
function orOldest(find: () => Txid): Txid {
  return orElse(find, () => 0n as Txid);
}

function orGivenUp(volume: Recoverable, find: () => Txid): Txid {
  return orElse(find, () => {
    throw new VolumeError('ENOENT', volume.bin.undoableSince());
  });
}

function orElse(find: () => Txid, tooOld: () => Txid): Txid {
  try {
    return find();
  } catch (error) {
    if (error instanceof MomentError && error.fault === 'too-old') return tooOld();
    throw error;
  }
}

function choiceOf({ uid, pid, command }: { [Key in keyof ActorChoice]: ActorChoice[Key] | undefined }): ActorChoice {
  return { ...(uid === undefined ? {} : { uid }), ...(pid === undefined ? {} : { pid }), ...(command === undefined ? {} : { command }) };
}

function transactionItem({ txid, timeNs, uid, pid, command }: Transaction): TransactionItem {
  return { txid: String(txid), timeNs: String(timeNs), uid, pid, command };
}

function binItem({ kind, txid, timeNs, path, type, size, uid, pid, command, external, isSure }: BinItem): BinEntryItem {
  return { kind, txid: String(txid), timeNs: String(timeNs), path: toWire(path), type, ...(size === undefined ? {} : { size: String(size) }), uid, pid, command, external, isSure };
}

function stepItem(volume: Recoverable, step: UndoProposal['steps'][number]): UndoStepItem {
  const { file, source, present, ...fields } = step;
  const { snapshot, replaces, value, ...rest } = { snapshot: undefined, replaces: undefined, value: undefined, ...fields };
  return {
    ...rest,
    inode: String(inodeOf(file)),
    ...(replaces === undefined ? {} : { replaces: String(inodeOf(replaces)) }),
    ...(value === undefined ? {} : { value: String(value) }),
    ...(snapshot === undefined ? {} : { at: momentOf(volume, BigInt(snapshot) as Txid) }),
    ...(source === undefined ? {} : { source: toWire(source) }),
    ...(present === undefined ? {} : { present: toWire(present) }),
  };
}

function conflictItem({ kind, path, range, xattr, mineBy, otherBy }: UndoProposal['conflicts'][number]): UndoConflictItem {
  return {
    kind, path, ...(range === undefined ? {} : { range }), ...(xattr === undefined ? {} : { xattr }),
    ...(mineBy === undefined ? {} : { mine: transactionItem(mineBy) }), ...(otherBy === undefined ? {} : { other: transactionItem(otherBy) }),
  };
}
