/**
 * Two directories that are synced, without a mount: here is a plain directory, its history is told by comparing copies as the engine would tell it. In: changes of a test. Out: runs, in this process or in one that is killed on its way.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Owner } from '../../replica/binding.js';
import type { Change } from '../../replica/examine.js';
import { LocalFiles } from '../../replica/local-files.js';
import { parentOf } from '../../replica/paths.js';
import { bindOther } from '../../replica/sync/bind.js';
import type { Choice, Policy } from '../../replica/sync/decide.js';
import { ownPlace } from '../../replica/sync/layout.js';
import { runSync } from '../../replica/sync/run.js';
import type { SyncOptions, SyncResult } from '../../replica/sync/run.js';

interface Item {
  readonly identity: string;
  readonly type: string;
  readonly content: string;
  readonly facts: string;
}

type Tree = ReadonlyMap<string, Item>;

export interface Order {
  readonly place: string;
  readonly there: string;
  readonly volume: string;
  readonly txid: string;
  readonly since: string | undefined;
  readonly changes: readonly Change[] | undefined;
  readonly policy: Policy;
  readonly choices: readonly (readonly [string, Choice])[];
  readonly isForced: boolean;
  readonly again: readonly string[];
}

function ownerOf(volume: string): Owner {
  return { volume, name: 'stick', directory: '/here', host: 'h' };
}

export class TwoSides {
  readonly here: string;
  readonly there: string;
  readonly #place: string;
  readonly #volume: string;
  readonly #trees = new Map<string, Tree>();
  #txid = 0;
  #since: string | undefined;
  #again: readonly string[] = [];
  policy: Policy = 'keep-both';

  /** `there`: of two machines with one drive, the other one's. */
  constructor(place: string, there = join(place, 'there')) {
    this.#place = place;
    [this.here, this.there] = [join(place, 'here'), there];
    this.#volume = createHash('sha256').update(place).digest('hex').slice(0, 32);
  }

  /** `as`: what the other side is taken to be able to keep, in the words of its binding; else what was measured there. */
  async begin(as: object = {}): Promise<void> {
    for (const path of [this.here, this.there, join(this.#place, 'store')]) mkdirSync(path, { recursive: true });
    const owner = ownerOf(this.#volume);
    await bindOther(this.there, owner, new LocalFiles(join(this.#place, 'store'), 'stick'));
    const binding = join(this.there, ownPlace(owner), 'sync.json');
    writeFileSync(binding, JSON.stringify({ ...JSON.parse(readFileSync(binding, 'utf8')) as object, ...as }));
  }

  /** A run to its end. */
  async run({ isForced = true, choices = [] }: { readonly isForced?: boolean; readonly choices?: Order['choices'] } = {}): Promise<SyncResult> {
    const order = this.#order(isForced, choices);
    const result = await runSync(optionsOf(order));
    this.#since = order.txid;
    this.#again = result.again;
    return result;
  }

  /** A run in a process that is killed at its n-th step; false when it came to its end before. */
  killed(steps: number): boolean {
    const order = this.#order(true, []);
    const { signal, status, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], { input: JSON.stringify(order), env: { ...process.env, TIDEMARK_BACKUP_FAILPOINT: String(steps), TIDEMARK_TWO_SIDES: '1' }, encoding: 'utf8' });
    if (status !== 0 && signal !== 'SIGKILL') throw new Error(`the run ended with ${status}: ${stderr}`);
    if (status === 0) {
      this.#since = order.txid;
      this.#again = [];
    }
    return signal === 'SIGKILL';
  }

  #order(isForced: boolean, choices: Order['choices']): Order {
    const txid = String(++this.#txid);
    execFileSync('cp', ['-a', this.here, join(this.#place, `at-${txid}`)]);
    this.#trees.set(txid, treeOf(this.here));
    const before = this.#since === undefined ? undefined : this.#trees.get(this.#since);
    return { place: this.#place, there: this.there, volume: this.#volume, txid, since: this.#since, changes: before === undefined ? undefined : changesOf(before, this.#trees.get(txid)!), policy: this.policy, choices, isForced, again: this.#again };
  }
}

function optionsOf({ place, there, volume, txid, since, changes, policy, choices, isForced, again }: Order): SyncOptions {
  return {
    path: there, owner: ownerOf(volume), local: new LocalFiles(join(place, 'store'), 'stick'), live: join(place, 'here'), disk: place, root: Buffer.from(join(place, `at-${txid}`)), txid, timeNs: BigInt(Date.now()) * 1_000_000n, since,
    changesSince: async () => changes, filter: { include: [], exclude: [] }, policy, choices: new Map(choices), isForced, again, onReport: () => undefined,
  };
}

/** What `diff` would tell. A file is known by its inode and its birth. */
function changesOf(before: Tree, after: Tree): Change[] {
  const where = (tree: Tree): Map<string, string> => new Map([...tree].map(([path, { identity }]) => [identity, path]));
  const [then, now] = [where(before), where(after)];
  const changes: Change[] = [];
  const explained = new Set<string>();
  for (const [path, item] of after) {
    const [old, from] = [before.get(path), then.get(item.identity)];
    if (old?.identity === item.identity) {
      if (old.content !== item.content) changes.push({ kind: 'changed', path });
      else if (old.facts !== item.facts) changes.push({ kind: 'attributes', path });
    } else if (from !== undefined) {
      explained.add(from);
      // The directory above may have taken it along.
      const above = before.get(parentOf(from));
      const isCarried = parentOf(from) !== '' && now.get(above!.identity) === parentOf(path) && parentOf(from) !== parentOf(path) && from.split('/').at(-1) === path.split('/').at(-1);
      const isWritten = before.get(from)!.content !== item.content;
      if (!isCarried) changes.push({ kind: 'renamed', path, from, ...(isWritten ? { isWritten } : {}) });
      else if (isWritten) changes.push({ kind: 'changed', path });
    } else changes.push({ kind: old?.type === item.type ? 'changed' : 'added', path });
  }
  for (const path of before.keys()) if (!explained.has(path) && !after.has(path)) changes.push({ kind: 'removed', path });
  return changes;
}

function treeOf(root: string): Tree {
  const tree = new Map<string, Item>();
  for (const path of (readdirSync(root, { recursive: true }) as string[]).sort()) {
    const stat = lstatSync(join(root, path), { bigint: true });
    const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
    const content = type === 'file' ? createHash('sha256').update(readFileSync(join(root, path))).digest('hex') : type === 'symlink' ? readlinkSync(join(root, path)) : '';
    tree.set(path, { identity: `${stat.ino} ${stat.birthtimeNs}`, type, content, facts: `${stat.mode} ${type === 'directory' ? '' : stat.mtimeNs}` });
  }
  return tree;
}

/** Path to content: of files what is in them, of symlinks their target, "/" of directories; with the mode. */
export function contentsOf(root: string): Map<string, { readonly content: string; readonly mode: number }> {
  const found = new Map<string, { content: string; mode: number }>();
  for (const path of (readdirSync(root, { recursive: true }) as string[]).sort()) {
    if (path === 'tidemark-sync' || path.startsWith('tidemark-sync/')) continue;
    const stat = lstatSync(join(root, path));
    found.set(path, { content: stat.isDirectory() ? '/' : stat.isSymbolicLink() ? `→${readlinkSync(join(root, path))}` : readFileSync(join(root, path), 'utf8'), mode: stat.isSymbolicLink() ? 0 : stat.mode & 0o777 });
  }
  return found;
}

if (process.env['TIDEMARK_TWO_SIDES'] === '1') await runSync(optionsOf(JSON.parse(readFileSync(0, 'utf8')) as Order));
