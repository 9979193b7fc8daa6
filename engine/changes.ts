/**
 * The lines of `log`: from the rows that the index keeps of a transaction to changes with paths, kinds and sizes. In: index,
 * paths, resolver. Out: Change values.
 *
 * Invariants:
 * 1. Every file that a transaction touched in a way of its own has a line; a file created and written in it has one line.
 * 2. A change that no snapshot shows any more, by the file's floor, has none.
 * 3. A change's path is the one after it; for deletes the one before.
 */
import { decodeAttributes, directoryType, formatMask, regularType } from './attributes.js';
import { arrivalKind, contentKind, departureKind } from './change-kinds.js';
import { codeOf } from './errors.js';
import { Floors } from './floors.js';
import { decodeNameEntry, namedKey, placed, table } from './index-keys.js';
import type { NameEntry } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import { nameOperation } from './log-bodies.js';
import { changeRows } from './name-history.js';
import type { ChangeRows } from './name-history.js';
import { joinBytes } from './path-bytes.js';
import type { Paths } from './paths.js';
import type { Resolver } from './resolve.js';
import type { Transactions } from './transactions.js';
import type { Attributes, Change, ChangeKind, FileId, Transaction } from './types.js';

interface Slot {
  readonly parent: FileId;
  readonly name: Buffer;
  readonly entry: NameEntry;
}

const unknownDirectory = Buffer.from('/?');

export class Changes {
  readonly #index: IndexStore;
  readonly #paths: Paths;
  readonly #resolver: Resolver;
  readonly #transactions: Transactions;
  readonly #floors: Floors;

  constructor(index: IndexStore, paths: Paths, resolver: Resolver, transactions: Transactions) {
    this.#index = index;
    this.#paths = paths;
    this.#resolver = resolver;
    this.#transactions = transactions;
    this.#floors = new Floors(index);
  }

