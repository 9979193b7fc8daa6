/**
 * Finds the paths that are not as they were, on one side or both, with as much of their content as a decision needs. In: what was known, what history says of here, the walk of there. Out: versions for plan.ts.
 *
 * Invariants:
 * 1. Content is compared by its hash, and a file is read for it only when something of the same size could be the same.
 * 2. What the other side cannot hold, and what is left out, is in no version: it is never taken for deleted.
 */
import type { Abilities } from '../destination.js';
import { examine } from '../examine.js';
import type { Change, Examined } from '../examine.js';
import type { Entry } from '../entry.js';
import type { LineFile } from '../line-file.js';
import type { SnapshotTree } from '../snapshot-tree.js';
import type { Side, Versions } from './decide.js';
import { recall } from './intents.js';
import type { Intent } from './intents.js';
import type { Known } from './known.js';
import { isLeftOver, isOurs } from './layout.js';
import type { Seen } from './place.js';
import type { Rename } from './plan.js';
import { isSameTime, isUntouched } from './precision.js';
import type { Precision } from './precision.js';
import { canBeStored } from './steps.js';

export interface Surroundings {
  readonly name: string;
  readonly tree: SnapshotTree;
  readonly state: LineFile<unknown> | undefined;
  readonly known: ReadonlyMap<string, Known>;
  readonly changes: readonly Change[] | undefined;
  readonly again: ReadonlySet<string>;
  readonly seen: ReadonlyMap<string, Seen>;
  readonly precision: Precision;
  readonly abilities: Abilities;
  readonly intents: readonly Intent[];
  readonly isLeftOut: (path: string, isDirectory: boolean) => boolean;
  readonly hash: (side: Side, path: string) => string;
}

export interface Looked {
  readonly versions: ReadonlyMap<string, Versions>;
  readonly renames: readonly Rename[];
  /** Files that an earlier run was making in the volume. */
  readonly leftOvers: readonly string[];
  /** Paths here that the other side cannot hold. */
  readonly unstorable: readonly string[];
}

export class Look {
  readonly #around: Surroundings;
  readonly #here: ReadonlyMap<string, Examined>;
  readonly #entries = { here: new Map<string, Entry | undefined>(), there: new Map<string, Entry | undefined>() };

  constructor(around: Surroundings) {
    this.#around = around;
    const { tree, state, changes, again } = around;
    this.#here = new Map(examine({ tree, base: state, changes, again }).map((one) => [one.path, one]));
  }

