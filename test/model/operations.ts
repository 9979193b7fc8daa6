/**
 * Chooses random operations for the model test: few names, so that they collide; mostly names that exist, so that most
 * operations succeed; sizes around the borders of pages and of the size classes of extents (4 KiB, 64 KiB, 1 MiB).
 *
 * Invariants:
 * 1. The choice depends on the random numbers and on the paths given, on nothing else.
 */
import { testedDriver } from '../support/driver.js';
import type { Random } from '../support/seed.js';

export type Words = readonly (string | number)[];

/** When the state after an operation is in a snapshot. */
export type Settling =
  /** It is a barrier: at once. */
  | 'barrier'
  /** At the next barrier. */
  | 'later'
  /** Its bytes are in the page cache until this slot is synced or closed. */
  | 'dirty'
  /** A barrier for the slot's bytes too. */
  | 'slot-barrier';

export interface Operation {
  readonly words: Words;
  readonly settling: Settling;
  /** For operations on an open file. */
  readonly slot?: number;
}

/**
 * Operations whose barrier is the close of a written file. The kernel tells of a close only after close(2) has returned: the change is in what
 * a query shows from then on, but perhaps not yet in the snapshot of that very nanosecond.
 */
const closing = new Set<unknown>(['write', 'append', 'direct', 'over', 'tmpfile', 'mmap', 'open', 'close']);

export function endsByClosing({ words }: Operation): boolean {
  return closing.has(words[0]);
}

const slotCount = 2;
/** A tree of more names than this is cut down, so that names keep colliding and comparisons stay quick. */
const enoughNames = 9;
const names = ['a', 'b', 'c', 'd', 'e', '%FFx%0A'] as const;
const xattrNames = ['user.x', 'user.y', 'user.long-name-of-an-attribute'] as const;
/** Times that are set have nanoseconds here, ACLs let others in, and what is open in a directory keeps it. */
const libfuseLacks = new Set<unknown>(['tmpfile', 'fallocate', 'utimes', 'acl', 'open']);
const keepSize = 1;
const punchHole = 2 | keepSize;
const zeroRange = 16;

