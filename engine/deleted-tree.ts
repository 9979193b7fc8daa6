/**
 * What was deleted in the last day, by directory: what `.snapshots/@deleted` shows. In: the index, read on whenever it is asked. Out: for a directory
 * the names that it lost, and the directories below which something was lost.
 *
 * Invariants:
 * 1. A directory counts by identity: what it lost belongs to it wherever it is now, also when it was deleted itself.
 * 2. An entry is shown as of the last kept moment before it was deleted. What left while nothing was mounted is not shown: it was not kept.
 * 3. At most `mostEntries` are held, the newest.
 */
import type { IndexStore } from './index-store.js';
import { txid as toTxid } from './ids.js';
import { judged } from './judged.js';
import { deletingBack } from './loss-marks.js';
import { keptBefore, lostNames } from './losses.js';
import { nsPerSecond } from './moments.js';
import { changeRows } from './name-history.js';
import { pacer } from './pacer.js';
import { txidMax } from './index-keys.js';
import type { Paths } from './paths.js';
import type { Transactions } from './transactions.js';
import { directoryType } from './attributes.js';
import type { DeletedContents, DeletedName, FileId, ResolvedEntry } from './types.js';

/** How far back the recovery bin reaches. */
export const binNs = 24n * 3600n * nsPerSecond;
const mostEntries = 100_000;
/** How long names of directories may be old ones while much happens. */
const patienceMs = 1000;

interface Lost extends DeletedName {
  readonly directory: FileId;
}

export class DeletedTree {
  readonly #index: IndexStore;
  readonly #paths: Paths;
  readonly #transactions: Transactions;
  readonly #rootId: FileId;
  readonly #nowNs: () => bigint;
  /** Newest first. */
  #lost: Lost[] = [];
  #readUpTo = -1;
  /** What the entries were derived from: they are read anew when it changes. */
  #basis = '';
  #byDirectory = new Map<FileId, Lost[]>();
  #below = new Map<FileId, Map<FileId, ResolvedEntry>>();
  /** As they are given out: the same until something changes. */
  #contents = new Map<FileId, DeletedContents>();
  #arrangedMs = Number.NEGATIVE_INFINITY;
  /** One reading at a time. */
  #reading: Promise<void> = Promise.resolve();

  constructor(parts: { index: IndexStore; paths: Paths; transactions: Transactions; rootId: FileId; nowNs: () => bigint }) {
    this.#index = parts.index;
    this.#paths = parts.paths;
    this.#transactions = parts.transactions;
    this.#rootId = parts.rootId;
    this.#nowNs = parts.nowNs;
  }

  /** What a directory lost, newest first, and in which of its directories there is more. The index must have read as far as is asked for. */
  async in(directory: FileId): Promise<DeletedContents> {
    const reading = this.#reading.then(() => this.#readOn());
    // Who comes next tries again.
    this.#reading = reading.catch(() => undefined);
    await reading;
    let contents = this.#contents.get(directory);
    if (contents === undefined) {
      contents = { deleted: this.#byDirectory.get(directory) ?? [], below: [...this.#below.get(directory)?.values() ?? []] };
      this.#contents.set(directory, contents);
    }
    return contents;
  }

  async #readOn(): Promise<void> {
    const { oldest, horizon } = judged(this.#index);
    const basis = `${this.#index.generation}/${oldest}/${horizon}`;
    if (basis !== this.#basis) {
      this.#lost = [];
      this.#readUpTo = -1;
      this.#basis = basis;
    }
    const last = Number(this.#transactions.last().txid);
    const sinceNs = this.#nowNs() - binNs;
    const isOld = (this.#lost.at(-1)?.timeNs ?? sinceNs) < sinceNs;
    if (last === this.#readUpTo && !isOld) return;
    const after = Math.max(this.#readUpTo, this.#transactions.atOrBefore(sinceNs)?.txid ?? 0);
    const fresh = await this.#read(after, last, oldest);
    this.#readUpTo = last;
    // Else a directory may have another name or place: that can wait for a moment.
    if (fresh.length === 0 && !isOld && performance.now() - this.#arrangedMs < patienceMs) return;
    this.#lost = [...fresh, ...this.#lost].filter(({ timeNs }) => timeNs >= sinceNs).slice(0, mostEntries);
    this.#arrange();
  }

  /** What was lost in transactions of (after, last], newest first. */
  async #read(after: number, last: number, oldest: number): Promise<Lost[]> {
    const lost: Lost[] = [];
    const pause = pacer();
    for (const txid of deletingBack(this.#index, after, last)) {
      await pause();
      const transaction = this.#transactions.get(txid);
      const snapshot = keptBefore(this.#index, txid, oldest);
      if (transaction === undefined || transaction.external || snapshot === undefined) continue;
      for (const { kind, directory, name, file, type } of lostNames(this.#index, this.#paths, changeRows(this.#index, txid), txid)) {
        // What was replaced by the same name is an older version of it, as what was overwritten.
        if (kind === 'deleted') lost.push({ directory, name, file, type, snapshot: toTxid(snapshot), timeNs: transaction.timeNs });
      }
      if (lost.length >= mostEntries) break;
    }
    return lost;
  }

  #arrange(): void {
    this.#arrangedMs = performance.now();
    this.#contents = new Map();
    this.#byDirectory = new Map();
    for (const lost of this.#lost) {
      const known = this.#byDirectory.get(lost.directory);
      if (known === undefined) this.#byDirectory.set(lost.directory, [lost]);
      else known.push(lost);
    }
    this.#below = new Map();
    const gone = new Set(this.#lost.filter(({ type }) => type === directoryType).map(({ file }) => file));
    const seen = new Set<FileId>();
    for (let directory of this.#byDirectory.keys()) {
      // Up to the root, or to a directory that was there before; one that was deleted itself is found by its own entry.
      while (directory !== this.#rootId && !seen.has(directory) && !gone.has(directory)) {
        seen.add(directory);
        const place = this.#paths.placeAt(txidMax - 1, directory);
        if (place === undefined) break;
        const children = this.#below.get(place.parent) ?? new Map<FileId, ResolvedEntry>();
        children.set(directory, { name: place.name, file: directory, type: directoryType });
        this.#below.set(place.parent, children);
        directory = place.parent;
      }
    }
  }
}
