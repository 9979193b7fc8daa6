/**
 * `tidemark undelete PATH [--at T] [--to OTHER]`: brings back what was deleted under a name, with all that was in it.
 *
 * Invariants:
 * 1. It never takes the place of anything.
 * 2. In place it is one transaction. Files are read and written through the mount: the kernel decides what the one who asks may read and write.
 */
import { linkSync } from 'node:fs';
import type { Command } from 'commander';
import { compileExcludes } from '../../engine/excludes.js';
import { directoryType } from '../../engine/attributes.js';
import { withDaemon } from '../asking.js';
import { bytesOf, jsonPath, joinPath, nameOf, shown } from '../byte-path.js';
import type { BytePath } from '../byte-path.js';
import type { ControlClient } from '../control-client.js';
import { CommandError } from '../errors.js';
import { counted, jsonTime, localTime, sizeText } from '../format.js';
import { locate } from '../locate.js';
import type { Located } from '../locate.js';
import { print } from '../output.js';
import type { UndeleteReply } from '../recovery-protocol.js';
import type { Outcome } from '../restore/apply.js';
import { carryOut, placeFor, tellShortfall, thisProcess } from '../restore/carry-out.js';
import { exists, planRestore } from '../restore/plan.js';
import type { RestorePlan } from '../restore/plan.js';

interface UndeleteOptions {
  readonly at?: string;
  readonly to?: string;
  readonly json?: true;
}

type Found = NonNullable<UndeleteReply['found']>;

interface Done {
  readonly outcome: Outcome;
  readonly totalBytes: bigint;
  readonly txid?: string;
}

export function addUndelete(program: Command): void {
  program.command('undelete').description('bring back what was deleted under a name, directories with all that was in them').argument('<PATH>', 'what was deleted')
    .option('--at <T>', 'what was there at this moment, or had been deleted last by then (default: what was deleted last)')
    .option('--to <OTHER>', 'bring it back to this place (a directory: into it)')
    .option('--json', 'print JSON')
    .action(undelete);
}

async function undelete(argument: string, options: UndeleteOptions): Promise<void> {
  const located = locate(argument);
  const at = options.at?.replace(/^@/, '');
  await withDaemon(located, async (client) => {
    const { found, exclude } = await client.ask('undelete', { path: located.path, ...(at === undefined ? {} : { at }) });
    const target = options.to === undefined ? located.absolute : placeFor(located, options.to);
    refuseExisting(target, options);
    if (found === undefined) throw new CommandError(`nothing that was deleted as ${shown(located.absolute)}${at === undefined ? '' : ` up to ${at}`} is kept`, '`tidemark bin` lists what was deleted, `tidemark log` what became of it');
    if (options.to === undefined && found.otherName !== undefined && found.type !== directoryType) return linkAgain(located, found.otherName as BytePath, options);
    const done = options.to === undefined ? await inPlace(located, found, exclude, client) : await elsewhere(located, found, target);
    await report(target, found, done, options);
  });
}

function refuseExisting(target: BytePath, { to }: UndeleteOptions): void {
  if (exists(target)) throw new CommandError(`${shown(target)} exists already`, to === undefined ? 'bring the deleted one back under another name with --to' : 'choose another place');
}

/** The file is still there under another name: it gets this one back. */
async function linkAgain(located: Located, otherName: BytePath, options: UndeleteOptions): Promise<void> {
  const other = joinPath(located.mountpoint, otherName);
  linkSync(bytesOf(other), bytesOf(located.absolute));
  await print(options.json ? `${JSON.stringify({ ...jsonPath(located.absolute), linkedTo: shown(other) })}\n` : `${shown(located.absolute)} is back: a name of the file that is still there as ${shown(other)}\n`);
}

async function inPlace(located: Located, found: Found, exclude: readonly string[], client: ControlClient): Promise<Done> {
  const excludes = compileExcludes([...exclude]);
  const snapshotRoot = rootOf(located, found);
  await client.ask('hold', { pid: process.pid });
  const plan = planRestore(joinPath(snapshotRoot, located.path), located.absolute, {
    kind: 'in-place', root: located.mountpoint, snapshotRoot, snapshotNs: undefined, hides: (path) => excludes.hides(nameOf(path), path.slice(1)),
  });
  // Somebody may have made it in the meantime.
  refuseExisting(located.absolute, {});
  const outcome = await carryOut({ ...plan, others: 'keeps' });
  const { txid } = await client.ask('release', thisProcess());
  return { outcome, totalBytes: plan.totalBytes, txid };
}

async function elsewhere(located: Located, found: Found, target: BytePath): Promise<Done> {
  const plan: RestorePlan = planRestore(joinPath(rootOf(located, found), located.path), target, { kind: 'new' });
  return { outcome: await carryOut(plan), totalBytes: plan.totalBytes };
}

function rootOf(located: Located, found: Found): BytePath {
  return joinPath(located.mountpoint, '.snapshots', `@txn-${found.snapshot.txid}`);
}

async function report(target: BytePath, found: Found, { outcome, totalBytes, txid }: Done, options: UndeleteOptions): Promise<void> {
  await tellShortfall(outcome);
  const { restored, failures, wasStopped } = outcome;
  const [asAt, deletedAt] = [BigInt(found.snapshot.timeNs), BigInt(found.deletedAt.timeNs)];
  if (options.json) {
    await print(`${JSON.stringify({ ...jsonPath(target), at: jsonTime(asAt), deletedAt: jsonTime(deletedAt), restored, failed: failures.length, bytes: Number(totalBytes), ...(txid === undefined ? {} : { txid: Number(txid) }) })}\n`);
  } else if (restored > 0) {
    const size = failures.length === 0 && !wasStopped ? ` (${sizeText(totalBytes)})` : '';
    await print(`${shown(target)} is back as it was at ${localTime(asAt)}, before it was deleted at ${localTime(deletedAt)}: ${counted(restored, 'item')}${size}\n`);
  }
  if (wasStopped) throw new CommandError('stopped before all was brought back', 'remove what is there and do it again');
  if (failures.length > 0) throw new CommandError(`${counted(failures.length, 'file')} could not be brought back`);
}
