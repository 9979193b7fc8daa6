/**
 * `tidemark backup restore NAME [PATH] --to DIR`: brings back files from a destination. NAME may be the destination itself (a directory, an ftps:// address): then nothing is needed but it, neither a volume nor a daemon.
 */
import { mkdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readMoment } from '../../engine/moments.js';
import { shown } from '../../replica/paths.js';
import { restoreBackup } from '../../replica/restore.js';
import type { RestoreResult } from '../../replica/restore.js';
import type { DestinationOptions } from '../backup/access-options.js';
import { openBackup } from '../backup/open-backup.js';
import type { OpenedBackup } from '../backup/open-backup.js';
import { argumentPath } from '../byte-path.js';
import { CommandError } from '../errors.js';
import { counted, jsonTime, localTime, modeText, table, userText } from '../format.js';
import { note, print } from '../output.js';
import { Progress } from '../restore/progress.js';

const mostFailuresShown = 20;

interface RestoreOptions extends DestinationOptions {
  readonly at?: string;
  readonly to?: string;
  readonly list?: true;
  readonly volume?: string;
  readonly json?: true;
}

export function addBackupRestore(backup: Command): void {
  backup.command('restore').description('bring back files from a backup').argument('<NAME>', 'the backup, or its destination: then no volume is needed').argument('[PATH]', 'a file or directory in it (default: all)')
    .option('--at <T>', 'from the last backup that is not younger (default: the last one)')
    .option('--to <DIR>', 'a directory to restore into; made if it is not there')
    .option('--list', 'show what is there instead')
    .option('--volume <DIR>', 'its volume, where two have a backup of that name')
    .option('--password-file <file>', 'with a server: a file that holds the password').option('--password-env <name>', '… the variable that holds it')
    .option('--ca <file>', '… trust the certificates in this file').option('--pin <sha256>', '… trust this certificate and no other').option('--clear-text', '… no TLS')
    .option('--endpoint <url>', 'with an S3 store: where it is').option('--region <name>', '… its region').option('--path-style', '… the bucket stands in the path')
    .option('--json', 'print JSON')
    .action(restore);
}

async function restore(name: string, pathArgument: string | undefined, options: RestoreOptions): Promise<void> {
  if (options.to === undefined && options.list === undefined) throw new CommandError('it is not said where to restore to', 'name a directory with --to DIR, or look with --list');
  const path = pathArgument === undefined ? '' : argumentPath(pathArgument).replace(/^\/+|\/+$/g, '');
  const atNs = options.at === undefined ? undefined : timeOf(options.at);
  const backup = await openBackup(name, path, atNs, options);
  try {
    const { found, timeNs } = backup;
    if (found.length === 0 && path !== '') throw new CommandError(`${shown(path)} is not in the backup of ${localTime(timeNs).slice(0, 19)}`, `\`tidemark backup restore ${name} --list\` shows what is`);
    if (options.list) return await list(backup, options);
    const target = targetOf(options.to!);
    const progress = new Progress(found.reduce((sum, { entry }) => sum + entry.size, 0));
    let result: RestoreResult;
    try {
      result = await restoreBackup(backup.source, found, path, target, { onBytes: (count) => { progress.add(count); }, onFile: () => undefined, checkpoint: () => undefined });
    } finally {
      progress.stop();
    }
    await report(result, target, timeNs, options);
  } finally {
    await backup.source.close();
  }
}

function timeOf(text: string): bigint {
  const moment = readMoment(text.replace(/^@/, ''), BigInt(Date.now()) * 1_000_000n);
  if (moment === undefined || 'txid' in moment) throw new CommandError(`"${text}" is no time`, 'write it like 2026-11-22T07-00-00Z, 2d or yesterday');
  return moment.timeNs;
}

function targetOf(to: string): string {
  const target = resolve(to);
  const stat = statSync(target, { throwIfNoEntry: false });
  if (stat === undefined) mkdirSync(target, { recursive: true });
  else if (!stat.isDirectory()) throw new CommandError(`${target} is not a directory`, 'name a directory to restore into');
  return target;
}

async function list({ found, moments, directory, host }: OpenedBackup, options: RestoreOptions): Promise<void> {
  if (options.json) {
    const entries = found.map(({ entry }) => ({ path: shown(entry.path), type: entry.type, size: entry.size, time: jsonTime(entry.mtimeNs), mode: entry.mode.toString(8).padStart(4, '0'), uid: entry.uid, gid: entry.gid, ...(entry.sha256 === undefined ? {} : { sha256: entry.sha256 }) }));
    return print(`${JSON.stringify({ directory, host, backups: moments.map(jsonTime), entries })}\n`);
  }
  await print(`backups of ${directory} on ${host}: ${moments.map((timeNs) => jsonTime(timeNs).slice(0, 19)).join('Z, ')}Z\n`);
  const typeBits: Readonly<Record<string, number>> = { file: 0o100000, directory: 0o040000, symlink: 0o120000, fifo: 0o010000, socket: 0o140000, 'character-device': 0o020000, 'block-device': 0o060000 };
  const rows = found.map(({ entry }) => [modeText(entry.mode | (typeBits[entry.type] ?? 0)), userText(entry.uid), String(entry.size), localTime(entry.mtimeNs).slice(0, 19), shown(entry.path)]);
  await print(table(rows, [2]));
}

async function report(result: RestoreResult, target: string, timeNs: bigint, options: RestoreOptions): Promise<void> {
  const { restored, unchanged, failures, foreignOwners } = result;
  for (const { path, reason } of failures.slice(0, mostFailuresShown)) await note(`tidemark: ${shown(path)}: ${reason}`);
  if (foreignOwners > 0) await note(`tidemark: ${counted(foreignOwners, 'file')} now belong to you, not to the owner of then; run it as root to give owners back`);
  if (options.json) await print(`${JSON.stringify({ target, time: jsonTime(timeNs), restored, unchanged, failed: failures.length })}\n`);
  else await print(`${target} has the backup of ${localTime(timeNs).slice(0, 19)}: ${counted(restored, 'item')} restored${unchanged === 0 ? '' : `, ${unchanged.toLocaleString('en-US')} were there already`}\n`);
  if (failures.length > 0) throw new CommandError(`${counted(failures.length, 'item')} could not be restored`, 'the lines above say why');
}

