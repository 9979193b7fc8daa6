/**
 * Whose a place is that is synced with. In: a directory, a volume and the name of the sync. Out: the place, opened, with what it can keep; or a refusal.
 *
 * Invariants:
 * 1. A place that was bound and shows nothing of it (an empty mountpoint) is not there: nothing is taken for deleted.
 * 2. What the place can keep was tried there.
 */
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadFileCalls } from '../../engine/native.js';
import type { FileCalls } from '../../engine/native.js';
import type { Owner } from '../binding.js';
import { leastAbilities } from '../binding.js';
import { DestinationError, Directories, faultOf, readWhole } from '../destination.js';
import type { Abilities, Destination } from '../destination.js';
import { DirectoryDestination } from '../directory-destination.js';
import { translate } from '../directory-faults.js';
import { manifestName, workPlace } from '../layout.js';
import type { LocalFiles } from '../local-files.js';
import { ownPlace } from './layout.js';
import type { Precision } from './precision.js';
import { stepOf } from './precision.js';

export interface BoundPlace {
  readonly destination: DirectoryDestination;
  readonly precision: Precision;
  readonly ignoresCase: boolean;
}

interface Binding extends Owner {
  readonly format: number;
  readonly abilities: Abilities;
  /** Nanoseconds, decimal. */
  readonly timeStep: string;
  readonly ignoresCase: boolean;
}

const bindingFormat = 1;
const largestBindingBytes = 1 << 16;
/** Odd in every respect, so that rounding shows. */
const triedTimeNs = 1_700_000_001_123_456_789n;

/** Binds a place; one that this sync had before is taken up again. Throws DestinationError. */
export async function bindOther(path: string, owner: Owner, local: LocalFiles): Promise<void> {
  const destination = await DirectoryDestination.open(path);
  const names = new Set((await destination.list('')).map(({ name }) => name));
  if (names.has(workPlace) || names.has(manifestName)) throw new DestinationError('foreign', `${path} holds a backup, which a sync would change; choose another place`);
  const tried = tryPlace(path, await loadFileCalls());
  const binding: Binding = { format: bindingFormat, ...owner, abilities: destination.abilities, timeStep: String(tried.timeNs), ignoresCase: tried.ignoresCase };
  await new Directories(destination).ensure(ownPlace(owner));
  await local.put(destination, bindingOf(owner), [Buffer.from(`${JSON.stringify(binding)}\n`)]);
  await destination.sync();
}

/** Throws DestinationError: gone, when the place shows nothing of it. */
export async function openOther(path: string, owner: Owner): Promise<BoundPlace> {
  const known = await readBinding(await DirectoryDestination.open(path, leastAbilities), owner);
  const { abilities, timeStep, ignoresCase } = known;
  return {
    destination: await DirectoryDestination.open(path, abilities, 'watchful'),
    // Where names can be linked, inodes and their times are real ones.
    precision: { timeNs: BigInt(timeStep), hasChangeTimes: abilities.links }, ignoresCase,
  };
}

/** Throws DestinationError. */
export async function requireBound(destination: Destination, owner: Owner): Promise<void> {
  await readBinding(destination, owner);
}

async function readBinding(destination: Destination, owner: Owner): Promise<Binding> {
  try {
    const binding = JSON.parse((await readWhole(destination, bindingOf(owner), largestBindingBytes)).toString()) as Binding;
    if (binding.format > bindingFormat) throw new DestinationError('foreign', `${destination.shown} was used by a newer tidemark; update this one`);
    if (binding.volume === owner.volume && binding.name === owner.name) return binding;
  } catch (error) {
    if (!(error instanceof SyntaxError) && faultOf(error) !== 'absent') throw error;
    if (error instanceof SyntaxError) throw new DestinationError('damaged', `${bindingOf(owner)} on ${destination.shown} cannot be read; remove this sync and add it anew`);
  }
  throw new DestinationError('gone', `${destination.shown} is empty or something else: the drive may not be plugged in; if it is a new one, remove this sync and add it anew`);
}

function bindingOf(owner: Owner): string {
  return `${ownPlace(owner)}/sync.json`;
}

function tryPlace(root: string, files: FileCalls): { timeNs: bigint; ignoresCase: boolean } {
  const place = join(root, `tidemark-try-${process.pid}`);
  try {
    mkdirSync(place);
    const file = join(place, 'name');
    writeFileSync(file, 'x');
    files.setTimes(Buffer.from(file), triedTimeNs, triedTimeNs);
    return { timeNs: stepOf(triedTimeNs, lstatSync(file, { bigint: true }).mtimeNs), ignoresCase: lstatSync(join(place, 'NAME'), { throwIfNoEntry: false }) !== undefined };
  } catch (error) {
    throw translate(error, root);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
