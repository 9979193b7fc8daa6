/** `tidemark sync …`: a volume and another directory are kept the same, whichever side was changed. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { placeText } from '../../replica/place.js';
import { choices, policies } from '../../replica/sync/decide.js';
import type { Choice, Policy } from '../../replica/sync/decide.js';
import { collect } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { parseDestination } from '../backup/destination-argument.js';
import { allBackups, findBackup, withBackup } from '../backup/find.js';
import type { BackupConfig, RunRecord } from '../backup/record.js';
import { jsonRun, runText } from '../backup/shown.js';
import { ProgressView } from '../backup/watch.js';
import { CommandError, UsageError } from '../errors.js';
import { jsonArray } from '../format.js';
import { locate } from '../locate.js';
import { print } from '../output.js';
import { jsonConflict, jsonSync, pathOf, textConflict, textSync } from '../sync/shown.js';
import { change, deviceFor, driveFrom, history, nameFor, nameOrRefuse, namedCommand, refuseInside } from './backup-common.js';
import type { DriveOptions, NameOptions } from './backup-common.js';

interface AddOptions extends DriveOptions {
  readonly name?: string;
  readonly timeZone?: string;
  readonly conflict: Policy;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly json?: true;
}

const none = 'there is no sync; make one: tidemark sync add DIR OTHER\n';

export function addSync(program: Command): void {
  const sync = program.command('sync').description('a volume and another directory kept the same, whichever side was changed');
  sync.command('add').description('sync a volume with a directory, from now on').argument('<DIR>', 'the mounted volume').argument('<OTHER>', 'a directory, as on a drive or a share')
    .option('--name <name>', 'how it is called (default: after the directory)')
    .option('--schedule <when>', '"*/10 * * * *", "Mon 06:00", "06:00", hourly, continuous or on-plug (default: when asked for)')
    .option('--time-zone <zone>', 'of the schedule (default: of the machine)')
    .addOption(new Option('--conflict <how>', 'when both sides changed a file: keep-both (one gets another name), newer (the later time wins), ask (leave both until `sync resolve`)').choices([...policies]).default('keep-both'))
    .addOption(new Option('--include <glob>', 'only files that match (may be repeated)').argParser(collect).default([], 'all'))
    .addOption(new Option('--exclude <glob>', 'not what matches (may be repeated)').argParser(collect).default([], 'none'))
    .option('--drive-label <label>', 'with on-plug: the drive, by its label; OTHER is then a path on it')
    .option('--drive-id <uuid>', 'with on-plug: the drive, by its file system\'s id')
    .option('--json', 'print JSON')
    .action(add);
  const named = (name: string, description: string): Command => namedCommand(sync, 'sync', name, description);
  named('run', 'sync now, and wait for the end').option('--force', 'this once, even if more than half of a side is removed by it').action((name: string, options: NameOptions & { force?: true }) => perform(name, options.force === true ? { force: true } : {}, options));
  named('conflicts', 'what both sides changed, with --conflict ask').action(conflicts);
  named('resolve', 'decide a conflict').argument('<PATH>', 'the file, from the root of the volume').addOption(new Option('--keep <which>', 'the version here, the one there, or both').choices([...choices]).makeOptionMandatory()).action(resolve);
  named('pause', 'end what is under way, and begin nothing until it is resumed').action((name: string, options: NameOptions) => change('sync', name, 'paused', options));
  named('resume', 'take up the schedule again').action((name: string, options: NameOptions) => change('sync', name, 'resumed', options));
  named('remove', 'forget it; the files on both sides stay').action((name: string, options: NameOptions) => change('sync', name, 'removed', options));
  named('history', 'its runs, newest last').action((name: string, options: NameOptions) => history('sync', name, options));
  sync.command('list').description('all syncs of all mounted volumes').option('--volume <DIR>', 'of this one alone').option('--json', 'print JSON').action(list);
  sync.command('status').description('how a sync stands; without NAME, all').argument('[NAME]', 'the sync').option('--volume <DIR>', 'its volume').option('--json', 'print JSON').action(status);
}

