/**
 * Gives up what the volume's policy no longer keeps. In: the policy (of volume.json), what is held besides. Out: fewer moments, and their space.
 *
 * First the log is told what is kept, and that is on the disk; then the moments go from the index, then the entries and objects that only they needed.
 *
 * Invariants:
 * 1. One pruning at a time.
 * 2. Nothing goes before the log has told so: an index made again gives up the same.
 */
import type { DiskUsage } from './disk-usage.js';
import { VolumeError, codeOf, messageOf } from './errors.js';
import { floorBytes, planFloors } from './floor-plan.js';
import type { FloorGroup, FloorPlan } from './floor-plan.js';
import { setFloors } from './floor-setting.js';
import type { IndexService } from './index-service.js';
import { txid as toTxid } from './ids.js';
import { Kept } from './kept.js';
import { encodeKept } from './log-bodies.js';
import type { NativeAddon, NativeVolume } from './native.js';
import { timesToGive } from './oldest-history.js';
import { packRanges } from './packing.js';
import type { Range } from './packing.js';
import type { Paths } from './paths.js';
import { matchesAnything } from './pattern-search.js';
import type { Pins } from './pins.js';
import { readPolicy } from './policy.js';
import type { Policy, PolicyText } from './policy.js';
import { planInThread } from './planning.js';
import { bytesFreed, withHeld } from './pruning-plan.js';
import type { PruningPlan } from './pruning-plan.js';
import { deadStretchBytes } from './pruner.js';
import { cutLadder } from './retention.js';
import type { StoreFiles } from './store-files.js';
import { keepPolicyText, readPolicyText } from './store-policy.js';
import type { Transactions } from './transactions.js';

export interface ReclaimOptions {
  readonly files: StoreFiles;
  readonly native: NativeVolume;
  readonly addon: NativeAddon;
  readonly service: IndexService;
  readonly transactions: Transactions;
  readonly pins: Pins;
  readonly paths: Paths;
  readonly usage: DiskUsage;
  /** Told in a line what could not be given back. */
  readonly say: (line: string) => void;
  /** Snapshots that others than users of the mount need. */
  readonly held: () => Iterable<number>;
}

/** Asked for snapshots that somebody is looking at. */
export type InUse = () => ReadonlySet<number>;

export interface PruningResult {
  readonly plan: PruningPlan;
  /** Of the log. Beforehand, what only the moments that go need; afterwards, what came free. */
  readonly bytes: number;
}

export interface PruningOutcome extends PruningResult {
  /** What the rules for some files give up besides. */
  readonly floors: FloorPlan;
  /** History takes more of the disk than the policy allows: beforehand, as it stands; afterwards, still. */
  readonly takesTooMuch: boolean;
}

/** What of the time that history reaches back is left when the disk asks for more. */
const cutPart = 7 / 8;
/** How often floors are planned anew because somebody began to look at a moment meanwhile. */
const floorTries = 10;

export class Reclaim {
  readonly #options: ReclaimOptions;
  #isRunning = false;
  /** Positions of the log that have lost their need, in segments that could not be packed yet. */
  #left: readonly Range[] = [];
  #hasSwept = false;
  /** What is being given up just now. */
  #going: { readonly kept: Kept; readonly horizon: number } | undefined;

  constructor(options: ReclaimOptions) {
    this.#options = options;
    try {
      this.policyText();
    } catch (error) {
      options.say(messageOf(error));
    }
  }

  /** true for a moment that is being given up: the index may still have it. */
  isGoing(txid: number): boolean {
    return this.#going !== undefined && txid <= this.#going.horizon && !this.#going.kept.has(txid);
  }

