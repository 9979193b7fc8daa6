/**
 * Everything that brings lost things back, in one place: the recovery bin, what was deleted under a path, undoing somebody's changes. In: the parts of a volume. Out: answers;
 * nothing is changed here.
 */
import { listBin } from './bin.js';
import type { BinQuery } from './bin.js';
import { DeletedTree } from './deleted-tree.js';
import { VolumeError } from './errors.js';
import { txidMax } from './index-keys.js';
import type { Resolver } from './resolve.js';
import type { BinItem, DeletedContents, DeletedVersion, FileId, Transaction } from './types.js';
import { lastDeleted } from './undelete.js';
import { gatherHistory } from './undo-history.js';
import type { GatherParts } from './undo-history.js';
import { planUndo } from './undo-plan.js';
import { givenUp, scanTouched } from './undo-scan.js';
import type { UndoRequest } from './undo-scan.js';
import type { Conflict, UndoStep } from './undo-types.js';

export interface RecoveryBinParts extends GatherParts {
  readonly resolver: Resolver;
  readonly caughtUp: () => Promise<unknown>;
  readonly nowNs: () => bigint;
}

/** What an undo would do, and what stands against it. */
export interface UndoProposal {
  /** `source`: where the file was at the step's moment, from the root, with a leading slash. `present`: where it is as the undo begins; undefined when it is gone. */
  readonly steps: readonly (UndoStep & { readonly source: Buffer | undefined; readonly present: Buffer | undefined })[];
  readonly conflicts: readonly (Conflict & { readonly mineBy: Transaction | undefined; readonly otherBy: Transaction | undefined })[];
}

export class RecoveryBin {
  readonly #parts: RecoveryBinParts;
  readonly #deleted: DeletedTree;

  constructor(parts: RecoveryBinParts) {
    this.#parts = parts;
    this.#deleted = new DeletedTree(parts);
  }

  async* list(query: BinQuery): AsyncGenerator<BinItem> {
    await this.#parts.caughtUp();
    yield* listBin(this.#parts, query);
  }

  async deletedIn(directory: FileId): Promise<DeletedContents> {
    await this.#parts.caughtUp();
    return this.#deleted.in(directory);
  }

  /** What was deleted last under a path; with `at`, what was there at that moment, or else the last that had been deleted by then. */
  async lastDeleted(path: Buffer, at: number): Promise<DeletedVersion | undefined> {
    await this.#parts.caughtUp();
    return lastDeleted(this.#parts, path, at);
  }

  /** Throws VolumeError ENOENT when history since the beginning was given up. */
  async proposeUndo(request: UndoRequest): Promise<UndoProposal> {
    await this.#parts.caughtUp();
    const touched = await scanTouched(this.#parts, request);
    const { steps, conflicts } = planUndo(await gatherHistory(this.#parts, touched, request.after));
    const { paths, transactions } = this.#parts;
    const by = (txid: number): Transaction | undefined => (txid === 0 ? undefined : transactions.get(txid));
    return {
      steps: steps.map((step) => ({ ...step, source: 'snapshot' in step ? this.#sourceOf(step.snapshot, step.file, paths.pathOf(step.snapshot, step.file)) : undefined, present: paths.pathOf(txidMax - 1, step.file) })),
      conflicts: conflicts.map((conflict) => ({ ...conflict, path: this.#knownPath(conflict), mineBy: by(conflict.mine), otherBy: by(conflict.other) })),
    };
  }

  /** From when on changes can be undone, as a line for people. */
  undoableSince(): string {
    return givenUp(this.#parts);
  }

  /** What is nowhere any more is known by where it was. */
  #knownPath({ path, mine, file }: Conflict): string {
    return (path.startsWith('/?') && mine > 0 ? this.#parts.paths.pathOf(mine - 1, file)?.toString('latin1') : undefined) ?? path;
  }

  #sourceOf(snapshot: number, file: FileId, path: Buffer | undefined): Buffer {
    if (path === undefined) throw new VolumeError('EIO', `where file ${file} was at txn-${snapshot} is not known; "tidemark verify" tells what the history has lost`);
    return path;
  }
}
