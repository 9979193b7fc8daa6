/**
 * What the rules for some files give up now, beside what the ladder does. In: the index, the policy, what is held. Out: floors for files, and what they will have cost.
 *
 * Invariants:
 * 1. Nothing is changed here.
 * 2. A version goes only if every rule that speaks of its file lets it go, and nothing young does. What is held stays as it is, as far as it is still there.
 * 3. A floor is planned only where something goes, and as low as that allows: a file that does not change costs nothing, and its last version is shown as far back as it reaches.
 */
import { FileRules, ruleOf, writeFileRule } from './file-rules.js';
import type { FileRule } from './file-rules.js';
import { Floors, heldMax, isShownAt, keptOf } from './floors.js';
import type { FileFloor } from './floors.js';
import { fileKey, filePrefix, numberKey, table } from './index-keys.js';
import type { IndexStore } from './index-store.js';
import type { Kept } from './kept.js';
import type { NativeVolume } from './native.js';
import type { Paths } from './paths.js';
import { ages } from './policy.js';
import type { Policy } from './policy.js';
import { bytesFreed } from './pruning-plan.js';
import { ageRule, goneBelow, newestRule, quality } from './retention.js';
import type { Point } from './retention.js';
import type { FileId } from './types.js';
import { VersionChains } from './versions.js';
import type { Chain, FileVersions } from './versions.js';

/** Files that get the same floor. */
export interface FloorGroup extends FileFloor {
  readonly files: FileId[];
}

/** What some rules together give up. */
export interface RuleEffect {
  /** As they are written. */
  readonly rules: readonly string[];
  /** Of them, only what is younger than this stays, ms since the epoch; undefined where it is not a matter of age alone. */
  readonly youngerThanMs?: number;
  /** Files of which something goes. */
  files: number;
  /** Of them, deleted ones that go whole, and what these take of the disk. */
  objects: number;
  objectBytes: number;
}

export interface FloorPlan {
  readonly groups: readonly FloorGroup[];
  readonly effects: readonly RuleEffect[];
}

export interface FloorPlanOptions {
  readonly index: IndexStore;
  readonly paths: Paths;
  readonly native: Pick<NativeVolume, 'isObject' | 'stat'>;
  readonly policy: Policy;
  /** Pinned or in use. */
  readonly held: ReadonlySet<number>;
  readonly nowMs: number;
}

/** So many files in one FLOOR record. */
const filesInGroup = 20_000;
const blocksInAttributes = 32;
const blockBytes = 512;

export async function planFloors(options: FloorPlanOptions): Promise<FloorPlan> {
  const { policy, held, index, paths } = options;
  const draft = new Draft(options);
  const isForAll = policy.versions !== Infinity;
  if ((policy.rules.length === 0 && !isForAll) || held.size > heldMax) return draft;
  const rules = new FileRules(policy.rules);
  for await (const chain of new VersionChains(index, paths).all((path) => isForAll || rules.of(path).length > 0)) {
    const found = chain.paths.map((path) => rules.of(path));
    const hasNone = found.some((some) => some.length === 0);
    if (!hasNone || isForAll) draft.take(chain, [...new Set(found.flat())], hasNone);
  }
  return draft;
}

/** Bytes of the log that go with floors, beyond those that go with all moments but `kept`. */
export async function floorBytes(index: IndexStore, { groups }: FloorPlan, kept: Kept): Promise<number> {
  let bytes = 0;
  for (const { files, ...floor } of groups) {
    const shown = new ShownOfFile(kept, floor);
    for (const file of files) {
      const start = fileKey(table.data, file);
      bytes += await bytesFreed(index, shown, start, filePrefix) - await bytesFreed(index, kept, start, filePrefix);
    }
  }
  return bytes;
}

/** The moments that will show a file: those kept, but below its floor only those held. */
class ShownOfFile implements Pick<Kept, 'atOrAfter' | 'before'> {
  readonly #kept: Kept;
  readonly #floor: number;
  readonly #below: Kept;

  constructor(kept: Kept, floor: FileFloor) {
    this.#kept = kept;
    this.#floor = floor.txid;
    this.#below = keptOf(floor);
  }

  atOrAfter(txid: number): number {
    return this.#kept.atOrAfter(this.#below.atOrAfter(txid));
  }

  before(txid: number): number | undefined {
    const shown = this.#kept.before(txid);
    return shown === undefined || shown >= this.#floor ? shown : this.#below.before(Math.min(txid, this.#floor));
  }
}

