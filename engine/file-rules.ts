/**
 * Rules for some files of a volume, by the patterns of their paths. In: texts as `*.tmp=none`, `/db=3d`, `*.log=20 versions`. Out: for a path, the rules of retention.ts. Pure.
 *
 * A pattern is a glob as in excludes.ts; one that names a directory speaks of all below it. A version of a file goes when every rule that speaks of the file lets it go,
 * whatever the ladder says; without such a rule the number of versions for all files counts, if there is one.
 *
 * Invariants:
 * 1. `readFileRule(writeFileRule(rule))` is the same rule.
 * 2. A pattern has one rule.
 */
import { VolumeError } from './errors.js';
import { compileExcludes } from './excludes.js';
import type { Excludes } from './excludes.js';
import { ageRule, newestRule } from './retention.js';
import type { Rule } from './retention.js';

export type Limit =
  /** No history: from the next mount on nothing is captured, and what there is goes. */
  | { readonly kind: 'none' }
  /** What was there within this time, ms. */
  | { readonly kind: 'age'; readonly ageMs: number }
  /** So many versions, besides the file as it is. */
  | { readonly kind: 'versions'; readonly count: number };

export interface FileRule {
  /** As compileExcludes takes it: no slash at its end. */
  readonly glob: string;
  readonly limit: Limit;
}

/** How ages are written: policy.ts has the units. */
export interface AgeText {
  readonly read: (text: string, where: string) => number;
  readonly write: (ms: number) => string;
}

const versionsMax = 1_000_000;

/** Throws VolumeError EINVAL. */
export function readFileRule(text: string, ages: AgeText): FileRule {
  const split = text.lastIndexOf('=');
  const limit = text.slice(split + 1).trim();
  if (split < 1 || limit === '') refuse(`"${text}" is no rule; write PATTERN=LIMIT, as *.tmp=none, /db=3d or '*.log=20 versions'`);
  const glob = tidyGlob(text.slice(0, split));
  return { glob, limit: readLimit(limit, glob, ages) };
}

export function writeFileRule({ glob, limit }: FileRule, ages: AgeText): string {
  const text = limit.kind === 'none' ? 'none' : limit.kind === 'age' ? ages.write(limit.ageMs) : `${limit.count} versions`;
  return `${glob}=${text}`;
}

/** A pattern without what makes no difference. Throws VolumeError EINVAL for one that can match nothing, or everything. */
export function tidyGlob(text: string): string {
  const glob = text.replace(/\/+$/, '').replace(/^\/+/, '/');
  if (glob === '' || glob === '*' || glob === '/*') refuse(`"${text}" is the whole volume: --ladder and --versions say what is kept of all files`);
  if (glob.includes('//') || glob.split('/').some((name) => name === '.' || name === '..')) refuse(`"${text}" matches no path; write it from the volume's root, as /db/*.log`);
  if (glob.length > 4096) refuse('a pattern is longer than any path');
  return glob;
}

/** Throws VolumeError EINVAL for two rules for the same pattern, and for one that another leaves nothing to say. */
export function checkFileRules(rules: readonly FileRule[], ages: AgeText): void {
  const known = new Map<string, FileRule>();
  for (const rule of rules) {
    const key = sameGlob(rule.glob);
    const other = known.get(key);
    if (other !== undefined) refuse(`"${writeFileRule(other, ages)}" and "${writeFileRule(rule, ages)}" speak of the same files; keep one of them`);
    known.set(key, rule);
  }
  for (const none of rules) {
    // A class or a question mark also names itself as a text; what a pattern without them names as a text, it names whatever stands there.
    if (none.limit.kind !== 'none' || /[?[\\]/.test(none.glob)) continue;
    const below = rules.find((rule) => rule !== none && namesPath(compileExcludes([none.glob]), rule.glob.replace(/^\//, '')));
    if (below !== undefined) refuse(`"${writeFileRule(below, ages)}" never counts, for "${writeFileRule(none, ages)}" leaves these files no history; keep one of them`);
  }
}

/** A pattern with a slash is matched from the root, with or without one at its beginning. */
export function sameGlob(glob: string): string {
  return glob.includes('/') && !glob.startsWith('/') ? `/${glob}` : glob;
}

/** Tells which rules speak of a path. */
export class FileRules {
  readonly #rules: readonly { readonly rule: FileRule; readonly glob: Excludes }[];

  constructor(rules: readonly FileRule[]) {
    this.#rules = rules.map((rule) => ({ rule, glob: compileExcludes([rule.glob]) }));
  }

  /** `path`: from the root, without a leading slash, as latin1. */
  of(path: string): FileRule[] {
    return this.#rules.filter(({ glob }) => namesPath(glob, path)).map(({ rule }) => rule);
  }
}

/** What a limit holds. */
export function ruleOf(limit: Limit): Rule {
  return limit.kind === 'age' ? ageRule(limit.ageMs) : newestRule(limit.kind === 'none' ? 0 : limit.count);
}

/** true when a glob names the path, or a directory above it. */
export function namesPath(glob: Excludes, path: string): boolean {
  for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
    const part = end < 0 ? path : path.slice(0, end);
    if (glob.hides(part.slice(part.lastIndexOf('/') + 1), part)) return true;
    if (end < 0) return false;
  }
}

function readLimit(text: string, glob: string, ages: AgeText): Limit {
  if (text === 'none') return { kind: 'none' };
  const versions = /^(\d+)(?: versions?|v)$/.exec(text)?.[1];
  if (versions === undefined) return { kind: 'age', ageMs: ages.read(text, `the rule of ${glob}`) };
  return { kind: 'versions', count: readCount(versions, `the rule of ${glob}`) };
}

/** A number of versions. Throws VolumeError EINVAL. */
export function readCount(text: string, where: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (!(count >= 1 && count <= versionsMax)) refuse(`"${text}" in ${where} is no number of versions; write 1 to ${versionsMax}`);
  return count;
}

function refuse(what: string): never {
  throw new VolumeError('EINVAL', what);
}
