/**
 * What a request to the daemon may say: the schema that the control server checks each line with. Kept apart from the words of protocol.ts, because a command that only
 * asks need not load what checks requests.
 */
import { z } from 'zod';
import { choices } from '../replica/sync/decide.js';
import { changeSchema } from './alarms/config.js';
import { configSchema } from './backup/record.js';
import { pairActionSchema } from './pair/requests.js';

const path = z.string().startsWith('/').max(16 * 1024);
const moment = z.string().min(1).max(300);
const glob = z.string().min(1).max(1000);
const pinName = z.string().min(1).max(255);
const id = z.number().int().nonnegative();
const userId = z.number().int().min(0).max(0xffffffff);

/** Whose changes: all that is given must fit. */
const actor = { uid: userId.optional(), pid: z.number().int().nonnegative().optional(), command: z.string().max(255).optional() };

const policyPart = z.string().max(1000);
const policyChange = z.strictObject({
  ladder: policyPart.optional(), diskShare: policyPart.optional(), atLeast: policyPart.optional(), versions: policyPart.optional(),
  /** Rules of files that come or change, as `*.tmp=none`, and the patterns of those that go. */
  keep: z.array(z.string().max(5000)).max(1000).optional(), unkeep: z.array(z.string().max(5000)).max(1000).optional(),
  /** 'later': patterns may speak of files that are still to come. */
  files: z.enum(['known', 'later']).optional(),
});

export const requestSchema = z.discriminatedUnion('method', [
  z.strictObject({ id, method: z.literal('status') }),
  /** Changes of a path, newest first, as items. `since` and `until` are moments as users write them. */
  z.strictObject({ id, method: z.literal('log'), path, since: moment.optional(), until: moment.optional(), limit: z.number().int().positive().optional() }),
  /** Which transaction a moment means. */
  z.strictObject({ id, method: z.literal('moment'), text: moment }),
  /** Differences below a path between two transactions, as items. */
  z.strictObject({ id, method: z.literal('diff'), path, from: z.string(), to: z.string() }),
  /** Where the file that is at `path` as of `at` was as of `before`. */
  z.strictObject({ id, method: z.literal('trace'), path, at: z.string(), before: z.string() }),
  /** Entries a directory had once and has no more as of `at`, as items. */
  z.strictObject({ id, method: z.literal('deleted'), path, at: z.string() }),
  /** What was deleted or overwritten below a directory, newest first, as items. */
  z.strictObject({ id, method: z.literal('bin'), path, since: moment.optional(), pattern: glob.optional(), limit: z.number().int().positive().optional(), ...actor }),
  /** What was deleted under a path last, or, with `at`, what was there then or had been deleted last by then. */
  z.strictObject({ id, method: z.literal('undelete'), path, at: moment.optional() }),
  /** What it takes to take somebody's changes back: steps, and conflicts, as items. */
  z.strictObject({ id, method: z.literal('undo'), path, since: moment, until: moment.optional(), ...actor }),
  z.strictObject({ id, method: z.literal('pins') }),
  z.strictObject({ id, method: z.literal('pin'), name: pinName, at: moment.optional() }),
  z.strictObject({ id, method: z.literal('unpin'), name: pinName }),
  /** Changes the policy, if anything is given, and answers with what holds then. */
  z.strictObject({ id, method: z.literal('policy'), change: z.union([z.literal('reset'), policyChange]).optional() }),
  /** Gives up what the policy no longer keeps, or says what that would be. */
  z.strictObject({ id, method: z.literal('prune'), dryRun: z.boolean() }),
  /** Progress comes as items. */
  z.strictObject({ id, method: z.literal('verify'), depth: z.enum(['log', 'deep']).optional() }),
  /**
   * Until `release`, or the end of the connection, all changes are one transaction (at most as long as the addon allows). Answers with the
   * transaction before and the globs of names that have no history. `pid`: who makes them, which is no mass change.
   */
  z.strictObject({ id, method: z.literal('hold'), pid: z.number().int().nonnegative().optional() }),
  /** Paths below `path` where a file was as of the transaction, or is now, of which it shows nothing any more; as items. */
  z.strictObject({ id, method: z.literal('hidden'), path, at: z.string() }),
  z.strictObject({ id, method: z.literal('release'), uid: userId, gid: userId, pid: z.number().int().nonnegative(), command: z.string().max(255) }),
  /** New versions as items as they come; ends with the connection. */
  z.strictObject({ id, method: z.literal('watch') }),
  /** Configuration and state of the alarms. */
  z.strictObject({ id, method: z.literal('alarms') }),
  z.strictObject({ id, method: z.literal('alarms-change'), change: changeSchema }),
  /** Sends a test to each sink. */
  z.strictObject({ id, method: z.literal('alarms-test') }),
  z.strictObject({ id, method: z.literal('alarms-acknowledge') }),
  /** Lets the processes go on that were stopped for a mass change. */
  z.strictObject({ id, method: z.literal('alarms-release') }),
  /** Sends the digest now. */
  z.strictObject({ id, method: z.literal('alarms-digest') }),
  z.strictObject({ id, method: z.literal('backup-add'), config: configSchema }),
  z.strictObject({ id, method: z.literal('backup-list') }),
  /** Runs, verifies or tries a restore now; progress comes as items. */
  z.strictObject({
    id, method: z.literal('backup-run'), name: z.string(), task: z.enum(['run', 'verify', 'test']), percent: z.number().positive().max(100).optional(),
    /** Of a sync: more than half of a side may go; what to do about conflicts. */
    force: z.boolean().optional(), choices: z.array(z.tuple([z.string(), z.enum(choices)])).max(1000).optional(),
  }),
  z.strictObject({ id, method: z.literal('backup-change'), name: z.string(), to: z.enum(['paused', 'resumed', 'removed']) }),
  /** What differs between two snapshots, as items; for the processes that run backups. */
  z.strictObject({ id, method: z.literal('backup-changes'), from: z.string().regex(/^\d+$/), to: z.string().regex(/^\d+$/) }),
  /** Lets the keeper start another daemon with this program (a command and its arguments, but for the options of the mount), and ends. ENOTSUP without a keeper. */
  z.strictObject({ id, method: z.literal('upgrade'), program: z.array(z.string().max(4096)).min(1).max(20) }),
  /** Flushes, unmounts (EBUSY while it is in use), closes the volume; the daemon then ends. */
  z.strictObject({ id, method: z.literal('unmount') }),
  z.strictObject({ id, method: z.literal('pair'), action: pairActionSchema }),
]);
