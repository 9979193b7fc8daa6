/** Operations lead from any tree to any other: names that change places, directories that move into each other, links. */
import t from 'tap';
import { nameOperations } from '../../replica/pair/operations.js';
import type { Step, StepFile, StepName } from '../../engine/index.js';
import { Random, chooseSeed } from '../support/seed.js';

const directoryType = 0o040000;
const regularType = 0o100000;

/** Path to file; files below 100 are directories. */
type Names = ReadonlyMap<string, bigint>;

function isDirectory(file: bigint): boolean {
  return file < 100n;
}

/** A tree in which each directory has one name, and files may have several. */
function randomTree(random: Random): Names {
  const names = new Map<string, bigint>();
  const directories = [''];
  for (const file of shuffled(random, [1n, 2n, 3n, 4n, 5n])) {
    if (random.oneIn(3)) continue;
    const path = `${random.pick(directories)}/${random.pick(['a', 'b', 'c'])}`;
    if (names.has(path)) continue;
    names.set(path, file);
    directories.push(path);
  }
  for (let count = random.below(8); count > 0; count--) {
    const path = `${random.pick(directories)}/${random.pick(['a', 'b', 'c', 'd'])}`;
    if (!names.has(path)) names.set(path, 100n + BigInt(random.below(4)));
  }
  return names;
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items.map((item) => ({ item, at: random.below(1000) })).sort((a, b) => a.at - b.at).map(({ item }) => item);
}

/** What the engine would say: a name is a directory's file and its own last part. */
function stepBetween(from: Names, to: Names): Step {
  const slot = (names: Names, path: string): string => `${names.get(path.slice(0, path.lastIndexOf('/'))) ?? 0n}/${path.slice(path.lastIndexOf('/') + 1)}`;
  const slots = (names: Names): Map<string, [string, bigint]> => new Map([...names].map(([path, file]) => [slot(names, path), [path, file]]));
  const [before, after] = [slots(from), slots(to)];
  const nameOf = ([path, file]: [string, bigint]): StepName => ({ path: Buffer.from(path), file: file as StepName['file'], type: isDirectory(file) ? directoryType : regularType });
  const removed = [...before].filter(([key, [, file]]) => after.get(key)?.[1] !== file).map(([, found]) => nameOf(found));
  const added = [...after].filter(([key, [, file]]) => before.get(key)?.[1] !== file).map(([key, found]) => {
    const kept = removed.some(({ file }) => file === found[1]) ? undefined : [...before].find(([other, [, file]]) => file === found[1] && other !== key)?.[0];
    return { ...nameOf(found), ...(kept === undefined ? {} : { kept: Buffer.from(after.get(kept)![0]) }) };
  });
  const old = new Set(from.values());
  const files = [...new Set(to.values())].map((file) => ({ file, isNew: !old.has(file), attributes: { mode: 0o644 } }) as unknown as StepFile);
  const depth = ({ path }: StepName): number => path.toString().split('/').length;
  return { from: 1, to: 2, removed: removed.sort((a, b) => depth(b) - depth(a)), added: added.sort((a, b) => depth(a) - depth(b)), files };
}

/** A tree on which operations are carried out as a file system would. */
class Disk {
  readonly names: Map<string, bigint>;
  readonly #wanted: Names;

  constructor(names: Names, wanted: Names) {
    this.names = new Map(names);
    this.#wanted = wanted;
  }

  do(operation: ReturnType<typeof nameOperations>[number]): void {
    const path = 'path' in operation ? operation.path : '';
    if (operation.do === 'rename') return this.#rename(path, operation.to);
    if (operation.do === 'link') return this.#put(operation.to, this.#at(path));
    if (operation.do === 'create') return this.#put(path, this.#wanted.get(path)!);
    if (operation.do === 'mkdir') return this.#put(path, this.#wanted.get(path) ?? 99n);
    if (operation.do !== 'remove' && operation.do !== 'rmdir') throw new Error(`nobody does ${operation.do} here`);
    if (isDirectory(this.#at(path)) && [...this.names.keys()].some((name) => name.startsWith(`${path}/`))) throw new Error(`${path} is not empty`);
    this.names.delete(path);
  }

  #at(path: string): bigint {
    const file = this.names.get(path);
    if (file === undefined) throw new Error(`${path} is not there`);
    return file;
  }

  #put(path: string, file: bigint): void {
    const above = path.slice(0, path.lastIndexOf('/'));
    if (above !== '' && !isDirectory(this.#at(above))) throw new Error(`${above} is no directory`);
    if (this.names.has(path)) throw new Error(`${path} is there already`);
    this.names.set(path, file);
  }

  #rename(from: string, to: string): void {
    const moved = [...this.names].filter(([path]) => path === from || path.startsWith(`${from}/`));
    this.#at(from);
    if (to.startsWith(`${from}/`)) throw new Error(`${from} cannot move into itself`);
    if (this.names.has(to)) this.do({ do: 'remove', path: to });
    for (const [path] of moved) this.names.delete(path);
    const [[, file] = ['', 0n], ...below] = moved;
    this.#put(to, file);
    for (const [path, other] of below) this.names.set(to + path.slice(from.length), other);
  }
}

void t.test('any tree becomes any other', async (t) => {
  const seed = chooseSeed();
  for (let at = seed; at < seed + 3000; at++) {
    const random = new Random(at);
    const [from, to] = [randomTree(random), randomTree(random)];
    const disk = new Disk(from, to);
    try {
      for (const operation of nameOperations(stepBetween(from, to))) disk.do(operation);
      const [found, wanted] = [[...disk.names].sort(), [...to].sort()].map((entries) => entries!.map(([path, file]) => `${path}=${file}`).join(' '));
      if (found !== wanted) throw new Error(`${found} instead of ${wanted}`);
    } catch (error) {
      return t.fail(`TIDEMARK_SEED=${at}: ${[...from].join(' ')} to ${[...to].join(' ')}: ${(error as Error).message}`);
    }
  }
  t.pass();
});

void t.test('one name that moves is one rename, also over another', async (t) => {
  const operations = nameOperations(stepBetween(new Map([['/a', 100n], ['/b', 101n]]), new Map([['/b', 100n]])));
  t.strictSame(operations, [{ do: 'rename', path: '/a', to: '/b' }]);
});
