/**
 * Two nodes on this machine, paired, for tests of replication. In: what the primary's directory holds at first. Out: two mounts, and words for what tests do with them.
 *
 * Invariants:
 * 1. Both are cleared away whatever happens.
 */
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { withDirectory } from './mount.js';
import type { Commented, Mount, MountOptions } from './mount.js';
import { killNow, until } from './processes.js';

export interface Standing {
  readonly role: string;
  readonly term: number;
  readonly txid: string;
  readonly sync: string;
  readonly standbys: readonly { readonly isConnected: boolean; readonly phase?: string; readonly applied?: string; readonly lagTransactions?: number; readonly lagBytes?: number; readonly sentBytes?: number; readonly isGivenUp?: true; readonly oldest?: { readonly path?: string } }[];
  readonly primary?: { readonly link: string; readonly why?: string };
}

export interface Pair {
  readonly primary: Mount;
  readonly standby: Mount;
}

/** Where the nodes are: on the loopback, or each in a network namespace. */
export interface Places {
  readonly prefixes: readonly [string[], string[]];
  readonly addresses: readonly [string, string];
}

const loopback: Places = { prefixes: [[], []], addresses: ['127.0.0.1', '127.0.0.1'] };
const firstPort = 20_000 + process.pid % 20_000;

export interface PairOptions {
  /** Fills the primary's directory. */
  readonly prepare?: (directory: string) => Promise<void> | void;
  /** Fills the standby's, which then joins with --seed. */
  readonly seed?: (directory: string) => Promise<void> | void;
  readonly places?: Places;
  /** How the standby is mounted, where that matters. */
  readonly standby?: MountOptions;
  /** Of the primary, before anybody joins. */
  readonly configure?: (primary: Mount) => Promise<unknown>;
}

export async function withPair<T = void>(t: Commented, options: PairOptions, body: (pair: Pair) => Promise<T>): Promise<T> {
  const { prepare, seed, places = loopback } = options;
  const [one, other] = places.prefixes;
  return withDirectory(t, { prefix: one, ...(prepare === undefined ? {} : { prepare }) }, (primary) =>
    withDirectory(t, { prefix: other, ...(seed === undefined ? {} : { prepare: seed }), ...options.standby }, async (standby) => {
      await primary.mount();
      await options.configure?.(primary);
      await joinTo(primary, standby, places, seed === undefined ? [] : ['--seed']);
      return body({ primary, standby });
    }));
}

/** A node joins. */
export async function joinTo(primary: Mount, standby: Mount, { addresses }: Places = loopback, more: readonly string[] = []): Promise<void> {
  const line = (await primary.cliWell('pair', 'invite', primary.mountpoint, '--listen', `${addresses[0]}:${firstPort}`)).trim();
  await standby.cliWell('pair', 'join', line, standby.directory, '--listen', `${addresses[1]}:${firstPort + 100}`, ...more);
  standby.adopt();
}

export async function standingOf(mount: Mount): Promise<Standing> {
  return JSON.parse(await mount.cliWell('pair', 'status', mount.mountpoint, '--json')) as Standing;
}

/** Waits until the standby shows all that the primary has by now. */
export async function caughtUp(primary: Mount, limitMs = 60_000): Promise<void> {
  await until(async () => {
    const { txid, standbys } = await standingOf(primary);
    return standbys[0]?.phase === 'following' && standbys[0].applied === txid && standbys[0].lagTransactions === 0;
  }, 'the standby to catch up', limitMs);
}

/** Both nodes must find that they hold the same, and each its own history sound. */
export async function verifyBoth({ primary, standby }: Pair): Promise<void> {
  for (const mount of [primary, standby]) {
    await mount.cliWell('pair', 'verify', mount.mountpoint);
    await mount.cliWell('verify', mount.mountpoint);
  }
}

/** Kills the receiver of a standby's daemon, if one runs. */
export async function killReceiver(standby: Mount): Promise<void> {
  for (const pid of receiversOf(standby)) await killNow(pid);
}

/** Runs the body while the receiver of a standby stands still. */
export async function withStoppedReceiver(standby: Mount, body: () => Promise<void>): Promise<void> {
  const pids = receiversOf(standby);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    await body();
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

function receiversOf(standby: Mount): number[] {
  return childrenOf(standby.pid).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('receiver'));
}

/** What is different in two trees, a line each: names, types, bytes, modes, owners, sizes, times, links. */
export function differences(one: string, other: string): string[] {
  const [first, second] = [describeTree(one), describeTree(other)];
  const lines: string[] = [];
  for (const path of new Set([...first.keys(), ...second.keys()])) {
    if (first.get(path) !== second.get(path)) lines.push(`${path}: ${first.get(path) ?? 'absent'} / ${second.get(path) ?? 'absent'}`);
  }
  return lines;
}

function describeTree(root: string): Map<string, string> {
  const found = new Map<string, string>();
  const links = new Map<bigint, string>();
  const walk = (path: string): void => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const below = join(path, name);
      const stat = lstatSync(join(root, below), { bigint: true });
      const first = links.get(stat.ino) ?? below;
      links.set(stat.ino, first);
      const content = stat.isFile() ? createHash('md5').update(readFileSync(join(root, below))).digest('hex') : stat.isSymbolicLink() ? readlinkSync(join(root, below)) : '';
      const sizes = stat.isDirectory() ? '' : ` ${stat.size} ${first}`;
      found.set(below, `${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.mtimeNs}${sizes} ${content}`);
      if (stat.isDirectory()) walk(below);
    }
  };
  walk('');
  return found;
}

function childrenOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter((text) => text !== '').map(Number));
}