/** What exists now: paths without a leading slash, escaped as the worker wants them. */
export interface Tree {
  readonly all: readonly string[];
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

export function chooseOperation(random: Random, tree: Tree): Operation {
  for (;;) {
    const operation = random.pick(tree.all.length > enoughNames && random.oneIn(2) ? removals : choices)(random, tree);
    if (testedDriver === 'native' || isForLibfuse(operation)) return operation;
  }
}

/** libfuse 2 does the rest differently from a bare directory (docs/SEMANTICS.md). */
function isForLibfuse({ words: [verb, ...rest] }: Operation): boolean {
  if (verb === 'rename' && rest[2] !== 0) return false;
  return !libfuseLacks.has(verb) && !rest.some((word) => String(word).includes('%FF'));
}

type Choice = (random: Random, tree: Tree) => Operation;

function barrier(...words: Words): Operation {
  return { words, settling: 'barrier' };
}
function later(...words: Words): Operation {
  return { words, settling: 'later' };
}

const single: readonly Choice[] = [
  (random, tree) => barrier('create', fresh(random, tree), random.pick([0o644, 0o600, 0o755, 0o666])),
  (random, tree) => barrier('mkdir', fresh(random, tree), random.pick([0o755, 0o700, 0o777])),
  (random, tree) => barrier('write', file(random, tree), offset(random), length(random), random.below(1000)),
  (random, tree) => barrier('write', file(random, tree), 0, length(random), random.below(1000)),
  (random, tree) => barrier('append', file(random, tree), 0, length(random), random.below(1000)),
  (random, tree) => barrier('direct', file(random, tree), random.below(4) * 4096, (1 + random.below(4)) * 4096, random.below(1000)),
  (random, tree) => barrier('over', file(random, tree), 0, length(random), random.below(1000)),
  (random, tree) => barrier('truncate', file(random, tree), random.oneIn(3) ? 0 : offset(random) + random.below(5000)),
  (random, tree) => barrier('rename', known(random, tree), fresh(random, tree), 0),
  (random, tree) => barrier('rename', known(random, tree), known(random, tree), 0),
  (random, tree) => barrier('rename', known(random, tree), fresh(random, tree), 1),
  (random, tree) => barrier('rename', known(random, tree), known(random, tree), 2),
  (random, tree) => barrier('link', known(random, tree), fresh(random, tree)),
  (random, tree) => barrier('unlink', known(random, tree)),
  (random, tree) => barrier('rmdir', known(random, tree)),
  (random, tree) => barrier('symlink', fresh(random, tree), random.pick([...names, 'd/a', 'absent'])),
  (random, tree) => barrier('mknod', fresh(random, tree), random.pick([0o010644, 0o020600, 0o100640]), random.pick([3, 5, 7])),
  (random, tree) => barrier('tmpfile', fresh(random, tree), length(random), random.below(1000)),
  (random, tree) => barrier('fallocate', file(random, tree), random.pick([0, keepSize, punchHole, zeroRange]), offset(random), 1 + random.below(20_000)),
  (random, tree) => barrier('mmap', file(random, tree), random.below(6000), 1 + random.below(3000), random.below(1000)),
  (random, tree) => barrier('copy', file(random, tree), file(random, tree), random.below(2) * 4096, offset(random), 1 + random.below(20_000)),
  (random, tree) => later('chmod', known(random, tree), random.pick([0o600, 0o644, 0o4755, 0o2755, 0o1777, 0o444, 0o755])),
  (random, tree) => later('chown', known(random, tree), random.pick([-1, 0, 61001]), random.pick([-1, 0, 61002])),
  (random, tree) => later('utimes', known(random, tree), random.below(2 ** 31), random.below(1_000_000_000)),
  (random, tree) => later('setxattr', known(random, tree), random.pick(xattrNames), random.below(1000), random.pick([0, 5, 300])),
  (random, tree) => later('removexattr', known(random, tree), random.pick(xattrNames)),
  (random, tree) => later('acl', known(random, tree), random.pick(['system.posix_acl_access', 'system.posix_acl_default']), 61000 + random.below(3), random.below(8)),
  (random, tree) => onSlot(random, tree),
  (random, tree) => onSlot(random, tree),
  (random, tree) => onSlot(random, tree),
];

const removals: readonly Choice[] = [
  (random, tree) => barrier('unlink', known(random, tree)),
  (random, tree) => barrier('rmdir', known(random, tree)),
  (random, tree) => barrier('rename', known(random, tree), known(random, tree), 0),
];

// Creation twice: there is more that takes names away.
const choices: readonly Choice[] = [...single, ...single.slice(0, 3)];

function onSlot(random: Random, tree: Tree): Operation {
  const slot = random.below(slotCount);
  const write: Words = ['slotwrite', slot, offset(random), length(random), random.below(1000)];
  return random.pick<Operation>([
    { words: ['open', slot, file(random, tree)], settling: 'slot-barrier', slot },
    { words: write, settling: 'dirty', slot },
    { words: write, settling: 'dirty', slot },
    { words: ['slottruncate', slot, offset(random)], settling: 'dirty', slot },
    { words: ['fsync', slot], settling: 'slot-barrier', slot },
    { words: ['fdatasync', slot], settling: 'slot-barrier', slot },
    { words: ['close', slot], settling: 'slot-barrier', slot },
  ]);
}

/** Mostly a path that exists. */
function known(random: Random, { all }: Tree): string {
  return all.length > 0 && !random.oneIn(8) ? random.pick(all) : anyPath(random);
}

/** Mostly a regular file that exists. */
function file(random: Random, tree: Tree): string {
  return tree.files.length > 0 && !random.oneIn(8) ? random.pick(tree.files) : known(random, tree);
}

/** A path that need not exist, in a directory that mostly does. */
function fresh(random: Random, { directories }: Tree): string {
  return directories.length > 0 && random.oneIn(2) ? `${random.pick(directories)}/${random.pick(names)}` : anyPath(random);
}

function anyPath(random: Random): string {
  return random.oneIn(3) ? `${random.pick(names)}/${random.pick(names)}` : random.pick(names);
}

function offset(random: Random): number {
  const near = random.pick([0, 0, 0, 1, 4096, 8192, 65536, 69632, random.oneIn(8) ? 1 << 20 : 0]);
  return Math.max(0, near + random.below(9) - 4);
}

function length(random: Random): number {
  return random.pick([1, 10, 100, 4096, 4097, 8192, 1 + random.below(20_000), random.oneIn(4) ? 70_000 : 50, random.oneIn(12) ? 1_100_000 : 500]);
}
