/**
 * The switch: what was staged takes its place, and what it replaces moves to PreviousBackup. In: a plan of moves. Out: a destination whose LastBackup is the new tree, with its manifest.
 *
 * The plan is written to the destination before the first move, and removed when the new manifest stands. Whoever finds it there goes through it again from the beginning.
 *
 * Invariants:
 * 1. Everything that LastBackup is to be has arrived, and the new manifest lies beside it, before the first move.
 * 2. Each step can be repeated: what is in its new place already is left alone.
 * 3. What the old manifest names is at every moment in LastBackup or in the PreviousBackup of this switch, whole.
 */
import { DestinationError, Directories, faultOf, readWhole, removeTree, replaceFile } from './destination.js';
import type { Destination, StoredAttributes } from './destination.js';
import { failpoint } from './failpoint.js';
import { lastBackup, manifestName, nextManifest, previousBackup, stagedPlace, switchName } from './layout.js';
import { joined, parentOf } from './paths.js';

export interface Step {
  /** keep: from LastBackup to PreviousBackup. put: from staged to LastBackup. set: attributes in LastBackup. */
  readonly what: 'keep' | 'put' | 'set';
  /** As stored. */
  readonly path: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Nanoseconds, decimal. */
  readonly mtime?: string;
}

export interface SwitchPlan {
  readonly format: 1;
  /** The snapshot that it leads to. */
  readonly txid: string;
  /** Where in PreviousBackup things go; "" for a first run. */
  readonly previous: string;
  readonly steps: readonly Step[];
}

const largestPlanBytes = 1 << 30;

/** The plan of a switch that did not come to its end. */
export async function unfinishedSwitch(destination: Destination): Promise<SwitchPlan | undefined> {
  let text: string;
  try {
    text = (await readWhole(destination, switchName, largestPlanBytes)).toString('latin1');
  } catch (error) {
    if (faultOf(error) === 'absent') return undefined;
    throw error;
  }
  try {
    const plan = JSON.parse(text) as SwitchPlan;
    if (plan.format === 1 && Array.isArray(plan.steps)) return plan;
  } catch {
    // Said below.
  }
  throw new DestinationError('damaged', `${switchName} on ${destination.shown} cannot be read: a switch was cut off there; remove that file, and the next run compares everything`);
}

export interface SwitchReport {
  /** Paths that were to be kept, and were not there. */
  readonly missing: readonly string[];
}

/** Goes through a plan, from the beginning, whether or not it was begun before. */
export async function performSwitch(destination: Destination, plan: SwitchPlan, isRepeated: boolean): Promise<SwitchReport> {
  const missing: string[] = [];
  if (!isRepeated || (await destination.size(nextManifest)) !== undefined) {
    await new Switch(destination, plan, isRepeated, missing).perform();
    // Where the order of renames is not kept (FAT).
    if (!destination.abilities.links) await destination.sync();
    // Where a file has to go before another one can take its name, the plan still tells that a new one is ready.
    failpoint();
    await replaceFile(destination, nextManifest, manifestName);
    failpoint();
  }
  await destination.sync();
  await destination.remove(switchName);
  failpoint();
  await removeTree(destination, stagedPlace);
  return { missing };
}


class Switch {
  readonly #destination: Destination;
  readonly #plan: SwitchPlan;
  readonly #isRepeated: boolean;
  readonly #missing: string[];
  readonly #directories: Directories;
  /** Names in directories, where it matters what is there already. */
  readonly #listed = new Map<string, Set<string>>();

  constructor(destination: Destination, plan: SwitchPlan, isRepeated: boolean, missing: string[]) {
    this.#destination = destination;
    this.#plan = plan;
    this.#isRepeated = isRepeated;
    this.#missing = missing;
    this.#directories = new Directories(destination);
  }

  async perform(): Promise<void> {
    for (const step of this.#plan.steps) {
      failpoint();
      if (step.what === 'keep') await this.#keep(step.path);
      else if (step.what === 'put') await this.#put(step.path);
      else await this.#set(step);
    }
  }

  async #keep(path: string): Promise<void> {
    const target = joined(joined(previousBackup, this.#plan.previous), path);
    if (this.#isRepeated && await this.#exists(target)) return;
    await this.#directories.ensure(parentOf(target));
    try {
      await this.#destination.rename(joined(lastBackup, path), target);
    } catch (error) {
      if (faultOf(error) !== 'absent') throw error;
      this.#missing.push(path);
    }
  }

  async #put(path: string): Promise<void> {
    const [source, target] = [joined(stagedPlace, path), joined(lastBackup, path)];
    if (this.#isRepeated && !(await this.#exists(source))) {
      if (await this.#exists(target)) return;
      throw new DestinationError('damaged', `${path} had arrived on ${this.#destination.shown} and is gone; the next run sends it again`);
    }
    await this.#directories.ensure(parentOf(target));
    await replaceFile(this.#destination, source, target);
  }

  async #set({ path, mode, uid, gid, mtime }: Step): Promise<void> {
    const attributes: StoredAttributes = { mode: mode ?? 0, uid: uid ?? 0, gid: gid ?? 0, mtimeNs: BigInt(mtime ?? 0) };
    try {
      await this.#destination.setAttributes(joined(lastBackup, path), attributes);
    } catch (error) {
      if (faultOf(error) !== 'absent') throw error;
      this.#missing.push(path);
    }
  }

  /** Each directory is listed once: nothing but this switch changes it meanwhile, and no step asks for what another one moved. */
  async #exists(path: string): Promise<boolean> {
    const parent = parentOf(path);
    let names = this.#listed.get(parent);
    if (names === undefined) {
      names = new Set();
      try {
        for (const { name } of await this.#destination.list(parent)) names.add(name);
      } catch (error) {
        if (faultOf(error) !== 'absent') throw error;
      }
      this.#listed.set(parent, names);
    }
    return names.has(path.slice(parent === '' ? 0 : parent.length + 1));
  }
}
