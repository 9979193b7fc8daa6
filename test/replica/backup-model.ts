/**
 * Random changes of a tree, a run after each few, a ladder that thins what they leave: every backup that is still there is compared with a copy of the tree as it was then. Runs are told what changed as history tells it (sometimes
 * too much), or nothing.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ladderOf } from '../../tools/backup/ladder.js';
import { bind, openContents, run } from '../../replica/by-place.js';
import type { Change } from '../../replica/examine.js';
import { LocalFiles } from '../../replica/local-files.js';
import { restoreBackup } from '../../replica/restore.js';
import type { Place } from '../../replica/place.js';
import { makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';

const rounds = 14;
const names = ['a', 'b', 'a-b', 'a.c', 'd'];
const hourMs = 3_600_000;

function describe(directory: string): string {
  const script = 'cd "$1" && find . -mindepth 1 -printf "%P %y %m %T@ %l\\n" | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum';
  return execFileSync('sh', ['-c', script, 'sh', directory], { encoding: 'utf8' });
}

/** true when what a path lies in are directories, and no symlinks to some. */
function isInDirectory(root: string, path: string): boolean {
  const above = path.split('/').slice(0, -1);
  return above.every((_, index) => lstatSync(join(root, ...above.slice(0, index + 1)), { throwIfNoEntry: false })?.isDirectory() === true);
}

/** Changes something at random and says what, as the engine would. */
function mutate(root: string, random: Random): Change[] {
  const path = Array.from({ length: 1 + random.below(3) }, () => random.pick(names)).join('/');
  const at = join(root, path);
  if (!isInDirectory(root, path)) return [];
  const stat = lstatSync(at, { throwIfNoEntry: false });
  if (stat === undefined) {
    const kind = random.below(3);
    if (kind === 0) mkdirSync(at);
    else if (kind === 1) symlinkSync(random.pick(names), at);
    else writeFileSync(at, random.bytes(random.below(5000)));
    return [{ kind: 'added', path }];
  }
  switch (random.below(4)) {
    case 0: {
      const listed = stat.isDirectory() ? execFileSync('find', [at, '-mindepth', '1', '-printf', '%P\\n'], { encoding: 'utf8' }).split('\n').filter((name) => name !== '') : [];
      rmSync(at, { recursive: true });
      return [path, ...listed.map((name) => `${path}/${name}`)].map((each) => ({ kind: 'removed', path: each }));
    }
    case 1: {
      const to = Array.from({ length: 1 + random.below(2) }, () => random.pick(names)).join('/');
      if (`${to}/`.startsWith(`${path}/`) || !isInDirectory(root, to) || lstatSync(join(root, to), { throwIfNoEntry: false }) !== undefined) return [];
      renameSync(at, join(root, to));
      return [{ kind: 'renamed', path: to, from: path }];
    }
    case 2:
      if (stat.isSymbolicLink()) return [];
      chmodSync(at, random.pick([0o700, 0o750, 0o755]));
      return [{ kind: 'attributes', path }];
    default:
      if (!stat.isFile()) return [];
      appendFileSync(at, random.bytes(1 + random.below(100)));
      return [{ kind: 'changed', path }];
  }
}

export interface ModelOptions {
  /** A place that nobody uses yet; the directory is the test's own. */
  readonly place: (directory: string) => Place;
  /** Where the tree of the last run lies as files. */
  readonly tree?: (directory: string) => string;
  /** When all has been compared. */
  readonly after?: (t: Test, directory: string, kept: number) => void | Promise<void>;
}

export async function testModel(t: Test, options: ModelOptions): Promise<unknown> {
  const seed = chooseSeed();
  t.comment(`TIDEMARK_SEED=${seed}`);
  const random = new Random(seed);
  const directory = makePlace();
  t.teardown(() => { removePlace(directory); });
  const [tree, store] = ['tree', 'store'].map((name) => join(directory, name)) as [string, string];
  for (const path of [tree, store]) mkdirSync(path);
  const local = new LocalFiles(store, 'm');
  const owner = { volume: 'v', name: 'm', directory: tree, host: 'h' };
  const place = options.place(directory);
  await bind(place, owner, local);
  const startMs = Math.floor(Date.now() / 1000) * 1000 - rounds * hourMs;
  const expected = new Map<bigint, string>();
  for (let round = 1; round <= rounds; round++) {
    const changes = Array.from({ length: 4 + random.below(12) }, () => mutate(tree, random)).flat();
    // Names that changed twice have their history told in one step by the engine; here such rounds are compared whole.
    const isTold = new Set(changes.flatMap(({ path, from }) => [path, ...(from === undefined ? [] : [from])].map((each) => each.split('/')[0]))).size === changes.length;
    const timeNs = BigInt(startMs + round * hourMs) * 1_000_000n;
    execFileSync('cp', ['-a', tree, join(directory, `at-${timeNs}`)]);
    expected.set(timeNs, describe(tree));
    const result = await run({
      place, owner, local, root: Buffer.from(join(directory, `at-${timeNs}`)), txid: String(round), timeNs, changesSince: async () => (isTold ? changes : undefined),
      filter: { include: [], exclude: [] }, ladder: ladderOf('4h:all,8h:2h,forever:5h'), bytesPerSecond: Infinity, again: [], onReport: () => undefined,
    });
    t.strictSame([result.failures, result.missing, result.notes], [[], [], []], `round ${round}`);
    if (options.tree !== undefined && describe(options.tree(directory)) !== expected.get(timeNs)) return t.equal(describe(options.tree(directory)), expected.get(timeNs), `the tree of round ${round}, told: ${isTold}`);
  }
  const view = await openContents(place);
  t.ok(view.moments.length > 4 && view.moments.length < rounds, `${view.moments.length} backups are kept`);
  t.equal(view.last.timeNs, [...expected.keys()].at(-1));
  for (const moment of view.moments) {
    const target = join(directory, `restored-${moment.timeNs}`);
    mkdirSync(target);
    const { failures } = await restoreBackup(view, await view.entries(moment, ''), '', target, { onBytes: () => undefined, onFile: () => undefined, checkpoint: () => undefined });
    t.strictSame(failures, []);
    t.equal(describe(target), expected.get(moment.timeNs), new Date(Number(moment.timeNs / 1_000_000n)).toISOString());
  }
  await view.close();
  await options.after?.(t, directory, view.moments.length);
}