  /** All changes of a transaction, in the order of the log. The index must have read that far. */
  async of(txid: number): Promise<Change[]> {
    const transaction = this.#transactions.get(txid);
    if (transaction === undefined || txid === 0) return [];
    const rows = changeRows(this.#index, txid);
    const changes: Change[] = [];
    for (const { file } of this.filesIn(rows, txid)) changes.push(...await this.ofFile(file, transaction, rows.files.get(file)?.bits ?? 0));
    return changes;
  }

  /** The files that the rows of a transaction speak of, in the order of the log. */
  filesIn(rows: ChangeRows, txid: number): { file: FileId; lsn: number }[] {
    const first = new Map<FileId, number>();
    const note = (file: FileId, lsn: number): void => {
      const known = first.get(file);
      if (file !== 0n && (known === undefined || lsn < known)) first.set(file, lsn);
    };
    for (const [file, { lsn }] of rows.files) note(file, lsn);
    for (const { directory, name, lsn } of rows.names) {
      const value = this.#index.get(namedKey(table.name, directory, name, txid));
      if (value === undefined) continue;
      const entry = decodeNameEntry(value);
      note(entry.before, lsn);
      note(entry.after, lsn);
    }
    return [...first].map(([file, lsn]) => ({ file, lsn })).sort((a, b) => a.lsn - b.lsn);
  }

  /** What a transaction did to one file; `bits` as the index notes them. */
  async ofFile(file: FileId, transaction: Transaction, bits: number): Promise<Change[]> {
    const txid = Number(transaction.txid);
    if (this.#floors.hides(file, txid)) return [];
    const { was, is } = this.#slots(file, txid);
    const names = this.#nameChanges(file, transaction, was, is);
    const isFresh = names.some(({ kind }) => kind !== 'rename' && kind !== 'link' && kind !== 'delete' && kind !== 'rmdir');
    const isGone = was.length > 0 && is.length === 0;
    if (bits !== 0 && !isFresh && !isGone) {
      const content = await this.#contentChange(file, transaction, bits);
      if (content !== undefined) names.push(content);
    }
    return Promise.all(names.map((change) => this.#withSize(change)));
  }

  /** The names that led to the file before the transaction and no longer do, and those that do since. */
  #slots(file: FileId, txid: number): { was: Slot[]; is: Slot[] } {
    const was: Slot[] = [];
    const is: Slot[] = [];
    for (const { parent, name, bits } of this.#paths.placesIn(txid, file)) {
      const value = this.#index.get(namedKey(table.name, parent, name, txid));
      if (value === undefined) continue;
      const slot = { parent, name: Buffer.from(name), entry: decodeNameEntry(value) };
      const stayed = (bits & placed.before) !== 0 && (bits & placed.after) !== 0;
      if (bits & placed.before && !stayed) was.push(slot);
      if (bits & placed.after && !stayed) is.push(slot);
    }
    return { was, is };
  }

  #nameChanges(file: FileId, transaction: Transaction, was: Slot[], is: Slot[]): Change[] {
    const txid = Number(transaction.txid);
    const changes: Change[] = [];
    const renames = Math.min(was.length, is.length);
    for (let index = 0; index < renames; index++) {
      changes.push({ ...this.#line(file, transaction, 'rename', this.#slotPath(is[index]!, txid)), from: this.#slotPath(was[index]!, txid - 1) });
    }
    for (const slot of is.slice(renames)) {
      const elsewhere = slot.entry.operation === nameOperation.link ? this.#paths.pathOf(txid - 1, file) : undefined;
      const kind = arrivalKind(slot.entry.operation, slot.entry.typeAfter, elsewhere !== undefined, slot.entry.before !== 0n);
      const line = this.#line(file, transaction, kind, this.#slotPath(slot, txid));
      changes.push(kind === 'link' && elsewhere !== undefined ? { ...line, from: elsewhere } : line);
    }
    for (const slot of was.slice(renames)) {
      // Replaced by another file: that file's line tells it.
      if (slot.entry.after !== 0n) continue;
      changes.push(this.#line(file, transaction, departureKind(slot.entry.operation), this.#slotPath(slot, txid - 1)));
    }
    return changes;
  }

  async #contentChange(file: FileId, transaction: Transaction, bits: number): Promise<Change | undefined> {
    const txid = Number(transaction.txid);
    const path = this.#paths.pathOf(txid, file);
    // A file without a name (open, but unlinked) cannot be found in any snapshot.
    if (path === undefined) return undefined;
    const before = this.#resolver.attributesBefore(file, txid);
    const after = await this.#attributes(file, txid);
    const kind = contentKind(before === undefined ? undefined : decodeAttributes(before), after, bits, transaction);
    return kind === undefined ? undefined : this.#line(file, transaction, kind, path);
  }

  async #withSize(change: Change): Promise<Change> {
    if (change.kind === 'delete' || change.kind === 'rmdir' || change.kind === 'mkdir') return change;
    const after = await this.#attributes(change.file, Number(change.txid));
    if (after === undefined || (after.mode & formatMask) === directoryType) return change;
    return (after.mode & formatMask) === regularType ? { ...change, size: after.size } : { ...change, size: 0n };
  }

  async #attributes(file: FileId, txid: number): Promise<Attributes | undefined> {
    try {
      return decodeAttributes(await this.#resolver.attributes(txid, file));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      // Gone while nothing was mounted: the change itself is still worth its line.
      return undefined;
    }
  }

  #slotPath(slot: Slot, snapshot: number): Buffer {
    const directory = this.#paths.pathOf(snapshot, slot.parent) ?? unknownDirectory;
    return joinBytes(directory, slot.name);
  }

  #line(file: FileId, transaction: Transaction, kind: ChangeKind, path: Buffer): Change {
    const { txid, timeNs, uid, pid, command, external } = transaction;
    return { txid, timeNs, kind, path, file, uid, pid, command, external };
  }
}
