/**
 * One run of a two-way sync. In: the volume as of a snapshot and as it is, the other side, the state of the last run, what history says has changed since. Out: both sides the same but for conflicts that are left to somebody; a new state.
 *
 * 1. The other side is walked, here history says where to look (look.ts). What an interrupted run did is taken into account (intents.ts).
 * 2. A plan is made (plan.ts), and refused if it would remove more than half of a side.
 * 3. What is going to be done is written down, then done (act.ts).
 * 4. Both sides are on the disk; then the new state is kept, and the intents go.
 *
 * Invariants:
 * 1. The state never says of a path that both sides were the same before that is on the disk of both.
 * 2. Cut off anywhere, the next run finds what was done as nobody's change.
 * 3. A run that has nothing to do writes nothing at either side.
 */
import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { loadFileCalls } from '../../engine/native.js';
import { formatMoment } from '../../engine/moments.js';
import type { Owner } from '../binding.js';
import { DestinationError, faultOf, removeTree } from '../destination.js';
import type { Destination } from '../destination.js';
import { DirectoryDestination } from '../directory-destination.js';
import type { Entry } from '../entry.js';
import type { Change } from '../examine.js';
import { failpoint } from '../failpoint.js';
import type { LineFile } from '../line-file.js';
import type { LocalFiles } from '../local-files.js';
import { joined, parentOf, shown } from '../paths.js';
import { Progress } from '../progress.js';
import type { Report } from '../progress.js';
import { SnapshotTree, compileFilter } from '../snapshot-tree.js';
import type { Filter } from '../snapshot-tree.js';
import { Actor, thinReplaced } from './act.js';
import type { SideCounts } from './act.js';
import { openOther, requireBound } from './bind.js';
import type { BoundPlace } from './bind.js';
import { conflictPath, takenPaths } from './conflict-name.js';
import type { Choice, ConflictKind, Policy } from './decide.js';
import { attributesFrom, knownAfter } from './outcome.js';
import type { Intent } from './intents.js';
import type { Known, StateHeader } from './known.js';
import { ownPlace } from './layout.js';
import { Look } from './look.js';
import { SyncPlace, hashOfFile } from './place.js';
import type { Seen } from './place.js';
import { plan } from './plan.js';
import type { Conflict, Plan } from './plan.js';
import { scan } from './scan.js';
import { removedFrom, stepsOf } from './steps.js';
import type { Step, Steps } from './steps.js';
import { keepIntents, keepState, readIntents, readState } from './state.js';
import { StoredNames } from './stored-names.js';

export interface SyncOptions {
  /** Of the other side. */
  readonly path: string;
  readonly owner: Owner;
  readonly local: LocalFiles;
  /** Where the volume can be written, and a path on the disk that it lies on. */
  readonly live: string;
  readonly disk: string;
  /** The snapshot: where it can be read, its number, its time. */
  readonly root: Buffer;
  readonly txid: string;
  readonly timeNs: bigint;
  /** The snapshot that the last run knew; undefined: none. */
  readonly since: string | undefined;
  readonly changesSince: (txid: string) => Promise<readonly Change[] | undefined>;
  readonly filter: Filter;
  readonly policy: Policy;
  readonly choices: ReadonlyMap<string, Choice>;
  /** More than half of a side may go. */
  readonly isForced: boolean;
  readonly again: readonly string[];
  readonly onReport: (report: Report) => void;
}

export interface ConflictFound {
  readonly path: string;
  readonly kind: ConflictKind;
  /** mtime and size of each version that there is. */
  readonly here?: { readonly size: number; readonly mtimeNs: string };
  readonly there?: { readonly size: number; readonly mtimeNs: string };
}

export interface SyncResult {
  readonly txid: string;
  /** On both sides, as far as they are the same. */
  readonly files: number;
  readonly bytes: number;
  /** Of this run. */
  readonly sentFiles: number;
  readonly sentBytes: number;
  readonly here: SideCounts;
  readonly there: SideCounts;
  /** Left to somebody. */
  readonly conflicts: readonly ConflictFound[];
  /** Files that have another name now because both were changed. */
  readonly aside: readonly string[];
  readonly failures: readonly { readonly path: string; readonly reason: string }[];
  /** Paths that the next run is to look at whatever history says. */
  readonly again: readonly string[];
  readonly notes: readonly string[];
}

const allHere = { links: true, symlinks: true, modes: true, owners: process.getuid?.() === 0, times: 'nanoseconds', names: 'bytes' } as const;