  all(): Looked {
    const { name, intents, known, precision } = this.#around;
    const [leftOvers, unstorable]: string[][] = [[], []];
    const renames = [...this.#renamesHere(), ...this.#renamesThere()];
    const bases = recall(intents, {
      base: (path) => known.get(path)?.entry, now: (side, path, size) => this.#hashed(side, path, size),
      isSameTime: (side, one, other) => isSameTime(one, other, side === 'here' ? 1n : precision.timeNs),
    });
    const versions = new Map<string, Versions>();
    for (const path of new Set([...this.#candidates(), ...bases.keys()])) {
      const here = this.entry('here', path);
      if (here !== undefined && isLeftOver(path, name)) leftOvers!.push(path);
      if (isOurs(path) || this.#isLeftOut(path)) continue;
      if (here !== undefined && !canBeStored(here, this.#around.abilities)) unstorable!.push(path);
      else versions.set(path, this.#versions(path, bases.has(path) ? bases.get(path) : known.get(path)?.entry));
    }
    return { versions, renames, leftOvers: leftOvers!, unstorable: unstorable! };
  }

  /** As it is on a side now; with its hash where that is known. */
  entry(side: Side, path: string): Entry | undefined {
    const entries = this.#entries[side];
    if (!entries.has(path)) entries.set(path, side === 'here' ? this.#entryHere(path) : this.#entryThere(path));
    return entries.get(path);
  }

  #entryHere(path: string): Entry | undefined {
    const known = this.#around.known.get(path)?.entry;
    const found = this.#here.get(path);
    if (found === undefined) return known;
    const { after, isWritten, movedFrom } = found;
    const sha256 = movedFrom?.sha256 ?? (isWritten ? undefined : known?.sha256);
    return after?.type === 'file' && sha256 !== undefined ? { ...after, sha256 } : after;
  }

  #entryThere(path: string): Entry | undefined {
    const { seen, known: all, abilities, precision } = this.#around;
    const [now, known] = [seen.get(path), all.get(path)];
    if (now === undefined || !canBeStored(now.entry, { symlinks: true })) return undefined;
    const entry = abilities.modes ? now.entry : { ...now.entry, mode: known?.entry.mode ?? (now.entry.type === 'directory' ? 0o755 : 0o644) };
    const isKnown = known?.entry.type === 'file' && entry.type === 'file' && isUntouched(known.there, now.mark, precision);
    return isKnown && known.entry.sha256 !== undefined ? { ...entry, sha256: known.entry.sha256 } : entry;
  }

  * #candidates(): Generator<string> {
    yield* this.#here.keys();
    const { seen, known } = this.#around;
    for (const [path, now] of seen) if (!this.#isAsBefore(known.get(path), now)) yield path;
    for (const path of known.keys()) if (!seen.has(path)) yield path;
  }

  #isAsBefore(known: Known | undefined, { entry, mark }: Seen): boolean {
    if (known === undefined || known.entry.type !== entry.type) return false;
    if (this.#around.abilities.modes && known.there.mode !== mark.mode) return false;
    if (entry.type === 'symlink') return known.entry.target === entry.target;
    return entry.type === 'directory' || isUntouched(known.there, mark, this.#around.precision);
  }

  #versions(path: string, base: Entry | undefined): Versions {
    const { size: baseSize } = base?.type === 'file' ? base : { size: undefined };
    const [one, other] = [this.entry('here', path), this.entry('there', path)];
    const isLike = (size: number | undefined): boolean => size !== undefined && (size === baseSize || (one?.type === 'file' && other?.type === 'file' && one.size === other.size));
    return {
      base,
      here: isLike(one?.type === 'file' ? one.size : undefined) ? this.#hashed('here', path, one!.size) : one,
      there: isLike(other?.type === 'file' ? other.size : undefined) ? this.#hashed('there', path, other!.size) : other,
    };
  }

  /** With its hash, if it is a file of this size. */
  #hashed(side: Side, path: string, size: number): Entry | undefined {
    const entry = this.entry(side, path);
    if (entry?.type !== 'file' || entry.size !== size || entry.sha256 !== undefined) return entry;
    const hashed = { ...entry, sha256: this.#around.hash(side, path) };
    this.#entries[side].set(path, hashed);
    return hashed;
  }

  #isLeftOut(path: string): boolean {
    const { known, isLeftOut } = this.#around;
    const type = (this.entry('here', path) ?? this.entry('there', path) ?? known.get(path)?.entry)?.type;
    return isLeftOut(path, type === 'directory');
  }

  /** History tells of those; but what an earlier sync brought here after its snapshot is new to it. */
  * #renamesHere(): Generator<Rename> {
    const [gone, come]: [Candidate[], Candidate[]] = [[], []];
    const explained = new Set<string>();
    for (const { path, before, after, movedFrom } of this.#here.values()) {
      const known = this.#around.known.get(path)?.entry;
      if (movedFrom !== undefined && movedFrom.path !== path) {
        explained.add(movedFrom.path);
        yield { side: 'here', from: movedFrom.path, to: path };
      } else if (after === undefined && known?.type === 'file') gone.push({ path, size: known.size, mtimeNs: known.mtimeNs });
      else if (after?.type === 'file' && before === undefined) come.push({ path, size: after.size, mtimeNs: after.mtimeNs });
    }
    yield* this.#matched('here', gone.filter(({ path }) => !explained.has(path)), come, 1n);
  }

  #renamesThere(): Generator<Rename> {
    const { seen, known, precision } = this.#around;
    const gone = [...known].flatMap(([path, { entry, there }]): Candidate[] => (entry.type === 'file' && !seen.has(path) ? [{ path, ...there }] : []));
    const come = gone.length === 0 ? [] : [...seen].flatMap(([path, { entry, mark }]): Candidate[] => (entry.type === 'file' && !known.has(path) ? [{ path, ...mark }] : []));
    return this.#matched('there', gone, come, precision.timeNs);
  }

  /** A file that came with the bytes of one that went: size, time and inode say where to look, the hash says whether. */
  * #matched(side: Side, gone: readonly Candidate[], come: readonly Candidate[], timeNs: bigint): Generator<Rename> {
    const clue = ({ size, inode }: Candidate): string => (side === 'there' && this.#around.precision.hasChangeTimes ? `${size} ${inode}` : String(size));
    const bySize = new Map<string, Candidate[]>();
    for (const one of gone) if (one.size > 0) bySize.set(clue(one), [...bySize.get(clue(one)) ?? [], one]);
    for (const one of come) {
      const found = bySize.get(clue(one))?.find(({ mtimeNs }) => isSameTime(mtimeNs, one.mtimeNs, timeNs));
      if (found === undefined || this.#hashed(side, one.path, one.size)?.sha256 !== this.#around.known.get(found.path)!.entry.sha256) continue;
      bySize.set(clue(one), bySize.get(clue(one))!.filter((each) => each !== found));
      yield { side, from: found.path, to: one.path };
    }
  }
}

/** A path that is gone, or new. */
interface Candidate {
  readonly path: string;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly inode?: string | undefined;
}
