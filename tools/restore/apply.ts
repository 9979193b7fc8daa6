/**
 * Does what a plan says: makes each item beside its place under a temporary name, gives it its attributes, and renames it over.
 *
 * Invariants:
 * 1. At its own name a file is whole at every moment: the old one or the restored one.
 * 2. Names that were one file then are one file again.
 * 3. Directories get their attributes after all that lies in them; deepest first.
 * 4. One item that fails does not keep others from being restored; each failure is reported.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, linkSync, lstatSync, mkdirSync, openSync, readlinkSync, renameSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { files } from '../../native/index.js';
import { bytesOf, fromText, joinPath, parentOf, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import { CommandError, codeOf } from '../errors.js';
import { restoreAttributes } from './attributes.js';
import type { Shortfall } from './attributes.js';
import { copyData } from './copy-data.js';
import type { CopyHooks } from './copy-data.js';
import { typeOf } from './plan.js';
import type { Item, RestorePlan } from './plan.js';

export interface Failure {
  readonly path: BytePath;
  readonly reason: string;
}

export interface Outcome {
  restored: number;
  unchanged: number;
  removed: number;
  readonly failures: Failure[];
  readonly shortfall: Shortfall;
  /** `hooks.checkpoint` asked to stop. */
  wasStopped: boolean;
}

/** Thrown by a checkpoint to end the restore between two steps. */
export class Stopped extends Error {
  readonly code = 'STOPPED';
}

const itemsPerTurn = 100;

/** Resolves with what was done, also when some of it failed or it was stopped. */
export async function applyPlan(plan: RestorePlan, hooks: CopyHooks): Promise<Outcome> {
  const run = new Run(plan.others, hooks);
  try {
    await run.removeAll(plan.obstacles);
    await run.restoreAll(plan.items);
    await run.removeAll(plan.removals);
    run.finishDirectories();
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    run.outcome.wasStopped = true;
  }
  return run.outcome;
}

class Run {
  readonly outcome: Outcome = { restored: 0, unchanged: 0, removed: 0, failures: [], shortfall: { owners: 0, attributes: 0 }, wasStopped: false };
  readonly #others: RestorePlan['others'];
  readonly #hooks: CopyHooks;
  readonly #directories: Item[] = [];
  /** Where the first name of each file with several was restored. */
  readonly #linked = new Map<string, BytePath>();

  constructor(others: RestorePlan['others'], hooks: CopyHooks) {
    this.#others = others;
    this.#hooks = hooks;
  }

  async removeAll(paths: readonly BytePath[]): Promise<void> {
    for (const [index, path] of paths.entries()) {
      if (index % itemsPerTurn === 0) await turn();
      this.#hooks.checkpoint();
      await this.#guarded(path, () => {
        if (lstatSync(bytesOf(path)).isDirectory()) rmdirSync(bytesOf(path));
        else unlinkSync(bytesOf(path));
        this.outcome.removed += 1;
      });
    }
  }

  async restoreAll(items: readonly Item[]): Promise<void> {
    for (const [index, item] of items.entries()) {
      if (index % itemsPerTurn === 0) await turn();
      this.#hooks.checkpoint();
      await this.#guarded(item.target, () => this.#restore(item));
    }
  }

  finishDirectories(): void {
    for (const { source, target, stat } of this.#directories.reverse()) {
      try {
        restoreAttributes(source, target, stat, this.outcome.shortfall);
      } catch (error) {
        this.#fail(target, error);
      }
    }
  }

  async #restore(item: Item): Promise<void> {
    if (item.stat.isDirectory()) {
      const live = lstatSync(bytesOf(item.target), { throwIfNoEntry: false });
      if (live === undefined) {
        mkdirSync(bytesOf(item.target), 0o700);
        this.outcome.restored += 1;
      }
      this.#directories.push(item);
      return;
    }
    const key = item.stat.nlink > 1n ? `${item.stat.dev}:${item.stat.ino}` : undefined;
    const first = key === undefined ? undefined : this.#linked.get(key);
    if (first !== undefined) this.#restoreLink(item, first);
    else if (item.isUnchanged) this.outcome.unchanged += 1;
    else await this.#restoreWhole(item);
    if (key !== undefined && first === undefined) this.#linked.set(key, item.target);
  }

  #restoreLink(item: Item, first: BytePath): void {
    const [one, other] = [first, item.target].map((path) => lstatSync(bytesOf(path), { bigint: true, throwIfNoEntry: false }));
    if (one !== undefined && one.dev === other?.dev && one.ino === other.ino) {
      this.outcome.unchanged += 1;
      return;
    }
    const temporary = temporaryBeside(item.target);
    linkSync(bytesOf(first), bytesOf(temporary));
    this.#moveInto(temporary, item.target);
  }

  async #restoreWhole(item: Item): Promise<void> {
    const temporary = temporaryBeside(item.target);
    try {
      await this.#make(item, temporary);
      restoreAttributes(item.source, temporary, item.stat, this.outcome.shortfall);
    } catch (error) {
      unlinkIfThere(temporary);
      throw error;
    }
    this.#moveInto(temporary, item.target);
  }

  async #make(item: Item, temporary: BytePath): Promise<void> {
    const path = bytesOf(temporary);
    if (item.stat.isSymbolicLink()) {
      symlinkSync(readlinkSync(bytesOf(item.source), { encoding: 'buffer' }), path);
    } else if (item.stat.isFile()) {
      await this.#copy(item, path);
    } else {
      files.makeNode(path, typeOf(item.stat) | 0o600, item.stat.rdev);
    }
  }

  async #copy(item: Item, path: Buffer): Promise<void> {
    const source = openSync(bytesOf(item.source), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const target = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
      try {
        await copyData(source, target, this.#hooks);
      } finally {
        closeSync(target);
      }
    } finally {
      closeSync(source);
    }
  }

  #moveInto(temporary: BytePath, target: BytePath): void {
    try {
      if (this.#others === 'keeps') moveNew(bytesOf(temporary), bytesOf(target));
      else renameSync(bytesOf(temporary), bytesOf(target));
    } catch (error) {
      unlinkIfThere(temporary);
      throw error;
    }
    this.outcome.restored += 1;
  }

  async #guarded(path: BytePath, action: () => Promise<void> | void): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (error instanceof Stopped) throw error;
      this.#fail(path, error);
    }
  }

  #fail(path: BytePath, error: unknown): void {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] ?? '' : String(error);
    this.outcome.failures.push({ path, reason: reason.includes(shown(path)) ? reason : `${shown(path)}: ${reason}` });
  }
}

/** Short, so that it fits beside names of 255 bytes. */
export function temporaryBeside(target: BytePath): BytePath {
  return joinPath(parentOf(target), fromText(`.tidemark-restore-${randomBytes(6).toString('hex')}`));
}

/** Renames a file to a name that must be free. Throws CommandError when it is not. */
export function moveNew(source: Buffer, target: Buffer): void {
  try {
    files.moveNew(source, target);
  } catch (error) {
    throw codeOf(error) === 'EEXIST' ? new CommandError('the name has been taken meanwhile, and what has it stays') : error;
  }
}

function unlinkIfThere(path: BytePath): void {
  try {
    unlinkSync(bytesOf(path));
  } catch {
    // It was never made, or cannot be taken away: the failure that brought us here is reported.
  }
}
