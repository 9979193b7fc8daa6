/**
 * `tidemark restore PATH --at T [--to DEST]`: brings back a file or a tree, in place or to another place.
 *
 * Invariants:
 * 1. In place it is one transaction (as far as the daemon can hold one open), so that one more restore undoes it.
 * 2. Files are read and written through the mount: the kernel decides what the one who asks may read and write.
 */
import { lstatSync } from 'node:fs';
import type { Command } from 'commander';
import { compileExcludes } from '../../engine/excludes.js';
import { withDaemonIfAllowed } from '../asking.js';
import { bytesOf, nameOf, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import type { ControlClient } from '../control-client.js';
import { CommandError, isAbsent } from '../errors.js';
import { counted, jsonTime, localTime, sizeText } from '../format.js';
import { locate } from '../locate.js';
import type { Located } from '../locate.js';
import { absentAt, momentAt, pathAt } from '../moment.js';
import type { Moment } from '../moment.js';
import { print } from '../output.js';
import type { Outcome } from '../restore/apply.js';
import { carryOut, placeFor, quoted, tellShortfall, thisProcess } from '../restore/carry-out.js';
import { exists, planRestore } from '../restore/plan.js';

interface RestoreOptions {
  readonly at: string;
  readonly to?: string;
  readonly json?: true;
}

/** What was restored where, for the report. */
interface Done {
  readonly target: BytePath;
  readonly outcome: Outcome;
  readonly totalBytes: bigint;
  /** Transactions before and after, when in place. */
  readonly before?: string;
  readonly after?: string;
}

export function addRestore(program: Command): void {
  program.command('restore').description('bring back a file or a tree as it was').argument('<PATH>', 'a file or directory; deleted ones too')
    .requiredOption('--at <T>', 'the moment')
    .option('--to <DEST>', 'restore to this place instead (a directory: into it)')
    .option('--json', 'print JSON')
    .action(restore);
}

async function restore(argument: string, options: RestoreOptions): Promise<void> {
  const located = locate(argument);
  await withDaemonIfAllowed(located, async (client) => {
    const moment = await momentAt(located, options.at, client);
    const source = pathAt(moment, located.path);
    checkSource(source, located, options.at);
    const done = options.to === undefined ? await restoreInPlace(source, located, moment, client) : await restoreTo(source, located, options.to);
    await report(done, located, moment, options);
  });
}

function checkSource(source: BytePath, located: Located, at: string): void {
  try {
    lstatSync(bytesOf(source));
  } catch (error) {
    if (isAbsent(error)) throw absentAt(shown(located.absolute), at);
    throw error;
  }
}

async function restoreTo(source: BytePath, located: Located, to: string): Promise<Done> {
  const target = placeFor(located, to);
  if (exists(target)) throw new CommandError(`${shown(target)} exists already`, 'choose another place, or leave --to out to restore in place');
  const plan = planRestore(source, target, { kind: 'new' });
  return { target, outcome: await carryOut(plan), totalBytes: plan.totalBytes };
}

async function restoreInPlace(source: BytePath, located: Located, moment: Moment, client: ControlClient | undefined): Promise<Done> {
  const isTree = lstatSync(bytesOf(source)).isDirectory();
  if (client === undefined && isTree) {
    throw new CommandError('restoring a tree in place needs the daemon, which belongs to another user', 'use --to, or run it as that user or with sudo');
  }
  const held = await client?.ask('hold', { pid: process.pid });
  const excludes = compileExcludes([...(held?.exclude ?? [])]);
  // What the policy no longer shows at that moment was not absent.
  const hidden = new Set<string>();
  if (isTree && moment.txid !== undefined) await client?.ask('hidden', { path: located.path, at: moment.txid }, ({ path }) => hidden.add(path));
  const plan = planRestore(source, located.absolute, {
    kind: 'in-place',
    root: located.mountpoint,
    snapshotRoot: moment.root,
    snapshotNs: moment.timeNs,
    hides: (path) => hidden.has(path) || excludes.hides(nameOf(path), path.slice(1)),
  });
  const outcome = await carryOut(plan);
  const after = await client?.ask('release', thisProcess());
  return { target: located.absolute, outcome, totalBytes: plan.totalBytes, ...(held && after ? { before: held.txid, after: after.txid } : {}) };
}

async function report(done: Done, located: Located, moment: Moment, options: RestoreOptions): Promise<void> {
  const { outcome } = done;
  await tellShortfall(outcome);
  await print(options.json ? jsonReport(done, moment) : textReport(done, located, moment));
  const undo = done.before === undefined ? '' : `; \`tidemark restore ${shown(located.absolute)} --at txn-${done.before}\` takes it back`;
  if (outcome.wasStopped) throw new CommandError(`stopped before all was restored${undo}`);
  if (outcome.failures.length > 0) throw new CommandError(`${counted(outcome.failures.length, 'file')} could not be restored${undo}`);
}

function jsonReport(done: Done, moment: Moment): string {
  const { restored, unchanged, removed, failures } = done.outcome;
  const path = shown(done.target);
  return `${JSON.stringify({
    path,
    at: moment.timeNs === undefined ? moment.text : jsonTime(moment.timeNs),
    restored,
    unchanged,
    removed,
    failed: failures.length,
    bytes: Number(done.totalBytes),
    ...(done.after === undefined ? {} : { txid: Number(done.after), before: Number(done.before) }),
  })}\n`;
}

function textReport(done: Done, located: Located, moment: Moment): string {
  const { restored, unchanged, removed } = done.outcome;
  const when = moment.timeNs === undefined ? moment.text : localTime(moment.timeNs);
  const same = unchanged === 0 ? '' : `, ${unchanged.toLocaleString('en-US')} unchanged since then`;
  const isWhole = done.outcome.failures.length === 0 && !done.outcome.wasStopped;
  const result = isWhole ? `is as it was at ${when}` : `is only in part as it was at ${when}`;
  const lines = [`${shown(done.target)} ${result}: ${counted(restored, 'item')} restored${isWhole ? ` (${sizeText(done.totalBytes)})` : ''}${same}`];
  if (removed > 0) lines.push(`${counted(removed, 'item')} that did not exist then ${removed === 1 ? 'was' : 'were'} removed and ${removed === 1 ? 'stays' : 'stay'} in the history`);
  if (done.before !== undefined && done.before !== done.after) lines.push(`this is txn-${done.after}; to undo it: tidemark restore ${quoted(located.absolute)} --at txn-${done.before}`);
  return `${lines.join('\n')}\n`;
}
