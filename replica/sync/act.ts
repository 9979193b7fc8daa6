/**
 * Does the steps of a plan. In: steps, both sides. Out: what was written where, what failed.
 *
 * Invariants:
 * 1. Right before anything is changed or removed it is looked whether it is still what the plan was made for; what somebody was quicker with stays, and the next run sees it.
 * 2. A path of which one step failed is not touched by its later ones. A fault of the whole place (full, gone, read-only) ends the run.
 * 3. The event loop turns before each step and each chunk: when the daemon ends, so does this, before another run begins.
 * 4. What comes from the other side is thrown away if it changed while it was read; what comes from here is of one snapshot.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf, messageOf } from '../../engine/errors.js';
import { DestinationError, Directories, faultOf, removeTree } from '../destination.js';
import type { StoredAttributes } from '../destination.js';
import type { Entry } from '../entry.js';
import { failpoint } from '../failpoint.js';
import { joined, parentOf } from '../paths.js';
import type { SnapshotTree } from '../snapshot-tree.js';
import { otherOf } from './decide.js';
import type { Side } from './decide.js';
import type { SyncPlace } from './place.js';
import type { Step } from './steps.js';

export interface ActOptions {
  readonly here: SyncPlace;
  readonly there: SyncPlace;
  readonly tree: SnapshotTree;
  /** What the plan takes for there; of here as of the snapshot. */
  readonly planned: (side: Side, path: string) => Entry | undefined;
  /** At the other side, as stored: where versions are put that are replaced although somebody had changed them. */
  readonly replaced: string;
  readonly onBytes: (count: number) => void;
  readonly onFile: () => void;
}

export interface SideCounts {
  written: number;
  removed: number;
  renamed: number;
}

/** Not a fault: somebody is at work on that file. */
class Meanwhile extends Error {
  readonly code = 'EMEANWHILE';
}

/** One file's faults; others are the place's. */
const ownFaults = new Set(['refused', 'denied', 'absent', 'busy']);
const isGone = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
const mountGone = new Set(['ENOTCONN', 'ECONNABORTED', 'ESHUTDOWN']);

export class Actor {
  readonly counts: Readonly<Record<Side, SideCounts>> = { here: { written: 0, removed: 0, renamed: 0 }, there: { written: 0, removed: 0, renamed: 0 } };
  /** Paths that this changed. */
  readonly changed: Readonly<Record<Side, Set<string>>> = { here: new Set(), there: new Set() };
  /** Of files that were copied. */
  readonly hashes = new Map<string, string>();
  /** Paths of which a step could not be done, with why; undefined: they are being changed at the moment. */
  readonly undone = new Map<string, string | undefined>();
  bytes = 0;
  readonly #options: ActOptions;
  readonly #expected: Readonly<Record<Side, Map<string, Entry | undefined>>> = { here: new Map(), there: new Map() };
  /** Where the snapshot has what was renamed here since. */
  readonly #origins = new Map<string, string>();

  constructor(options: ActOptions) {
    this.#options = options;
  }

