/**
 * What the store keeps of a backup: `backup/NAME.json` has how it is configured and how it stands, `backup/NAME.manifest` a copy of what its destination has. In: the store. Out: records, checked.
 *
 * Invariants:
 * 1. No password is in a record, only where it is.
 * 2. A record appears whole or not at all.
 */
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { policies } from '../../replica/sync/decide.js';
import { makeDirectory, replaceFile } from '../../engine/store-files.js';
import { codeOf } from '../errors.js';
import { backupDirectory, backupName } from './names.js';

const password = z.strictObject({ file: z.string().startsWith('/').optional(), environment: z.string().regex(/^[A-Za-z_]\w*$/).optional() });

export const placeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('directory'), path: z.string().startsWith('/') }),
  z.strictObject({
    kind: z.literal('ftp'), host: z.string().min(1), port: z.number().int().min(1).max(65_535), user: z.string(), path: z.string(), security: z.enum(['explicit', 'implicit', 'none']),
    ca: z.string().startsWith('/').optional(), pin: z.string().regex(/^[0-9a-f]{64}$/).optional(), password, connections: z.number().int().min(1).max(32),
  }),
  z.strictObject({
    kind: z.literal('s3'), bucket: z.string().min(1), prefix: z.string(), endpoint: z.string().regex(/^https?:\/\/[^/]+$/), region: z.string().min(1), pathStyle: z.boolean(),
    ca: z.string().startsWith('/').optional(), pin: z.string().regex(/^[0-9a-f]{64}$/).optional(), password, connections: z.number().int().min(1).max(32),
  }),
]);

/** A drive that is waited for. */
const deviceSchema = z.strictObject({ label: z.string().optional(), id: z.string().optional(), /** From the root of its file system. */ path: z.string() });

export const configSchema = z.strictObject({
  name: z.string().regex(backupName),
  place: placeSchema,
  /** As users write it; undefined: only when asked for. */
  schedule: z.string().max(200).optional(),
  timeZone: z.string().max(100).optional(),
  /** A ladder, or "none". */
  keep: z.string().max(1000),
  include: z.array(z.string().max(5000)).max(1000),
  exclude: z.array(z.string().max(5000)).max(1000),
  bytesPerSecond: z.number().int().positive().optional(),
  /** 22:00-06:00 */
  window: z.string().regex(/^\d\d:\d\d-\d\d:\d\d$/).optional(),
  device: deviceSchema.optional(),
  /** A two-way sync with the place, rather than a backup. */
  sync: z.strictObject({ conflict: z.enum(policies) }).optional(),
  /** A test restore: how often, which command in the directory. */
  test: z.strictObject({ schedule: z.string().max(200), command: z.string().max(5000), paths: z.array(z.string()).max(100) }).optional(),
  verify: z.strictObject({ schedule: z.string().max(200), percent: z.number().positive().max(100) }).optional(),
});
export type BackupConfig = z.infer<typeof configSchema>;

const position = z.strictObject({ txid: z.string().regex(/^\d+$/), timeNs: z.string().regex(/^\d+$/) });
const countsSchema = z.strictObject({ written: z.number(), removed: z.number(), renamed: z.number() });
const versionSchema = z.strictObject({ size: z.number(), mtimeNs: z.string() });
const runSchema = z.strictObject({
  /** run, verify or test. */
  kind: z.enum(['run', 'verify', 'test']),
  startedMs: z.number(), endedMs: z.number(), timeNs: z.string().optional(),
  files: z.number().optional(), bytes: z.number().optional(), removed: z.number().optional(),
  notes: z.array(z.string()), error: z.string().optional(),
  /** Of a sync: what was done on each side, and how many conflicts were left to somebody. */
  sync: z.strictObject({ here: countsSchema, there: countsSchema, conflicts: z.number() }).optional(),
});
export type RunRecord = z.infer<typeof runSchema>;

const stateSchema = z.strictObject({
  isPaused: z.boolean(),
  addedMs: z.number(),
  /** The snapshot that the destination has. */
  cursor: position.optional(),
  /** The snapshot that a run that has not come to its end is to bring there. */
  pending: position.optional(),
  /** Files and bytes at the destination. */
  files: z.number().optional(), bytes: z.number().optional(),
  /** Paths to send again. */
  again: z.array(z.string()).max(100_000),
  /** When the last run ended well, and when one was last due. */
  succeededMs: z.number().optional(), dueMs: z.number().optional(),
  verifiedMs: z.number().optional(), testedMs: z.number().optional(),
  /** What went wrong last, until a run, a verify or a test goes well. */
  faults: z.partialRecord(z.enum(['run', 'verify', 'test']), z.string()),
  /** Of a sync: what is left to somebody to decide. */
  conflicts: z.array(z.strictObject({ path: z.string(), kind: z.enum(['both-changed', 'deleted-here', 'deleted-there']), here: versionSchema.optional(), there: versionSchema.optional() })).optional(),
  /** Newest last. */
  runs: z.array(runSchema),
});
export type BackupState = z.infer<typeof stateSchema>;

const recordSchema = z.strictObject({ format: z.literal(1), config: configSchema, state: stateSchema });
export interface BackupRecord {
  readonly config: BackupConfig;
  readonly state: BackupState;
}

const mostRuns = 200;

/** All records of a store, by name. One that cannot be read is said, and is not there. */
export function readRecords(store: string, say: (line: string) => void): BackupRecord[] {
  let names: string[];
  try {
    names = readdirSync(backupDirectory(store));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  return names.filter((name) => name.endsWith('.json')).sort().flatMap((name): BackupRecord[] => {
    try {
      const { config, state } = recordSchema.parse(JSON.parse(readFileSync(join(backupDirectory(store), name), 'utf8')));
      return [{ config, state }];
    } catch {
      say(`backup/${name} in the store cannot be read; this backup does not run: remove the file and add the backup anew (its destination stays good)`);
      return [];
    }
  });
}

export function keepRecord(store: string, { config, state }: BackupRecord): void {
  makeDirectory(backupDirectory(store));
  replaceFile(join(backupDirectory(store), `${config.name}.json`), { format: 1, config, state: { ...state, runs: state.runs.slice(-mostRuns) } });
}

export function removeRecord(store: string, name: string): void {
  for (const file of [`${name}.json`, `${name}.manifest`, `${name}.next`, `${name}.doubted`, `${name}.state`, `${name}.intents`]) rmSync(join(backupDirectory(store), file), { force: true });
}

export function newState(nowMs: number): BackupState {
  return { isPaused: false, addedMs: nowMs, again: [], faults: {}, runs: [] };
}
