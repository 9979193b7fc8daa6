/**
 * Does what an undo's plan says, through the mount. In: steps in their order (engine/undo-types.ts). Out: what was done and what failed.
 *
 * Invariants:
 * 1. Before a step changes or removes anything it looks whether the file that was planned for still stands there, with what it held then; what others put there
 *    meanwhile stays, and symlinks lead nowhere (engine/anchors.ts).
 * 2. Files that come back are made whole beside their place and renamed into it (restore/apply.ts).
 * 3. Directories that come back get their attributes, and all others their times, when nothing more is done in them.
 */
import { chmodSync, closeSync, constants, fstatSync, ftruncateSync, lchownSync, linkSync, lstatSync, mkdirSync, openSync, readSync, renameSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Anchors } from '../../engine/anchors.js';
import { directoryType } from '../../engine/attributes.js';
import { writeAll } from '../../engine/write-all.js';
import { files } from '../../native/index.js';
import { bytePath, bytesOf, joinPath, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { CommandError, codeOf } from '../errors.js';
import type { UndoStepItem } from '../recovery-protocol.js';
import { applyPlan, moveNew, Stopped, temporaryBeside } from '../restore/apply.js';
import type { Failure } from '../restore/apply.js';
import { restoreAttributes } from '../restore/attributes.js';
import type { Shortfall } from '../restore/attributes.js';
import type { CopyHooks } from '../restore/copy-data.js';
import { requireSameBytes, requireSameNumber, requireSameSize, requireSameXattr, xattrOf } from './as-planned.js';

export interface UndoOutcome {
  done: number;
  readonly failures: Failure[];
  readonly shortfall: Shortfall;
  wasStopped: boolean;
}

const chunkBytes = 1 << 20;
const stepsPerTurn = 100;

/** Where an undo acts: the mountpoint, and the transaction after which it began, in decimal. */
export interface Scene {
  readonly root: BytePath;
  readonly begin: string;
}

/** Resolves with what was done, also when some of it failed or it was stopped. */
export async function actUndo(steps: readonly UndoStepItem[], scene: Scene, hooks: CopyHooks): Promise<UndoOutcome> {
  const acting = new Acting(scene, hooks);
  for (const [index, step] of steps.entries()) {
    if (index % stepsPerTurn === 0) await turn();
    try {
      hooks.checkpoint();
      await acting.act(step);
      acting.outcome.done++;
    } catch (error) {
      acting.outcome.wasStopped = error instanceof Stopped;
      if (acting.outcome.wasStopped) break;
      acting.fail(step.path as BytePath, error);
    }
  }
  acting.finishDirectories();
  return acting.outcome;
}

class Acting {
  readonly outcome: UndoOutcome = { done: 0, failures: [], shortfall: { owners: 0, attributes: 0 }, wasStopped: false };
  readonly #scene: Scene;
  readonly #hooks: CopyHooks;
  readonly #anchors: Anchors;
  /** Files that came back, by the inode number of the plan, have another one now. */
  readonly #inodes = new Map<string, bigint>();
  /** Inode numbers of files that got an ACL, which changes the mode. */
  readonly #listed = new Set<string>();
  #directories: { readonly source: BytePath; readonly path: BytePath; readonly stat: BigIntStats }[] = [];

  constructor(scene: Scene, hooks: CopyHooks) {
    this.#scene = scene;
    this.#hooks = hooks;
    this.#anchors = new Anchors(bytesOf(scene.root));
  }

  async act(step: UndoStepItem): Promise<void> {
    // Times come last.
    if (step.kind === 'mtime') this.finishDirectories();
    try {
      await (step.kind === 'recreate' ? this.#recreate(step) : this.#change(step));
    } finally {
      this.#anchors.release();
    }
  }

  /** The last to be done: what happens in a directory changes its times. */
  finishDirectories(): void {
    for (const { source, path, stat } of this.#directories.splice(0).reverse()) {
      try {
        restoreAttributes(source, bytePath(this.#anchors.at(bytesOf(path))), stat, this.outcome.shortfall);
      } catch (error) {
        this.fail(path, error);
      } finally {
        this.#anchors.release();
      }
    }
  }

  fail(path: BytePath, error: unknown): void {
    const line = error instanceof Error ? error.message.split('\n', 1)[0] ?? '' : String(error);
    const reason = line.replace(/, \w+ '\/proc\/self\/fd\/.*$/, '').replace(/^\/proc\/self\/fd\/.*?: /, '');
    this.outcome.failures.push({ path, reason: reason.includes(shown(path)) ? reason : `${shown(path)}: ${reason}` });
  }

  async #change(step: UndoStepItem): Promise<void> {
    const path = this.#there(step);
    switch (step.kind) {
      case 'rename': return this.#rename(path, step);
      case 'link': return this.#link(path, step);
      case 'remove': return step.type === directoryType ? rmdirSync(path) : unlinkSync(path);
      case 'size': return this.#size(path, step);
      case 'bytes': return this.#bytes(path, step);
      case 'xattr': return this.#xattr(path, step);
      case 'mode': return this.#mode(path, step);
      case 'uid':
      case 'gid': return this.#own(path, step.kind, step);
      case 'mtime': return files.setTimes(path, lstatSync(path, { bigint: true }).atimeNs, BigInt(step.value ?? 0));
      default: throw new CommandError(`this version cannot do "${step.kind}"`, 'use the version that the daemon runs');
    }
  }

  /** The path of a step, if what it is about stands there. */
  #there({ path, inode }: UndoStepItem): Buffer {
    const bytes = this.#anchors.at(bytesOf(path as BytePath));
    if (lstatSync(bytes, { bigint: true, throwIfNoEntry: false })?.ino !== this.#inodeOf(inode)) throw isAnother(path);
    return bytes;
  }

  #inodeOf(inode: string): bigint {
    return this.#inodes.get(inode) ?? BigInt(inode);
  }

  /** A path at which nothing stands but what is to be replaced. */
  #free(path = '', replaces = '0'): Buffer {
    const bytes = this.#anchors.at(bytesOf(path as BytePath));
    const standing = lstatSync(bytes, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
    if (standing !== BigInt(replaces)) throw new CommandError(`${shown(path as BytePath)} has been taken meanwhile and stays as it is`);
    return bytes;
  }

  async #recreate(step: UndoStepItem): Promise<void> {
    const bytes = this.#free(step.path, step.replaces);
    const source = this.#sourceOf(step);
    const stat = lstatSync(bytesOf(source), { bigint: true });
    if (stat.isDirectory()) {
      mkdirSync(bytes, 0o700);
      this.#directories.push({ source, path: step.path as BytePath, stat });
    } else {
      const items = [{ source, target: bytePath(bytes), stat, isUnchanged: false }];
      const { failures, shortfall, wasStopped } = await applyPlan({ items, obstacles: [], removals: [], totalBytes: stat.size, others: replacing(step) ? 'replaces' : 'keeps' }, this.#hooks);
      if (wasStopped) throw new Stopped('stopped');
      this.outcome.shortfall.owners += shortfall.owners;
      this.outcome.shortfall.attributes += shortfall.attributes;
      const [failure] = failures;
      if (failure !== undefined) throw new CommandError(failure.reason);
    }
    this.#inodes.set(step.inode, lstatSync(bytes, { bigint: true }).ino);
  }

  #rename(path: Buffer, step: UndoStepItem): void {
    const target = this.#free(step.to, step.replaces);
    if (replacing(step)) renameSync(path, target);
    else moveNew(path, target);
  }

  #link(path: Buffer, step: UndoStepItem): void {
    const target = this.#free(step.to, step.replaces);
    if (!replacing(step)) return linkSync(path, target);
    const temporary = bytesOf(temporaryBeside(bytePath(target)));
    linkSync(path, temporary);
    renameSync(temporary, target);
  }

  #size(path: Buffer, step: UndoStepItem): void {
    this.#opened(path, step, (descriptor) => {
      if (step.present !== undefined) requireSameSize(descriptor, this.#begin(step.present), shown(step.path as BytePath));
      ftruncateSync(descriptor, step.size);
    });
  }

  async #bytes(path: Buffer, step: UndoStepItem): Promise<void> {
    const { start = 0, end = 0 } = step;
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - start));
    const [source, begin] = [bytesOf(this.#sourceOf(step)), ...(step.present === undefined ? [] : [this.#begin(step.present)])].map((file) => openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW));
    try {
      for (let at = start; at < end;) {
        this.#hooks.checkpoint();
        const count = readSync(source!, buffer, 0, Math.min(buffer.length, end - at), at);
        if (count === 0) throw new Error(`what it held then ended at ${at} instead of ${end}`);
        this.#opened(path, step, (target) => {
          if (begin !== undefined) requireSameBytes(target, begin, { start: at, length: count, what: shown(step.path as BytePath) });
          writeAll(target, buffer.subarray(0, count), at);
        });
        at += count;
        this.#hooks.onBytes(count);
        await turn();
      }
    } finally {
      for (const descriptor of [source, begin]) if (descriptor !== undefined) closeSync(descriptor);
    }
  }

  /** Opens what stands at the path, if that is what the step is about. */
  #opened(path: Buffer, { inode, path: name }: UndoStepItem, work: (descriptor: number) => void): void {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      if (fstatSync(descriptor, { bigint: true }).ino !== this.#inodeOf(inode)) throw isAnother(name);
      work(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  #xattr(path: Buffer, step: UndoStepItem): void {
    const name = Buffer.from(step.name ?? '', 'latin1');
    const [then, now] = [xattrOf(bytesOf(this.#sourceOf(step)), name), xattrOf(path, name)];
    if (step.present !== undefined) requireSameXattr(name, now, this.#begin(step.present), shown(step.path as BytePath));
    this.#listed.add(step.inode);
    this.#allowed('attributes', () => {
      if (then !== undefined) files.setXattr(path, name, then);
      else if (now !== undefined) files.removeXattr(path, name);
    });
  }

  #mode(path: Buffer, step: UndoStepItem): void {
    const file = this.#anchors.itself(path);
    if (statSync(file, { bigint: true }).ino !== this.#inodeOf(step.inode)) throw isAnother(step.path);
    if (step.present !== undefined && !this.#listed.has(step.inode)) requireSameNumber('mode', path, this.#begin(step.present), shown(step.path as BytePath));
    chmodSync(file, Number(step.value));
  }

  #own(path: Buffer, which: 'uid' | 'gid', step: UndoStepItem): void {
    if (step.present !== undefined) requireSameNumber(which, path, this.#begin(step.present), shown(step.path as BytePath));
    const [now, id] = [lstatSync(path), Number(step.value)];
    this.#allowed('owners', () => lchownSync(path, which === 'uid' ? id : now.uid, which === 'gid' ? id : now.gid));
  }

  /** Some things only root may give back. */
  #allowed(what: keyof Shortfall, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error) ?? '')) throw error;
      this.outcome.shortfall[what] += 1;
    }
  }

  /** A file as the undo began. */
  #begin(present: string): Buffer {
    return bytesOf(joinPath(this.#scene.root, '.snapshots', `@txn-${this.#scene.begin}`, present));
  }

  #sourceOf({ at, source }: UndoStepItem): BytePath {
    return joinPath(this.#scene.root, '.snapshots', `@txn-${at?.txid ?? ''}`, source ?? '/');
  }
}

function replacing({ replaces = '0' }: UndoStepItem): boolean {
  return replaces !== '0';
}

function isAnother(path: string): CommandError {
  return new CommandError(`${shown(path as BytePath)} has been changed meanwhile and stays as it is`);
}
