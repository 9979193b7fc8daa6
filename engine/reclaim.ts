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
import { VolumeError } from './errors.js';
import type { IndexService } from './index-service.js';
import { txid as toTxid } from './ids.js';
import { Kept } from './kept.js';
import { encodeKept } from './log-bodies.js';
import type { NativeAddon, NativeVolume } from './native.js';
import { packRanges } from './packing.js';
import type { Pins } from './pins.js';
import { readPolicy } from './policy.js';
import type { Policy, PolicyText } from './policy.js';
import { bytesFreed, planPruning } from './pruning-plan.js';
import type { PruningPlan } from './pruning-plan.js';
import { deadStretchBytes } from './pruner.js';
import { cutLadder, quality } from './retention.js';
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
  readonly usage: DiskUsage;
  /** Told in a line what could not be given back. */
  readonly say: (line: string) => void;
}

export interface PruningResult {
  readonly plan: PruningPlan;
  /** Of the log. Beforehand, what only the moments that go need; afterwards, what came free. */
  readonly bytes: number;
}

/** What of the time that history reaches back is left when the disk asks for more. */
const cutPart = 7 / 8;

export class Reclaim {
  readonly #options: ReclaimOptions;
  #isRunning = false;

  constructor(options: ReclaimOptions) {
    this.#options = options;
  }

  /** Throws VolumeError EFORMAT when it cannot be read. */
  policyText(): PolicyText {
    return readPolicyText(this.#options.files.root);
  }

  /** Undefined: the defaults. Throws VolumeError EINVAL for a policy that makes no sense. */
  setPolicy(text: PolicyText | undefined): void {
    keepPolicyText(this.#options.files.root, text);
  }

  /** What would go now. `inUse`: snapshots that somebody is looking at. */
  async preview(inUse: ReadonlySet<number>, nowMs: number): Promise<PruningResult> {
    const plan = await this.#plan(readPolicy(this.policyText()), inUse, nowMs);
    return { plan, bytes: plan.gone === 0 ? 0 : await bytesFreed(this.#options.service.store, new Kept(plan.kept)) };
  }

  /**
   * Gives it up, and more of what is oldest as long as history takes more of the disk than it may; resolves when that has gone. Throws VolumeError EBUSY while
   * another pruning runs.
   */
  async prune(inUse: ReadonlySet<number>, nowMs: number): Promise<PruningResult> {
    if (this.#isRunning) throw new VolumeError('EBUSY', 'a pruning is under way already; wait for it to end');
    this.#isRunning = true;
    try {
      const policy = readPolicy(this.policyText());
      let result = await this.#pruneBy(policy, inUse, nowMs);
      let mostMs = nowMs - result.plan.oldestMs;
      while (mostMs > policy.atLeastMs && await this.takesTooMuch()) {
        mostMs = Math.max(mostMs * cutPart, policy.atLeastMs);
        result = sum(result, await this.#pruneBy({ ...policy, ladder: cutLadder(policy.ladder, mostMs) }, inUse, nowMs));
      }
      return result;
    } finally {
      this.#isRunning = false;
    }
  }

  /** true when history takes more of the disk than the policy allows. */
  async takesTooMuch(): Promise<boolean> {
    const { historyBytes, diskBytes } = await this.#options.usage.share();
    return Number(historyBytes) > Number(diskBytes) * readPolicy(this.policyText()).diskShare;
  }

  /** Gives up all moments up to the last of `txids` (growing, at least one, all known) that are not among them. Returns the bytes of the log that came free. */
  async keepOnly(txids: Float64Array): Promise<number> {
    await this.#options.native.appendKept(toTxid(txids.at(-1)!), encodeKept(txids));
    const dead = await this.#options.service.pruned();
    return packRanges(this.#options, dead.map((start) => [start, start + deadStretchBytes]));
  }

  async #pruneBy(policy: Policy, inUse: ReadonlySet<number>, nowMs: number): Promise<PruningResult> {
    const plan = await this.#plan(policy, inUse, nowMs);
    return { plan, bytes: plan.gone > 0 ? await this.keepOnly(plan.kept) : 0 };
  }

  async #plan(policy: Policy, inUse: ReadonlySet<number>, nowMs: number): Promise<PruningPlan> {
    const { service, transactions, pins } = this.#options;
    await service.caughtUp();
    const zero = transactions.get(0);
    const held = new Set([...inUse, ...pins.all().map(({ txid }) => Number(txid))]);
    return planPruning({
      index: service.store, held, policy, nowMs, zero: zero && { txid: 0, timeMs: Number(zero.timeNs / 1_000_000n), quality: quality.any },
    });
  }
}

function sum(first: PruningResult, second: PruningResult): PruningResult {
  const { plan, bytes } = second;
  return { plan: { ...plan, judged: Math.max(first.plan.judged, plan.judged), gone: first.plan.gone + plan.gone }, bytes: first.bytes + bytes };
}
