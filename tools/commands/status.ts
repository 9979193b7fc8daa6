/** `tidemark status [DIR]`: how a volume stands; without DIR, all that are mounted. */
import type { Command } from 'commander';
import { jsonUpkeep, textUpkeep } from '../alarms/shown.js';
import { askStatus } from '../asking.js';
import { kindOf } from '../backup/names.js';
import type { Kind } from '../backup/names.js';
import { jsonItem, lineItem } from '../backup/shown.js';
import type { BackupItem } from '../backup/shown.js';
import { jsonSync, lineSync } from '../sync/shown.js';
import { CommandError } from '../errors.js';
import { counted, jsonTime, localTime, sizeText, userText } from '../format.js';
import { summarize } from '../latency.js';
import { tryLocate } from '../locate.js';
import { isStale } from '../mounts.js';
import { note, print } from '../output.js';
import type { StatusReply, VolumeFacts } from '../protocol.js';
import { reachText } from '../reach.js';
import { allEntries, liveEntries } from '../registry.js';
import { storeDirectory, withVolume } from '../unmounted.js';
import { wireStatus } from '../wire.js';

/** What is known of a volume whether or not it is mounted. */
type Known = VolumeFacts & Pick<StatusReply, 'directory' | 'notices'>;

export function addStatus(program: Command): void {
  program.command('status').description('how a volume stands; without DIR, all mounted ones').argument('[DIR]', 'the volume').option('--json', 'print JSON').action(status);
}

async function status(argument: string | undefined, options: { readonly json?: true }): Promise<void> {
  if (argument === undefined) {
    await statusOfAll(options);
    return;
  }
  const located = tryLocate(argument);
  if (located !== undefined) {
    if (located.entry === undefined) throw new CommandError(`${located.mountpoint} was mounted by another user`, 'run it as that user or with sudo');
    const mounted = await askStatus(located.entry);
    await print(options.json ? `${JSON.stringify(jsonMounted(mounted))}\n` : textMounted(mounted));
    return;
  }
  const known = await statusUnmounted(argument);
  await print(options.json ? `${JSON.stringify({ mounted: false, pid: null, ...jsonKnown(known) })}\n` : `${known.directory}: not mounted\n${textKnown(known)}`);
}

async function statusOfAll(options: { readonly json?: true }): Promise<void> {
  const all: StatusReply[] = [];
  for (const entry of liveEntries()) all.push(await askStatus(entry));
  for (const { entry, alive } of allEntries()) {
    if (!alive && isStale(entry.mountpoint)) await note(`tidemark: the daemon of ${entry.directory} has died; \`tidemark mount ${entry.directory}\` recovers it`);
  }
  if (options.json) await print(`${JSON.stringify(all.map(jsonMounted))}\n`);
  else if (all.length === 0) await print('no volume is mounted\n');
  else await print(all.map(textMounted).join('\n'));
}

async function statusUnmounted(argument: string): Promise<Known> {
  const directory = storeDirectory(argument);
  return withVolume(directory, async (volume) => ({ directory, ...(await wireStatus(volume)), notices: volume.notices }));
}

function jsonKnown(known: Known): object {
  const last = known.lastTransaction;
  return {
    directory: known.directory,
    id: known.id,
    txid: Number(known.txid),
    time: jsonTime(BigInt(known.lastTimeNs)),
    oldest: jsonTime(BigInt(known.oldestNs)),
    transactions: known.transactions,
    externalTransactions: known.externalTransactions,
    liveBytes: known.liveBytes === undefined ? null : Number(known.liveBytes),
    historyBytes: Number(known.historyBytes),
    indexLagBytes: Number(known.indexLagBytes),
    lastTransaction: last === undefined ? null : { txid: Number(last.txid), time: jsonTime(BigInt(last.timeNs)), uid: last.uid, pid: last.pid, command: last.command },
    notices: known.notices,
  };
}

function jsonMounted(status: StatusReply): object {
  const { pid, mountpoint, driver, protocol, features, knownInodes, openHandles, log } = status;
  const operations = Object.fromEntries(status.operations.map((latency) => [latency.operation, summarize(latency)]));
  return { mounted: true, pid, mountpoint, ...jsonKnown(status), historyReachDays: status.reachDays ?? null, driver, protocol, features, knownInodes, openHandles, operations, ...jsonUpkeep(status), ...jsonRestarts(status), backups: backupsOf(status, 'backup').map(jsonItem), syncs: backupsOf(status, 'sync').map(jsonSync), log };
}

/** A daemon of before there were backups tells of none. */
function backupsOf({ backups = [] }: Partial<StatusReply>, kind: Kind): readonly BackupItem[] {
  return backups.filter(({ config }) => kindOf(config) === kind);
}

/** What a daemon of a version from before there were keepers does not tell. */
const noRestarts: StatusReply['restarts'] = { count: 0 };

function jsonRestarts({ isKept = false, restarts: { count, lastMs, why, pauseMs } = noRestarts }: Partial<StatusReply>): object {
  const last = lastMs === undefined ? null : { time: jsonTime(BigInt(lastMs) * 1_000_000n), why, pauseMs };
  return { isKept, restarts: count, lastRestart: last };
}

function textRestarts({ restarts: { count, lastMs, why, pauseMs = 0 } = noRestarts }: Partial<StatusReply>): string {
  if (lastMs === undefined) return '';
  return `  restarts  the daemon was started again ${count === 1 ? 'once' : `${count} times`}, last ${localTime(BigInt(lastMs) * 1_000_000n)} (${why}); applications waited for ${(pauseMs / 1000).toFixed(2)} s\n`;
}

function textMounted(status: StatusReply): string {
  const where = status.mountpoint === status.directory ? '' : ` at ${status.mountpoint}`;
  const kernel = `${status.driver} driver, FUSE ${status.protocol}: ${status.features.join(', ')}`;
  return `${status.directory}: mounted${where} by daemon ${status.pid}\n${textKnown(status)}  reach     ${reachText(status.reachDays)}\n${textUpkeep(status)}${textRestarts(status)}${backupsOf(status, 'backup').map(lineItem).join('')}${backupsOf(status, 'sync').map(lineSync).join('')}  kernel    ${kernel}\n  log file  ${status.log}\n`;
}

function textKnown(known: Known): string {
  const last = known.lastTransaction;
  // Nobody ended a transaction of changes made while nothing was mounted.
  const by = last === undefined || last.pid === 0 ? '' : `, by ${userText(last.uid)} ${last.command}[${last.pid}]`;
  const live = known.liveBytes === undefined ? '' : `${sizeText(BigInt(known.liveBytes))} live, `;
  const lag = known.indexLagBytes === '0' ? 'up to date' : `${sizeText(BigInt(known.indexLagBytes))} behind`;
  const external = known.externalTransactions === 0 ? '' : `  outside   ${counted(known.externalTransactions, 'transaction')} made of changes past the mount\n`;
  return [
    `  last      txn-${known.txid}, ${localTime(BigInt(known.lastTimeNs))}${by}\n`,
    `  oldest    ${localTime(BigInt(known.oldestNs))}\n`,
    `  size      ${live}${sizeText(BigInt(known.historyBytes))} of history in ${counted(known.transactions, 'transaction')}\n`,
    `  index     ${lag}\n`,
    external,
    ...known.notices.map((notice) => `  note      ${notice}\n`),
  ].join('');
}