/** Throws DestinationError, or what reading the snapshot throws. */
export async function runSync(options: SyncOptions): Promise<SyncResult> {
  const progress = new Progress(options.onReport);
  progress.phase('connecting');
  try {
    return await new Run(options, progress, await openOther(options.path, options.owner)).perform();
  } catch (error) {
    // What should be there and is not: perhaps all of it is gone.
    if (faultOf(error) === 'absent') await openOther(options.path, options.owner);
    throw faultOf(error) === 'full' ? new DestinationError('full', `there is no space left at ${error instanceof Error ? / on (\S+?);/.exec(error.message)?.[1] ?? options.path : ''}; make room there, the next run goes on where this one was`) : error;
  } finally {
    progress.end();
  }
}

class Run {
  readonly #options: SyncOptions;
  readonly #progress: Progress;
  readonly #bound: BoundPlace;
  readonly #names: StoredNames;
  readonly #tree: SnapshotTree;
  readonly #staged: string;

  constructor(options: SyncOptions, progress: Progress, bound: BoundPlace) {
    this.#options = options;
    this.#progress = progress;
    this.#bound = bound;
    this.#names = new StoredNames(bound.destination.abilities.names, bound.ignoresCase);
    this.#tree = new SnapshotTree(options.root, options.filter);
    this.#staged = joined(ownPlace(options.owner), 'staged');
  }