  async all(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      const paths = step.what === 'move' ? [step.from, step.to] : step.what === 'aside' ? [step.path, step.to] : step.what === 'copy' ? [step.path, step.source] : [step.path];
      if (paths.some((path) => this.undone.has(path))) {
        for (const path of paths) if (!this.undone.has(path)) this.undone.set(path, undefined);
        continue;
      }
      await turn();
      failpoint();
      try {
        await this.#act(step);
      } catch (error) {
        if (mountGone.has(codeOf(error)) || (error instanceof DestinationError && !ownFaults.has(error.fault))) throw error;
        const isMeanwhile = error instanceof Meanwhile || faultOf(error) === 'absent' || isGone.has(codeOf(error));
        for (const path of paths) this.undone.set(path, isMeanwhile ? undefined : messageOf(error));
      }
    }
    failpoint();
  }

  async #act(step: Step): Promise<void> {
    switch (step.what) {
      case 'move': return this.#rename(step.side, step.from, step.to);
      case 'aside': return this.#rename(step.side, step.path, step.to);
      case 'remove': return this.#remove(step);
      case 'make': return this.#make(step);
      case 'copy': return this.#copy(step);
      case 'set': return this.#set(step);
    }
  }

  async #rename(side: Side, from: string, to: string): Promise<void> {
    const place = this.#options[side];
    this.#requireAsPlanned(side, from);
    this.#requireAsPlanned(side, to);
    const entry = this.#plannedAt(side, from);
    await place.ensureAbove(to);
    const stored = place.stored(from);
    // With the old name the new one may come free, where capitals count for nothing.
    place.forget(from);
    place.forget(to);
    await place.moveNew(stored, place.stored(to));
    if (side === 'here') this.#origins.set(to, this.#origins.get(from) ?? from);
    this.#note(side, from, undefined);
    this.#note(side, to, entry === undefined ? undefined : { ...entry, path: to });
    this.counts[side].renamed++;
  }

  async #remove({ side, path, entry, isKept }: Extract<Step, { what: 'remove' }>): Promise<void> {
    const place = this.#options[side];
    this.#requireAsPlanned(side, path);
    // It may be back by now.
    if (this.#plannedAt(otherOf(side), path) === undefined) this.#requireAsPlanned(otherOf(side), path);
    if (entry.type === 'directory') await this.#removeDirectory(place, path);
    else if (isKept && side === 'there') await this.#putAway(path);
    else await place.destination.remove(place.stored(path));
    place.forget(path);
    this.#note(side, path, undefined);
    if (entry.type !== 'directory') this.counts[side].removed++;
  }

  /** What is not synced may lie in it: then it stays. */
  async #removeDirectory(place: SyncPlace, path: string): Promise<void> {
    try {
      await place.destination.removeDirectory(place.stored(path));
    } catch (error) {
      if (faultOf(error) === 'refused') throw new Meanwhile();
      throw error;
    }
  }

  async #make({ side, path, entry }: Extract<Step, { what: 'make' }>): Promise<void> {
    const place = this.#options[side];
    const now = place.look(path);
    if (now !== undefined && now.entry.type !== 'directory') throw new Meanwhile();
    await place.ensureAbove(path);
    await place.destination.makeDirectory(place.stored(path));
    if (entry !== undefined) await place.destination.setAttributes(place.stored(path), this.#attributes(side, path, entry, undefined));
    this.#note(side, path, entry);
  }

  async #copy(step: Extract<Step, { what: 'copy' }>): Promise<void> {
    const { side, path, entry, isKept } = step;
    const place = this.#options[side];
    this.#requireAsPlanned(side, path);
    await place.ensureAbove(path);
    const temporary = await place.temporaryFor(path);
    const existing = this.#plannedAt(side, path);
    try {
      if (entry.type === 'symlink') await place.destination.symlink(entry.target ?? '', temporary);
      else await this.#send(step, temporary, existing);
      if (side === 'here' && existing?.type === 'file' && entry.type === 'file') place.carryAttributes(path, temporary);
      failpoint();
      this.#requireAsPlanned(side, path);
      if (existing !== undefined && isKept && side === 'there') await this.#putAway(path);
      if (existing === undefined || (isKept && side === 'there')) await place.moveNew(temporary, place.stored(path));
      else await place.destination.rename(temporary, place.stored(path));
    } catch (error) {
      await removeQuietly(place, temporary, error);
      throw error;
    }
    this.#note(side, path, entry);
    this.counts[side].written++;
    this.#options.onFile();
  }

  async #send({ side, path, source, entry }: Extract<Step, { what: 'copy' }>, temporary: string, existing: Entry | undefined): Promise<void> {
    const { there, tree, onBytes } = this.#options;
    const attributes = this.#attributes(side, path, entry, existing);
    const send = (from: Buffer): Promise<string> => this.#options[side].destination.send(temporary, { path: from, size: entry.size, isNew: true, attributes }, { onBytes: (count) => { onBytes(count); return turn(); } });
    let sha256: string;
    if (side === 'there') sha256 = await send(tree.at(this.#origins.get(source) ?? source));
    else {
      // Renamed there in this run it stands under its new name.
      sha256 = await there.held(path, send);
      this.#requireAsPlanned('there', path);
    }
    if (entry.sha256 !== undefined && sha256 !== entry.sha256) throw new Meanwhile();
    this.hashes.set(path, sha256);
    this.bytes += entry.size;
  }

  async #set({ side, path, entry }: Extract<Step, { what: 'set' }>): Promise<void> {
    const place = this.#options[side];
    this.#requireAsPlanned(side, path);
    await place.destination.setAttributes(place.stored(path), this.#attributes(side, path, entry, this.#plannedAt(side, path)));
    this.#note(side, path, entry);
  }

  /** In the volume files keep their owner, and get that of their directory if they are new and the other side knows none. */
  #attributes(side: Side, path: string, entry: Entry, existing: Entry | undefined): StoredAttributes {
    const { mode, mtimeNs } = entry;
    if (side === 'there') return { mode, mtimeNs, uid: entry.uid, gid: entry.gid };
    const owner = existing ?? (this.#options.there.destination.abilities.owners ? entry : this.#ownerAbove(path));
    return { mode: mode & 0o777, mtimeNs, uid: owner.uid, gid: owner.gid };
  }

  #ownerAbove(path: string): { readonly uid: number; readonly gid: number } {
    const { here } = this.#options;
    return here.look(parentOf(path))?.entry ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  }

  /** A version of the other side that gives way. */
  async #putAway(path: string): Promise<void> {
    const { there, replaced } = this.#options;
    const stored = there.stored(path);
    const target = joined(replaced, stored);
    await new Directories(there.destination).ensure(parentOf(target));
    await there.destination.rename(stored, target);
  }

  #plannedAt(side: Side, path: string): Entry | undefined {
    const expected = this.#expected[side];
    return expected.has(path) ? expected.get(path) : this.#options.planned(side, path);
  }

  #note(side: Side, path: string, entry: Entry | undefined): void {
    this.#expected[side].set(path, entry);
    this.changed[side].add(path);
  }

  #requireAsPlanned(side: Side, path: string): void {
    const [planned, now] = [this.#plannedAt(side, path), this.#options[side].look(path)?.entry];
    if (planned === undefined || now === undefined) {
      if (planned !== now) throw new Meanwhile();
      return;
    }
    const isSame = planned.type === now.type && (planned.type !== 'file' || (planned.size === now.size && planned.mtimeNs === now.mtimeNs)) && planned.target === now.target;
    if (!isSame) throw new Meanwhile();
  }
}

async function removeQuietly(place: SyncPlace, temporary: string, because: unknown): Promise<void> {
  try {
    await place.destination.remove(temporary);
  } catch (error) {
    // A place that is gone has it until the next run; what brought us here is told.
    if (!(because instanceof Error)) throw error;
  }
}

/** What is put away is kept so long. */
const keptMs = 30 * 86_400_000;

/** Removes what was put away long ago, at the other side. */
export async function thinReplaced(there: SyncPlace, directory: string, nowMs: number): Promise<void> {
  let names: string[];
  try {
    names = (await there.destination.list(directory)).map(({ name }) => name);
  } catch (error) {
    if (faultOf(error) === 'absent') return;
    throw error;
  }
  for (const name of names) {
    const timeMs = Date.parse(name.replace(/^(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)Z$/, '$1:$2:$3Z'));
    if (timeMs < nowMs - keptMs) await removeTree(there.destination, joined(directory, name));
  }
}
