/**
 * Which volumes are mounted, and by which daemon: one file <volume id>.json for each in the runtime directory. Daemons
 * write and remove theirs; commands read them to find the volume that a path belongs to.
 *
 * Invariants:
 * 1. An entry counts only while its daemon lives (pid and start time), or the keeper that will start the next one. A stale one is overwritten by the next mount of the volume
 *    or removed by its unmount, by nobody else: another command could take away what a new daemon has just written.
 * 2. A file appears whole: it is written under another name and renamed.
 */
import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureRuntime, registryPaths, runtimePath } from './runtime.js';
import { startTicks } from './processes.js';

export interface RegistryEntry {
  readonly id: string;
  readonly pid: number;
  /** Start time of the daemon in clock ticks since boot, so that a reused pid is not taken for it. */
  readonly startTicks: string;
  /** The process that outlives the daemon, if there is one. */
  readonly keeper?: { readonly pid: number; readonly startTicks: string };
  /** The protected directory and where it is mounted, real paths. */
  readonly directory: string;
  readonly mountpoint: string;
  readonly socket: string;
  readonly log: string;
}

/** Writes this daemon's entry. */
export function register(entry: RegistryEntry): void {
  const path = entryPath(ensureRuntime(), entry.id);
  const mode = process.getuid?.() === 0 ? 0o644 : 0o600;
  writeFileSync(`${path}.new`, `${JSON.stringify(entry, null, 2)}\n`, { mode });
  renameSync(`${path}.new`, path);
}

/** Removes the entry and the socket of a volume that is no longer mounted. Both may be gone already. */
export function unregister(entry: RegistryEntry): void {
  rmSync(entry.socket, { force: true });
  rmSync(entryPath(runtimePath(), entry.id), { force: true });
}

export interface Registered {
  readonly entry: RegistryEntry;
  readonly alive: boolean;
}

/** All entries, those of dead daemons too. */
export function allEntries(): Registered[] {
  const found: Registered[] = [];
  for (const directory of registryPaths()) {
    for (const name of listing(directory)) {
      const entry = name.endsWith('.json') ? readEntry(join(directory, name)) : undefined;
      if (entry !== undefined) found.push({ entry, alive: lives(entry) || (entry.keeper !== undefined && lives(entry.keeper)) });
    }
  }
  return found;
}

function lives({ pid, startTicks: ticks }: { readonly pid: number; readonly startTicks: string }): boolean {
  return startTicks(pid) === ticks;
}

/** true between two daemons: the last one has died, and the keeper starts another. */
export function isBetweenDaemons(entry: RegistryEntry): boolean {
  return !lives(entry) && entry.keeper !== undefined && lives(entry.keeper);
}

/** Entries whose daemon lives, or will be followed by another. */
export function liveEntries(): RegistryEntry[] {
  return allEntries().filter(({ alive }) => alive).map(({ entry }) => entry);
}

function entryPath(directory: string, id: string): string {
  return join(directory, `${id}.json`);
}

function listing(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // No daemon of that user has ever run, or its registry is not ours to read.
  }
}

/** undefined for a file that is no entry: half a write of a dying machine, or something of another version. */
function readEntry(path: string): RegistryEntry | undefined {
  try {
    const found = JSON.parse(readFileSync(path, 'utf8')) as RegistryEntry;
    return isEntry(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** By hand, since every command looks into the registry: a library for it would take longer to load than all else. */
function isEntry({ id, pid, startTicks, keeper, directory, mountpoint, socket, log }: RegistryEntry): boolean {
  if (keeper !== undefined && !(Number.isSafeInteger(keeper.pid) && keeper.pid > 0 && typeof keeper.startTicks === 'string')) return false;
  if (!/^[0-9a-f]{32}$/.test(id) || !Number.isSafeInteger(pid) || pid <= 0 || typeof startTicks !== 'string') return false;
  return [directory, mountpoint, socket, log].every((path) => typeof path === 'string' && path.startsWith('/'));
}