  async perform(): Promise<SyncResult> {
    const options = this.#options;
    const { destination, precision } = this.#bound;
    await this.#clearStaged(destination);
    this.#progress.phase('comparing');
    const { state, known, notes } = readState(options.local);
    const [here, there] = await this.#places();
    const seenNs = BigInt(Date.now()) * 1_000_000n;
    const { seen, doubles } = scan(options.path, this.#names, compileFilter(options.filter));
    const intents = readIntents(options.local);
    const look = await this.#look(state, known, seen, intents, there);
    const looked = look.all();
    const planned = plan({ versions: looked.versions, renames: looked.renames, policy: options.policy, choices: options.choices, unchanged: (path) => known.get(path)?.entry });
    const steps = this.#steps(planned, known, seen);
    if (!options.isForced) guard(steps.steps, known, destination.shown);
    // Until now nothing was written; the daemon may have ended meanwhile.
    await turn();
    keepIntents(options.local, [...intents, ...steps.intents]);
    const actor = await this.#act(steps.steps, look, here, there);
    for (const path of looked.leftOvers) await here.destination.remove(path);
    await this.#settle(actor, here, there);
    const after = knownAfter({ planned, steps: steps.steps, actor, seen, seenNs, here, there, precision, txid: options.txid });
    if (state === undefined || after.size > 0) keepState(options, state, after);
    failpoint();
    keepIntents(options.local, steps.intents.filter((intent) => actor.undone.has(intent.what === 'move' ? intent.to : intent.path)));
    await thinReplaced(there, joined(ownPlace(options.owner), 'replaced'), Date.now());
    for (const [path, one] of after) if (one === undefined) known.delete(path); else known.set(path, one);
    const lefts = [...planned.verdicts].filter(([, { verdict }]) => verdict.what === 'leave').map(([path]) => path);
    return {
      ...totals(known), txid: options.txid, sentFiles: actor.counts.here.written + actor.counts.there.written, sentBytes: actor.bytes, here: actor.counts.here, there: actor.counts.there,
      conflicts: planned.conflicts.map(conflictFound), aside: steps.steps.flatMap((step) => (step.what === 'aside' && !actor.undone.has(step.to) ? [step.to] : [])),
      failures: [...actor.undone].flatMap(([path, reason]) => (reason === undefined ? [] : [{ path, reason }])),
      again: [...new Set([...planned.conflicts.map(({ path }) => path), ...lefts, ...actor.undone.keys(), ...looked.unstorable])],
      notes: [...notes, ...doubles.map((name) => `${shown(name)} at the other side means the same as another name there and was left out; rename one of them`), ...looked.unstorable.map((path) => `${shown(path)} cannot be stored at the other side and was left out`)],
    };
  }

  async #look(state: LineFile<StateHeader> | undefined, known: ReadonlyMap<string, Known>, seen: ReadonlyMap<string, Seen>, intents: readonly Intent[], there: SyncPlace): Promise<Look> {
    const { owner, again, since, changesSince, filter } = this.#options;
    const hides = compileFilter(filter);
    const from = state === undefined ? '0' : younger(state.header.txid, since);
    const own = [...known].flatMap(([path, { writtenAfter }]) => (writtenAfter !== undefined && BigInt(writtenAfter) >= BigInt(from) ? [path] : []));
    return new Look({
      name: owner.name, tree: this.#tree, state, known, seen, intents, again: new Set([...again, ...own]), precision: this.#bound.precision, abilities: this.#bound.destination.abilities,
      changes: state === undefined ? undefined : await changesSince(from),
      isLeftOut: (path, isDirectory) => hides(path, isDirectory) || aboveOf(path).some((above) => hides(above, true)),
      hash: (side, path) => (side === 'there' ? there.hash(path) : hashOfFile(this.#tree.at(path))),
    });
  }

  async #places(): Promise<[SyncPlace, SyncPlace]> {
    const { live, path, owner: { name } } = this.#options;
    const files = await loadFileCalls();
    const common = { files, name };
    return [
      new SyncPlace({ ...common, side: 'here', root: live, destination: await DirectoryDestination.open(live, allHere, 'watchful'), names: undefined, staged: undefined }),
      new SyncPlace({ ...common, side: 'there', root: path, destination: this.#bound.destination, names: this.#names, staged: this.#staged }),
    ];
  }

  #steps(planned: Plan, known: ReadonlyMap<string, Known>, seen: ReadonlyMap<string, Seen>): Steps {
    const taken = takenPaths(known.keys(), seen.keys(), planned.verdicts.keys());
    const { abilities } = this.#bound.destination;
    const origins = new Map(planned.moves.map(({ from, to }) => [to, from]));
    return stepsOf(planned, (path, side) => {
      const aside = conflictPath(path, side === 'there' ? this.#options.owner.name : hostname(), Date.now(), (candidate) => taken.has(candidate));
      taken.add(aside);
      return aside;
    }, (versions, path) => {
      const origin = origins.get(path) ?? path;
      return attributesFrom(versions, known.get(origin), (seen.get(path) ?? seen.get(origin))?.mark, abilities, this.#bound.precision);
    });
  }

  async #act(steps: readonly Step[], look: Look, here: SyncPlace, there: SyncPlace): Promise<Actor> {
    const copies = steps.filter((step) => step.what === 'copy');
    this.#progress.phase('sending', copies.length, copies.reduce((sum, { entry }) => sum + entry.size, 0));
    const actor = new Actor({
      here, there, tree: this.#tree, planned: (side, path) => look.entry(side, path), replaced: joined(ownPlace(this.#options.owner), `replaced/${formatMoment(BigInt(Date.now()) * 1_000_000n, 'second')}`),
      onBytes: (count) => { this.#progress.add(0, count); }, onFile: () => { this.#progress.add(1, 0); },
    });
    await actor.all(steps);
    return actor;
  }

  /** What was done is on the disk, and the drive is still the one that it was. */
  async #settle({ changed }: Actor, here: SyncPlace, there: SyncPlace): Promise<void> {
    this.#progress.phase('switching');
    if (changed.there.size > 0) {
      await this.#clearStaged(there.destination);
      await there.destination.sync();
    }
    if (changed.here.size > 0) {
      await here.destination.sync();
      syncDisk(this.#options.disk);
    }
    await requireBound(there.destination, this.#options.owner);
  }

  async #clearStaged(destination: Destination): Promise<void> {
    const items = await destination.list(ownPlace(this.#options.owner));
    if (items.some(({ name }) => joined(ownPlace(this.#options.owner), name) === this.#staged)) await removeTree(destination, this.#staged);
  }
}

/** Throws refused when more than half of a side would go. */
function guard(steps: readonly Step[], known: ReadonlyMap<string, Known>, place: string): void {
  const { files } = totals(known);
  for (const [side, where, why] of [['here', 'the volume', `${place} lacks them`], ['there', place, 'the volume lacks them']] as const) {
    const count = removedFrom(side, steps);
    if (count * 2 > files) throw new DestinationError('refused', `nothing was done: this would remove ${count} of ${files} files from ${where}, for ${why}; if that is meant, run it once with --force`);
  }
}

function totals(known: ReadonlyMap<string, Known>): { files: number; bytes: number } {
  let [files, bytes] = [0, 0];
  for (const { entry } of known.values()) {
    if (entry.type !== 'directory') files++;
    bytes += entry.size;
  }
  return { files, bytes };
}

function conflictFound({ path, kind, versions: { here, there } }: Conflict): ConflictFound {
  const told = ({ size, mtimeNs }: Entry): { size: number; mtimeNs: string } => ({ size, mtimeNs: String(mtimeNs) });
  return { path, kind, ...(here === undefined ? {} : { here: told(here) }), ...(there === undefined ? {} : { there: told(there) }) };
}

/** Of two numbers of transactions; a run that had nothing to write knew more than the state. */
function younger(one: string, other: string | undefined): string {
  return other !== undefined && BigInt(other) > BigInt(one) ? other : one;
}

function aboveOf(path: string): string[] {
  const above: string[] = [];
  for (let at = parentOf(path); at !== ''; at = parentOf(at)) above.push(at);
  return above;
}

function syncDisk(path: string): void {
  const { status, stderr } = spawnSync('sync', ['-f', path], { encoding: 'utf8' });
  if (status !== 0) throw new DestinationError('gone', `the disk of the volume cannot be written to the end: ${stderr.trim().split('\n', 1)[0] ?? ''}; check the disk`);
}