  /** Throws VolumeError EFORMAT when it cannot be read. */
  policyText(): PolicyText {
    return readPolicyText(this.#options.files.root);
  }

  /** Undefined: the defaults. Throws VolumeError EINVAL for a policy that makes no sense. */
  setPolicy(text: PolicyText | undefined): void {
    try {
      keepPolicyText(this.#options.files.root, text);
    } catch (error) {
      if (codeOf(error) !== 'ENOSPC') throw error;
      this.#options.native.giveReserve();
      keepPolicyText(this.#options.files.root, text);
    }
  }

  /** true when a pattern speaks of a file that is there, or was. */
  async knowsPattern(glob: string): Promise<boolean> {
    const { service, files, paths } = this.#options;
    await service.caughtUp();
    return matchesAnything(glob, files.root, service.store, paths);
  }

  /** What would go now. `inUse`: snapshots that somebody is looking at. */
  async preview(inUse: ReadonlySet<number>, nowMs: number): Promise<PruningOutcome> {
    const policy = readPolicy(this.policyText());
    const plan = await this.#plan(policy, inUse, nowMs);
    const index = this.#options.service.store;
    const kept = new Kept(plan.gone === 0 ? Float64Array.of(0) : plan.kept);
    const floors = await this.#planFloors(policy, inUse, nowMs);
    const bytes = (plan.gone === 0 ? 0 : await bytesFreed(index, kept)) + await floorBytes(index, floors, kept);
    return { plan, bytes, floors, takesTooMuch: await this.#takesTooMuch(policy) };
  }

  /**
   * Gives it up, and more of what is oldest as long as history takes more of the disk than it may; resolves when that has gone. Throws VolumeError EBUSY while
   * another pruning runs.
   */
  async prune(inUse: InUse, nowMs: number): Promise<PruningOutcome> {
    return this.#alone(async () => {
      const policy = readPolicy(this.policyText());
      let result = await this.#pruneBy(policy, inUse, nowMs);
      const { floors, bytes } = await this.#floorsBy(policy, inUse, nowMs);
      result = { ...result, bytes: result.bytes + bytes };
      let takesTooMuch = await this.#takesTooMuch(policy);
      for (let mostMs = nowMs - result.plan.oldestMs; takesTooMuch && mostMs > policy.atLeastMs;) {
        mostMs = Math.max(mostMs * cutPart, policy.atLeastMs);
        result = sum(result, await this.#pruneBy({ ...policy, ladder: cutLadder(policy.ladder, mostMs) }, inUse, nowMs));
        takesTooMuch = await this.#takesTooMuch(policy);
      }
      return { ...result, floors, takesTooMuch };
    });
  }

  /**
   * Gives up what is oldest, for about so many bytes of the log, whether or not the ladder keeps it; undefined when all that is left is younger than the policy's minimum,
   * pinned or in use. Throws VolumeError EBUSY while another pruning runs, ENOSPC when there is not even room to begin.
   */
  async giveUpOldest(inUse: InUse, nowMs: number, wantedBytes: number): Promise<PruningResult | undefined> {
    return this.#alone(async () => {
      const policy = readPolicy(this.policyText());
      await this.#options.service.caughtUp();
      for (const timeMs of [...timesToGive(this.#options.files, this.#options.transactions, wantedBytes), Infinity]) {
        const mostMs = Math.max(nowMs - timeMs, policy.atLeastMs);
        const result = await this.#pruneBy({ ...policy, ladder: cutLadder(policy.ladder, mostMs) }, inUse, nowMs);
        if (result.plan.gone > 0) return result;
        if (mostMs === policy.atLeastMs) break;
      }
      // The newest segments have become older since; and nobody knows what an earlier process left.
      let bytes = await this.#pack([]);
      if (bytes === 0 && !this.#hasSwept) {
        this.#hasSwept = true;
        bytes = await this.#pack([[0, Number(this.#options.native.packableBelow())]]);
      }
      return bytes === 0 ? undefined : { bytes, plan: { judged: 0, gone: 0, kept: new Float64Array(0), oldestMs: Number(this.#options.transactions.oldestNs() / 1_000_000n) } };
    });
  }

  /** Gives up all moments up to the last of `txids` (growing, at least one, all known) that are not among them. Returns the bytes of the log that came free. */
  async keepOnly(txids: Float64Array): Promise<number> {
    this.#going = { kept: new Kept(txids), horizon: txids.at(-1)! };
    let dead: readonly number[];
    try {
      await this.#options.native.appendKept(toTxid(txids.at(-1)!), encodeKept(txids));
      dead = await this.#options.service.pruned();
    } finally {
      this.#going = undefined;
    }
    return this.#pack(dead.map((start): Range => [start, start + deadStretchBytes]));
  }

  /** Gives up what is below floors of files. Returns the bytes of the log that came free. */
  async raiseFloors(groups: readonly FloorGroup[]): Promise<number> {
    await setFloors(this.#options.native, groups);
    const dead = await this.#options.service.pruned();
    return this.#pack(dead.map((start): Range => [start, start + deadStretchBytes]));
  }

  async #pack(dead: readonly Range[]): Promise<number> {
    const ranges = new Map([...this.#left, ...dead].map((range) => [range[0], range]));
    const { bytes, left } = await packRanges(this.#options, [...ranges.values()]);
    this.#left = left;
    return bytes;
  }

  async #alone<T>(action: () => Promise<T>): Promise<T> {
    if (this.#isRunning) throw new VolumeError('EBUSY', 'a pruning is under way already; wait for it to end');
    this.#isRunning = true;
    try {
      return await action();
    } finally {
      this.#isRunning = false;
    }
  }

  /** What all history takes, objects included. */
  async historyBytes(): Promise<number> {
    return Number((await this.#options.usage.share()).historyBytes);
  }

  async #takesTooMuch({ diskShare }: Policy): Promise<boolean> {
    const { historyBytes, diskBytes } = await this.#options.usage.share();
    return Number(historyBytes) > Number(diskBytes) * diskShare;
  }

  async #pruneBy(policy: Policy, inUse: InUse, nowMs: number): Promise<PruningResult> {
    const made = await this.#plan(policy, inUse(), nowMs);
    // Somebody may have begun to look at one of them since; planning anew might never end, for lookups go on.
    const plan = withHeld(made, new Set([...inUse(), ...this.#options.held()]));
    return { plan, bytes: plan.gone === 0 ? 0 : await this.keepOnly(plan.kept) };
  }

  async #floorsBy(policy: Policy, inUse: InUse, nowMs: number): Promise<{ floors: FloorPlan; bytes: number }> {
    for (let tries = 0; tries < floorTries; tries++) {
      const held = inUse();
      const floors = await this.#planFloors(policy, held, nowMs);
      if (floors.groups.length === 0) return { floors, bytes: 0 };
      if ([...inUse()].every((txid) => held.has(txid))) return { floors, bytes: await this.raiseFloors(floors.groups) };
    }
    // Somebody began to look at another moment each time: the next pruning may have more luck.
    return { floors: { groups: [], effects: [] }, bytes: 0 };
  }

  async #plan(policy: Policy, inUse: ReadonlySet<number>, nowMs: number): Promise<PruningPlan> {
    const { service, files } = this.#options;
    await service.caughtUp();
    return planInThread({ indexDirectory: files.index, createdNs: files.createdNs, held: this.#held(inUse), policy, nowMs });
  }

  #planFloors(policy: Policy, inUse: ReadonlySet<number>, nowMs: number): Promise<FloorPlan> {
    const { service, paths, native } = this.#options;
    return planFloors({ index: service.store, paths, native, policy, held: this.#held(inUse), nowMs });
  }

  #held(inUse: ReadonlySet<number>): Set<number> {
    return new Set([...inUse, ...this.#options.held(), ...this.#options.pins.all().map(({ txid }) => Number(txid))]);
  }
}

function sum(first: PruningResult, second: PruningResult): PruningResult {
  const { plan, bytes } = second;
  return { plan: { ...plan, judged: Math.max(first.plan.judged, plan.judged), gone: first.plan.gone + plan.gone }, bytes: first.bytes + bytes };
}
