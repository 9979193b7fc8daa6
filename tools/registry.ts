/**
 * Which volumes are mounted, and by which daemon: one file <volume id>.json for each in the runtime directory. Daemons
 * write and remove theirs; commands read them to find the volume that a path belongs to.
 *
 * Invariants:
 * 1. An entry counts only while its daemon lives (pid and start time). A stale one is overwritten by the next mount of the volume
 *    or removed by its unmount, by nobody else: another command could take away what a new daemon has just written.
 * 2. A file appears whole: it is written under another name and renamed.
 */
import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ensureRuntime, registryPaths, runtimePath } from './runtime.js';
import { startTicks } from './processes.js';

const entrySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  pid: z.number().int().positive(),
  /** Start time of the daemon in clock ticks since boot, so that a reused pid is not taken for it. */
  startTicks: z.string(),
  /** The protected directory and where it is mounted, real paths. */
  directory: z.string().startsWith('/'),
  mountpoint: z.string().startsWith('/'),
  socket: z.string().startsWith('/'),
  log: z.string().startsWith('/'),
});

export type RegistryEntry = z.infer<typeof entrySchema>;

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
      if (entry !== undefined) found.push({ entry, alive: startTicks(entry.pid) === entry.startTicks });
    }
  }
  return found;
}

/** Entries whose daemon lives. */
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
    const parsed = entrySchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
