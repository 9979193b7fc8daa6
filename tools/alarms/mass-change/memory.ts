/**
 * What is remembered of mass changes over a restart, in the store as `mass-changes.json`: so that processes that were stopped can go on, and the alarm lasts. In: the file. Out: the
 * memory, checked; an empty one when there is none that can be read.
 */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const count = z.number().int().nonnegative();
const incidentSchema = z.strictObject({
  /** Counted from 1. */
  serial: z.number().int().positive(),
  /** When it was noticed, and how long after its first change; ms. */
  atMs: z.number().int(), forMs: z.number(),
  uid: count, session: count, pid: count, command: z.string(),
  overwritten: count, removed: count, renamed: count,
  /** Files in all, as last seen. */
  files: count,
  /** When they were last seen to grow; ms. */
  seenMs: z.number().int().optional(),
  examples: z.array(z.string()).max(3),
  /** The last transaction before it, and its pin's name; or why there is no pin. */
  txid: z.string().regex(/^\d+$/), pin: z.string(), pinFault: z.string().optional(),
  /** Processes that were stopped and have not been let go. */
  held: z.array(z.strictObject({ pid: z.number().int().positive(), startTicks: z.string() })),
  holdFault: z.string().optional(),
});

export type Incident = z.infer<typeof incidentSchema>;

const memorySchema = z.strictObject({ format: z.literal(1), serial: count, incidents: z.array(incidentSchema) });

export interface MassChangeMemory {
  /** Of the last one ever. */
  readonly serial: number;
  /** The newest ones, oldest first. */
  readonly incidents: readonly Incident[];
}

/** `store`: the directory `.tidemark`. */
export function readMassChanges(store: string): MassChangeMemory {
  try {
    const parsed = memorySchema.safeParse(JSON.parse(readFileSync(join(store, 'mass-changes.json'), 'utf8')));
    if (parsed.success) return parsed.data;
  } catch {
    // Not there yet, or half a file.
  }
  return { serial: 0, incidents: [] };
}

/** Replaces the file; off the main thread, which answers the mount. */
export async function keepMassChanges(store: string, memory: MassChangeMemory): Promise<void> {
  const path = join(store, 'mass-changes.json');
  await writeFile(`${path}.new`, `${JSON.stringify({ format: 1, ...memory })}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
