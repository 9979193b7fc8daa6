/**
 * What a volume keeps and for how long: the policy as people write it. In: texts such as `24h:all,7d:1m,30d:1h,1y:1d,forever:1mo`. Out: numbers for
 * retention.ts, and the same texts again.
 *
 * Invariants:
 * 1. `readPolicy(writePolicy(policy))` is the same policy.
 * 2. A policy that is accepted makes sense: ages and spacings grow along the ladder, and limits leave something.
 */
import { VolumeError } from './errors.js';
import { checkFileRules, readCount, readFileRule, writeFileRule } from './file-rules.js';
import type { AgeText, FileRule } from './file-rules.js';
import type { Rung, Spacing } from './retention.js';

export interface Policy {
  /** For which ages moments lie how far apart, youngest first. */
  readonly ladder: readonly Rung[];
  /** History never takes a greater part of the disk (0 … 1), except for what `atLeastMs` asks for. */
  readonly diskShare: number;
  /** What is younger is given up for nothing, not even on a full disk. */
  readonly atLeastMs: number;
  /** So many versions of each file for which no rule of its own speaks, besides the file as it is (Infinity: all). */
  readonly versions: number;
  readonly rules: readonly FileRule[];
}

/** As it stands in volume.json and is written on the command line. */
export interface PolicyText {
  readonly ladder: string;
  readonly diskShare: string;
  readonly atLeast: string;
  /** A number, or "all". */
  readonly versions: string;
  /** As `*.tmp=none`. */
  readonly keep: readonly string[];
}

export const defaultPolicyText: PolicyText = { ladder: '24h:all,7d:1m,30d:1h,1y:1d,forever:1mo', diskShare: '30%', atLeast: '1h', versions: 'all', keep: [] };

const day = 86_400_000;
const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: day, w: 7 * day, mo: 30 * day, y: 365 * day };
/** How ages are written here, for rules of files. */
export const ages: AgeText = { read: readAge, write: writeAge };
const written = /^(\d+)(s|mo|m|h|d|w|y)$/;

/** Throws VolumeError EINVAL with what is wrong, where, and what would be right. */
export function readPolicy(text: PolicyText): Policy {
  const policy = {
    ladder: readLadder(text.ladder), diskShare: readShare(text.diskShare), atLeastMs: readAge(text.atLeast, 'at-least'),
    versions: text.versions === 'all' ? Infinity : readCount(text.versions, 'versions'), rules: text.keep.map((rule) => readFileRule(rule, ages)),
  };
  const reach = policy.ladder.at(-1)!.upToMs;
  if (policy.atLeastMs > reach) {
    refuse(`at-least is ${text.atLeast}, but the ladder keeps nothing that old ("${text.ladder}"); make the ladder longer or at-least shorter`);
  }
  checkFileRules(policy.rules, ages);
  for (const { glob, limit } of policy.rules) {
    if (limit.kind !== 'age') continue;
    if (limit.ageMs > reach) refuse(`the rule of ${glob} is for ${writeAge(limit.ageMs)}, but the ladder keeps nothing that old ("${text.ladder}"); make the ladder longer or the rule shorter`);
    if (limit.ageMs < policy.atLeastMs) refuse(`the rule of ${glob} is for ${writeAge(limit.ageMs)}, but at-least keeps all for ${text.atLeast}; make at-least shorter or the rule longer`);
  }
  return policy;
}

export function writePolicy({ ladder, diskShare, atLeastMs, versions, rules }: Policy): PolicyText {
  const rungs = ladder.map(({ upToMs, every }) => `${upToMs === Infinity ? 'forever' : writeAge(upToMs)}:${writeSpacing(every)}`);
  return { ladder: rungs.join(','), diskShare: `${Math.round(diskShare * 1e6) / 1e4}%`, atLeast: writeAge(atLeastMs), versions: versions === Infinity ? 'all' : String(versions), keep: rules.map((rule) => writeFileRule(rule, ages)) };
}

function readLadder(text: string): Rung[] {
  const ladder = text.split(',').map((part) => readRung(part.trim(), text));
  for (const [index, rung] of ladder.entries()) {
    const above = ladder[index - 1];
    if (above === undefined) continue;
    if (rung.upToMs <= above.upToMs) refuse(`the ladder "${text}" goes back in age; write its rungs from the youngest to the oldest`);
    if (spacingMs(rung.every) < spacingMs(above.every)) refuse(`the ladder "${text}" keeps more of what is older; let the distances grow`);
  }
  return ladder;
}

function readRung(part: string, ladder: string): Rung {
  const [age = '', every = '', ...rest] = part.split(':');
  if (rest.length > 0 || age === '' || every === '') refuse(`"${part}" in the ladder "${ladder}" is no rung; write AGE:DISTANCE, as 7d:1m`);
  return { upToMs: age === 'forever' ? Infinity : readAge(age, 'the ladder'), every: readSpacing(every) };
}

function readSpacing(text: string): Spacing {
  if (text === 'all') return 'transaction';
  if (text === '1mo') return 'month';
  return readAge(text, 'the ladder');
}

function readAge(text: string, where: string): number {
  const match = written.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * unitMs[match[2]!]!;
  if (!(ms > 0 && ms <= 1000 * unitMs['y']!)) refuse(`"${text}" in ${where} is no time; write for example 90s, 15m, 24h, 7d, 2w, 6mo or 1y`);
  return ms;
}

function readShare(text: string): number {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent === undefined || !(Number(percent) > 0 && Number(percent) <= 100)) refuse(`"${text}" is no share of the disk; write for example 30%`);
  return Number(percent) / 100;
}

function writeAge(ms: number): string {
  const unit = ['y', 'mo', 'w', 'd', 'h', 'm', 's'].find((name) => ms % unitMs[name]! === 0)!;
  return `${ms / unitMs[unit]!}${unit}`;
}

function writeSpacing(every: Spacing): string {
  if (every === 'transaction') return 'all';
  return every === 'month' ? '1mo' : writeAge(every);
}

function spacingMs(every: Spacing): number {
  return every === 'transaction' ? 0 : every === 'month' ? unitMs['mo']! : every;
}

function refuse(what: string): never {
  throw new VolumeError('EINVAL', what);
}
