/**
 * What the alarms remember beyond a restart, in the store as `alarm-state.json`: which are raised and what was told of them, samples of the free space, the last digest. In: the file. Out:
 * the memory, checked; an empty one when there is none that can be read.
 */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { alarmNames } from '../../engine/alarm-rules.js';
import type { AlarmName } from '../../engine/alarm-rules.js';
import type { AlarmMemory } from '../../engine/alarm-states.js';
import { samplesMax } from '../../engine/forecast.js';
import type { SpaceSample } from '../../engine/forecast.js';

const ms = z.number().int();
const alarm = z.strictObject({
  badSinceMs: ms.optional(), goodSinceMs: ms.optional(), raisedAtMs: ms.optional(), toldAtMs: ms.optional(), what: z.string().optional(), remedy: z.string().optional(), weight: z.number(),
  isAcknowledged: z.boolean().optional(),
});
const memorySchema = z.strictObject({
  format: z.literal(1),
  alarms: z.partialRecord(z.enum(alarmNames), alarm),
  samples: z.array(z.strictObject({ atMs: ms, freeBytes: z.number(), historyBytes: z.number().optional() })).max(samplesMax),
  digest: z.strictObject({ atMs: ms, transactions: z.number(), historyBytes: z.number().optional(), told: z.array(z.string()).max(100) }).optional(),
});

/** What the last digest said, and what was told since. */
export interface DigestMemory {
  readonly atMs: number;
  readonly transactions: number;
  /** Unknown before the first digest: to count is to walk. */
  readonly historyBytes?: number | undefined;
  /** One line for each alarm told since. */
  readonly told: readonly string[];
}

export interface Memory {
  readonly alarms: { readonly [Name in AlarmName]?: AlarmMemory };
  readonly samples: readonly SpaceSample[];
  readonly digest?: DigestMemory | undefined;
}

/** `store`: the directory `.tidemark`. */
export function readMemory(store: string): Memory {
  try {
    const parsed = memorySchema.safeParse(JSON.parse(readFileSync(join(store, 'alarm-state.json'), 'utf8')));
    if (parsed.success) return parsed.data;
  } catch {
    // Not there yet, or half a file: what was told may be told once more.
  }
  return { alarms: {}, samples: [] };
}

/** Replaces the file; off the main thread, which answers the mount. */
export async function keepMemory(store: string, memory: Memory): Promise<void> {
  const path = join(store, 'alarm-state.json');
  await writeFile(`${path}.new`, `${JSON.stringify({ format: 1, ...memory })}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