async function add(directory: string, other: string, options: AddOptions): Promise<void> {
  const located = locate(directory);
  if (located.path !== '/') throw new UsageError(`a sync is of a whole volume: name ${located.mountpoint}, and choose with --include`);
  const place = driveFrom(other, options) ?? parseDestination(other, {});
  if (place.kind !== 'directory') throw new UsageError('a sync is with a directory, as on a drive or a share that is mounted; give a server a backup');
  refuseInside(place, located.mountpoint);
  if (`${located.mountpoint}/`.startsWith(`${place.path.replace(/\/$/, '')}/`) && options.driveLabel === undefined && options.driveId === undefined) throw new UsageError(`the volume lies in ${place.path} itself; choose a place outside`);
  const device = options.schedule?.trim() === 'on-plug' ? await deviceFor(place, options) : undefined;
  const config: BackupConfig = {
    name: nameOrRefuse(options.name ?? nameFor(place), 'sync'), place, keep: 'none', include: [...options.include], exclude: [...options.exclude], sync: { conflict: options.conflict },
    ...(options.schedule === undefined ? {} : { schedule: options.schedule.trim() }), ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }), ...(device === undefined ? {} : { device }),
  };
  const item = await withDaemon(located, (client) => client.ask('backup-add', { config }));
  if (options.json) return print(`${JSON.stringify(jsonSync(item))}\n`);
  await print(`${item.directory} and ${placeText(config.place)} are synced as "${config.name}"${config.schedule === undefined ? '' : `, ${config.schedule}`}\n`);
  if (config.schedule !== 'continuous') await print(`to run it now: tidemark sync run ${config.name}\n`);
}

async function perform(name: string, asked: { readonly force?: boolean; readonly choices?: [string, Choice][] }, options: NameOptions): Promise<void> {
  const view = new ProgressView();
  await withBackup(name, options.volume, 'sync', async (client) => {
    let record: RunRecord;
    try {
      record = await client.ask('backup-run', { name, task: 'run', ...asked }, (report) => { view.show(report); });
    } finally {
      view.stop();
    }
    await print(options.json ? `${JSON.stringify(jsonRun(record))}\n` : `${runText(record)}\n`);
  });
}

async function conflicts(name: string, options: NameOptions): Promise<void> {
  const { item } = await findBackup(name, options.volume, 'sync');
  if (options.json) return print(jsonArray(item.conflicts.map(jsonConflict)));
  await print(item.conflicts.length === 0 ? `"${name}" has no conflict to decide\n` : item.conflicts.map(textConflict).join(''));
}

async function resolve(name: string, path: string, options: NameOptions & { readonly keep: Choice }): Promise<void> {
  const { item } = await findBackup(name, options.volume, 'sync');
  const wanted = pathOf(path, item.directory);
  if (!item.conflicts.some((conflict) => conflict.path === wanted)) throw new CommandError(`"${name}" has no conflict at ${path}`, `\`tidemark sync conflicts ${name}\` shows them`);
  await perform(name, { choices: [[wanted, options.keep]] }, options);
}

async function list(options: NameOptions): Promise<void> {
  const found = await allBackups(options.volume, 'sync');
  if (options.json) return print(jsonArray(found.map(({ item }) => jsonSync(item))));
  if (found.length === 0) return print(none);
  for (const { item } of found) {
    const { config, faults, isPaused, doing, conflicts: open } = item;
    const state = faults.length > 0 ? 'FAULT' : isPaused ? 'paused' : doing !== undefined ? 'under way' : open.length > 0 ? `${open.length} to decide` : item.timeNs === undefined ? 'new' : 'well';
    await print(`${config.name}: ${item.directory} ↔ ${placeText(config.place)}, ${config.schedule ?? 'when asked for'}: ${state}\n`);
  }
}

async function status(name: string | undefined, options: NameOptions): Promise<void> {
  const found = name === undefined ? await allBackups(options.volume, 'sync') : [await findBackup(name, options.volume, 'sync')];
  if (options.json) return print(name === undefined ? jsonArray(found.map(({ item }) => jsonSync(item))) : `${JSON.stringify(jsonSync(found[0]!.item))}\n`);
  await print(found.length === 0 ? none : found.map(({ item }) => textSync(item)).join('\n'));
}