class Draft implements FloorPlan {
  readonly #options: FloorPlanOptions;
  readonly #floors: Floors;
  readonly #held: readonly number[];
  readonly #groups = new Map<string, FloorGroup>();
  readonly #full: FloorGroup[] = [];
  readonly #effects = new Map<string, RuleEffect>();
  readonly #times = new Map<number, number>();

  constructor(options: FloorPlanOptions) {
    this.#options = options;
    this.#floors = new Floors(options.index);
    this.#held = [...options.held].sort((a, b) => a - b);
  }

  get groups(): readonly FloorGroup[] {
    return [...this.#full, ...this.#groups.values()];
  }

  get effects(): readonly RuleEffect[] {
    return [...this.#effects.values()];
  }

  /** `forAll`: some name of the file has no rule of its own, so the number of versions for all files counts. */
  take({ files }: Chain, rules: readonly FileRule[], forAll: boolean): void {
    const { policy, nowMs } = this.#options;
    const points = this.#points(files);
    const limits = [...rules.map(({ limit }) => ruleOf(limit)), ...(forAll ? [newestRule(policy.versions)] : [])];
    const count = goneBelow(points, [...limits, ageRule(policy.atLeastMs)], nowMs);
    if (count === 0) return;
    const cut = points[count - 1]!.txid;
    for (const { file, ends } of files) {
      const last = ends.findLast(({ txid }) => txid <= cut);
      if (last !== undefined) this.#raise(file, last.txid, ends.at(-1)!.txid, rules, forAll);
    }
  }

  /** Notes the floor, unless the file has it already. */
  #raise(file: FileId, wanted: number, last: number, rules: readonly FileRule[], forAll: boolean): void {
    const known = this.#floors.get(file);
    if (known?.isGone === true) return;
    const txid = Math.max(wanted, known?.txid ?? 0);
    const held = this.#held.filter((moment) => moment < txid && (known === undefined || isShownAt(known, moment)));
    if (known !== undefined && txid === known.txid && held.length === known.held.length) return;
    const key = `${txid}:${held.join()}`;
    let group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, group = { txid, held, files: [] });
    if (group.files.push(file) === filesInGroup) {
      this.#full.push(group);
      this.#groups.delete(key);
    }
    const effect = this.#effectOf(rules, forAll);
    effect.files++;
    if (held.length === 0 && txid >= last) this.#noteObject(file, effect);
  }

  #effectOf(rules: readonly FileRule[], forAll: boolean): RuleEffect {
    const { policy, nowMs } = this.#options;
    const texts = [...rules.map((rule) => writeFileRule(rule, ages)), ...(forAll ? [`${policy.versions} versions`] : [])];
    const key = texts.join('\n');
    let effect = this.#effects.get(key);
    if (effect === undefined) {
      const longest = Math.max(...rules.map(({ limit }) => limit.kind === 'age' ? limit.ageMs : Infinity), forAll ? Infinity : 0);
      effect = { rules: texts, files: 0, objects: 0, objectBytes: 0, ...(longest === Infinity ? {} : { youngerThanMs: nowMs - longest }) };
      this.#effects.set(key, effect);
    }
    return effect;
  }

  #noteObject(file: FileId, effect: RuleEffect): void {
    const { native } = this.#options;
    if (!native.isObject(file)) return;
    effect.objects++;
    effect.objectBytes += Number(native.stat(file, null).readBigUInt64LE(blocksInAttributes)) * blockBytes;
  }

  /** All versions of a chain, by the transactions that ended them. */
  #points(files: readonly FileVersions[]): Point[] {
    const isMinor = new Map<number, boolean>();
    for (const end of files.flatMap(({ ends }) => ends)) isMinor.set(end.txid, end.isMinor && isMinor.get(end.txid) !== false);
    return [...isMinor].sort(([a], [b]) => a - b).map(([txid, minor]) => ({ txid, timeMs: this.#timeMs(txid), quality: quality.any, isMinor: minor }));
  }

  /** What has not ended, or is not known any more, is as young as can be. */
  #timeMs(txid: number): number {
    const { index, nowMs } = this.#options;
    let timeMs = this.#times.get(txid);
    if (timeMs === undefined) {
      const end = index.get(numberKey(table.transaction, txid));
      timeMs = end === undefined ? nowMs : Number(end.readBigInt64LE(0) / 1_000_000n);
      if (this.#times.size > heldMax) this.#times.clear();
      this.#times.set(txid, timeMs);
    }
    return timeMs;
  }
}
