/** `tidemark backup …`: copies of a volume elsewhere. Adding one, running it, looking at it; restoring is in backup-restore.ts. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { collect, parseCount, parseNumber, parseSize } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { parseDestination } from '../backup/destination-argument.js';
import type { DestinationOptions } from '../backup/access-options.js';
import { allBackups, findBackup, withBackup } from '../backup/find.js';
import { defaultLadder } from '../backup/ladder.js';
import type { BackupConfig, RunRecord } from '../backup/record.js';
import { jsonItem, jsonRun, runText, textItem } from '../backup/shown.js';
import { ProgressView } from '../backup/watch.js';
import { UsageError } from '../errors.js';
import { jsonArray } from '../format.js';
import { locate } from '../locate.js';
import { note, print } from '../output.js';
import { placeText } from '../../replica/place.js';
import type { Place } from '../../replica/place.js';
import { change, deviceFor, driveFrom, history, nameFor, nameOrRefuse, namedCommand, refuseInside } from './backup-common.js';
import type { DriveOptions, NameOptions } from './backup-common.js';
import { addBackupRestore } from './backup-restore.js';

interface AddOptions extends DestinationOptions, DriveOptions {
  readonly name?: string;
  readonly timeZone?: string;
  readonly keep: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly bandwidth?: number;
  readonly window?: string;
  readonly verify?: string;
  readonly verifyPercent?: number;
  readonly test?: string;
  readonly testCommand?: string;
  readonly testPath: readonly string[];
  readonly json?: true;
}

export function addBackup(program: Command): void {
  const backup = program.command('backup').description('copies of a volume elsewhere: files that need no program to read');
  addAdd(backup);
  const named = (name: string, description: string): Command => namedCommand(backup, 'backup', name, description);
  named('run', 'run it now, and wait for the end').action((name: string, options: NameOptions) => perform(name, 'run', undefined, options));
  named('verify', 'read back what is there and compare the hashes').option('--percent <number>', 'so many in a hundred of the files, others each time (default: all)', parsePercent)
    .action((name: string, options: NameOptions & { percent?: number }) => perform(name, 'verify', options.percent, options));
  named('test', 'restore it into a scratch directory and run the command of --test-command there').action((name: string, options: NameOptions) => perform(name, 'test', undefined, options));
  named('pause', 'end what is under way, and begin nothing until it is resumed').action((name: string, options: NameOptions) => change('backup', name, 'paused', options));
  named('resume', 'take up the schedule again').action((name: string, options: NameOptions) => change('backup', name, 'resumed', options));
  named('remove', 'forget it; what is at the destination stays').action((name: string, options: NameOptions) => change('backup', name, 'removed', options));
  named('history', 'its runs, newest last').action((name: string, options: NameOptions) => history('backup', name, options));
  backup.command('list').description('all backups of all mounted volumes').option('--volume <DIR>', 'of this one alone').option('--json', 'print JSON').action(list);
  backup.command('status').description('how a backup stands; without NAME, all').argument('[NAME]', 'the backup').option('--volume <DIR>', 'its volume').option('--json', 'print JSON').action(status);
  addBackupRestore(backup);
}

function addAdd(backup: Command): void {
  backup.command('add').description('back up a volume to a place, from now on').argument('<DIR>', 'the mounted volume').argument('<DEST>', 'a directory, ftp://user@host/path, ftps://user@host/path or s3://bucket/prefix')
    .option('--name <name>', 'how it is called (default: after the destination)')
    .option('--schedule <when>', '"0 0 * * *", "Mon 06:00", "06:00", hourly, continuous or on-plug (default: when asked for)')
    .option('--time-zone <zone>', 'of the schedule and the window (default: of the machine)')
    .option('--keep <ladder>', 'of what is replaced or removed; "none": nothing', defaultLadder)
    .addOption(new Option('--include <glob>', 'only files that match (may be repeated)').argParser(collect).default([], 'all'))
    .addOption(new Option('--exclude <glob>', 'not what matches (may be repeated)').argParser(collect).default([], 'none'))
    .option('--bandwidth <size>', 'so much a second at most, as 5M', parseSize)
    .option('--window <from-to>', 'only between these times of day, as 22:00-06:00')
    .option('--drive-label <label>', 'with on-plug: the drive, by its label; DEST is then a path on it')
    .option('--drive-id <uuid>', 'with on-plug: the drive, by its file system\'s id')
    .option('--password-file <file>', 'a file that holds the password (of S3: access key and secret key)').option('--password-env <name>', 'the variable of the daemon\'s environment that holds it')
    .addOption(new Option('--tls <how>', 'explicit: asked for on the ordinary port; implicit: from the first byte').choices(['explicit', 'implicit']))
    .option('--ca <file>', 'trust the certificates in this file instead of the system\'s').option('--pin <sha256>', 'trust the certificate with this fingerprint and no other')
    .option('--clear-text', 'no TLS: everybody on the way reads the files and the password')
    .option('--connections <number>', 'at once, to an FTP server or an S3 store', parseCount)
    .option('--endpoint <url>', 'of an S3 store, as https://s3.example.org (default: Amazon\'s)').option('--region <name>', 'of an S3 store (default: us-east-1)').option('--path-style', 'of an S3 store: the bucket stands in the path, not in the host\'s name')
    .option('--verify <when>', 'verify it on a schedule').option('--verify-percent <number>', '… so many in a hundred of the files (default: 10)', parsePercent)
    .option('--test <when>', 'try a restore on a schedule').option('--test-command <command>', '… and run this command where it was restored')
    .addOption(new Option('--test-path <path>', '… of this path alone (may be repeated)').argParser(collect).default([], 'all'))
    .option('--json', 'print JSON')
    .action(add);
}

async function add(directory: string, destination: string, options: AddOptions): Promise<void> {
  const located = locate(directory);
  if (located.path !== '/') throw new UsageError(`a backup is of a whole volume: name ${located.mountpoint}, and choose with --include`);
  const isOnPlug = options.schedule?.trim() === 'on-plug';
  const place: Place = driveFrom(destination, options) ?? parseDestination(destination, options);
  if (isOnPlug && place.kind !== 'directory') throw new UsageError('on-plug is for drives; give a server a schedule');
  refuseInside(place, located.mountpoint);
  const device = isOnPlug && place.kind === 'directory' ? await deviceFor(place, options) : undefined;
  const config = configOf(place, device, options);
  const item = await withDaemon(located, (client) => client.ask('backup-add', { config }));
  if (options.json) return print(`${JSON.stringify(jsonItem(item))}\n`);
  await print(`${item.directory} is backed up to ${placeText(config.place)} as "${config.name}"${config.schedule === undefined ? '' : `, ${config.schedule}`}\n`);
  if (config.schedule !== 'continuous') await print(`to run it now: tidemark backup run ${config.name}\n`);
}

function configOf(place: Place, device: BackupConfig['device'], options: AddOptions): BackupConfig {
  if (options.window !== undefined && !/^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/.test(options.window)) throw new UsageError('--window is written like 22:00-06:00');
  if (options.testCommand !== undefined && options.test === undefined) throw new UsageError('--test-command belongs to --test');
  return {
    name: nameOrRefuse(options.name ?? nameFor(place), 'backup'), place, keep: options.keep, include: [...options.include], exclude: [...options.exclude],
    ...(options.schedule === undefined ? {} : { schedule: options.schedule.trim() }), ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
    ...(options.bandwidth === undefined ? {} : { bytesPerSecond: options.bandwidth }), ...(options.window === undefined ? {} : { window: options.window }),
    ...(device === undefined ? {} : { device }),
    ...(options.verify === undefined ? {} : { verify: { schedule: options.verify, percent: options.verifyPercent ?? 10 } }),
    ...(options.test === undefined ? {} : { test: { schedule: options.test, command: options.testCommand ?? 'true', paths: [...options.testPath] } }),
  };
}

async function perform(name: string, task: 'run' | 'verify' | 'test', percent: number | undefined, options: NameOptions): Promise<void> {
  const view = new ProgressView();
  await withBackup(name, options.volume, 'backup', async (client, { item }) => {
    if (task === 'test' && item.config.test === undefined) await note(`tidemark: "${name}" has no --test-command: only the restore is tried`);
    let record: RunRecord;
    try {
      record = await client.ask('backup-run', { name, task, ...(percent === undefined ? {} : { percent }) }, (report) => { view.show(report); });
    } finally {
      view.stop();
    }
    await print(options.json ? `${JSON.stringify(jsonRun(record))}\n` : `${runText(record)}\n`);
  });
}

async function list(options: NameOptions): Promise<void> {
  const found = await allBackups(options.volume);
  if (options.json) return print(jsonArray(found.map(({ item }) => jsonItem(item))));
  if (found.length === 0) return print('there is no backup; make one: tidemark backup add DIR DEST\n');
  for (const { item } of found) {
    const { config, faults, isPaused, doing } = item;
    const state = faults.length > 0 ? 'FAULT' : isPaused ? 'paused' : doing === undefined ? (item.timeNs === undefined ? 'new' : 'well') : `${doing.task} under way`;
    await print(`${config.name}: ${item.directory} → ${placeText(config.place)}, ${config.schedule ?? 'when asked for'}: ${state}\n`);
  }
}

async function status(name: string | undefined, options: NameOptions): Promise<void> {
  const found = name === undefined ? await allBackups(options.volume) : [await findBackup(name, options.volume)];
  if (options.json) return print(name === undefined ? jsonArray(found.map(({ item }) => jsonItem(item))) : `${JSON.stringify(jsonItem(found[0]!.item))}\n`);
  if (found.length === 0) return print('there is no backup; make one: tidemark backup add DIR DEST\n');
  await print(found.map(({ item }) => textItem(item)).join('\n'));
}

function parsePercent(text: string): number {
  const value = parseNumber(text);
  if (value <= 0 || value > 100) throw new UsageError('--percent is a number above 0, 100 at most');
  return value;
}

