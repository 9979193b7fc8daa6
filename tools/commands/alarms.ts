/**
 * `tidemark alarms DIR`: shows who is told of what, and changes it. Of a mounted volume the daemon is asked, and acts at once; else the file in the store is changed.
 */
import { join } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { changeConfig, keepConfig, massChangeModes, readConfig, sinkName } from '../alarms/config.js';
import type { AlarmChange, AlarmConfig } from '../alarms/config.js';
import type { SinkResult } from '../alarms/dispatcher.js';
import { alarmText, jsonConfig, jsonUpkeep, textConfig } from '../alarms/shown.js';
import { completeSink, parseAddress, parseSinkName, parseSmtp, refuseMailOptions } from '../alarms/sink-argument.js';
import type { NamedSink, SinkOptions } from '../alarms/sink-argument.js';
import { parseDuration, parseNumber, parseSize, parseTimeOfDay } from '../arguments.js';
import { withDaemon } from '../asking.js';
import { shown } from '../byte-path.js';
import type { ControlClient } from '../control-client.js';
import { CommandError, UsageError } from '../errors.js';
import { counted } from '../format.js';
import { tryLocate } from '../locate.js';
import { print } from '../output.js';
import type { AlarmsReply } from '../protocol.js';
import { storeDirectory, withVolume } from '../unmounted.js';

interface AlarmsOptions extends SinkOptions {
  readonly addSink?: NamedSink;
  readonly removeSink?: string;
  readonly indexLag?: number;
  readonly indexLagTime?: number;
  readonly logSyncTime?: number;
  readonly diskDays?: number;
  readonly diskFree?: number;
  readonly scrubRound?: number;
  readonly scrubRate?: number;
  readonly digestAt?: string;
  readonly checkEvery?: number;
  readonly massChange?: AlarmConfig['massChange']['mode'];
  readonly massChangeFiles?: number;
  readonly release?: true;
  readonly test?: true;
  readonly acknowledge?: true;
  readonly digestNow?: true;
  readonly json?: true;
}

export function addAlarms(program: Command): void {
  program.command('alarms').description('who is told when something stops or fails; without options, show it').argument('<DIR>', 'the volume, mounted or not')
    .option('--add-sink <sink>', 'tell also: log, command:PATH, webhook:URL, mail:ADDRESS', parseSinkName)
    .option('--remove-sink <sink>', 'tell no more; named as it is shown')
    .option('--digest', 'with --add-sink: send it the daily digest, too')
    .option('--smtp <url>', 'with mail: the server, smtp://[user@]host[:port] or smtps://… (default: smtp://localhost)', parseSmtp)
    .option('--from <address>', 'with mail: the sender', parseAddress)
    .option('--password-file <file>', 'with mail: a file that holds the password')
    .option('--password-env <name>', 'with mail: the variable of the daemon\'s environment that holds it')
    .option('--index-lag <size>', 'alarm when the index is so much of the log behind', parseSize)
    .option('--index-lag-time <time>', '… for so long', parseDuration)
    .option('--log-sync-time <time>', 'alarm when records have waited for the disk for so long', parseDuration)
    .option('--disk-days <days>', 'alarm when the disk will be full in so many days', parseNumber)
    .option('--disk-free <percent>', 'alarm when less of the disk is free', parseNumber)
    .option('--scrub-round <time>', 'how long the scrub takes to read the whole log', parseDuration)
    .option('--scrub-rate <size>', 'the most it reads in a second', parseSize)
    .option('--digest-at <HH:MM>', 'when the daily digest is sent', parseTimeOfDay)
    .option('--check-every <time>', 'how often the volume is looked at', parseDuration)
    .addOption(new Option('--mass-change <what>', 'when many files are rewritten, removed or renamed at once').choices(massChangeModes))
    .option('--mass-change-files <count>', '… so many, overwritten within 10 s (of removed and renamed ones half as many again)', parseNumber)
    .option('--release', 'let the processes go on that were stopped for a mass change')
    .option('--acknowledge', 'say no more of what is raised now, unless it gets worse')
    .option('--test', 'send a test to every sink and say how each went')
    .option('--digest-now', 'send the digest now')
    .option('--json', 'print JSON')
    .action(alarms);
}

async function alarms(argument: string, options: AlarmsOptions): Promise<void> {
  const change = changeOf(options);
  const located = tryLocate(argument);
  if (located === undefined) return unmounted(storeDirectory(argument), change, options);
  await withDaemon(located, async (client) => {
    const directory = located.entry?.directory ?? shown(located.mountpoint);
    const reply = change === undefined ? await client.ask('alarms', {}) : await client.ask('alarms-change', { change });
    if (change !== undefined) await tell(options, changeText(change));
    const results = await act(client, options);
    if (options.json) await print(`${JSON.stringify({ directory, mounted: true, ...jsonConfig(reply.config), ...jsonUpkeep(reply), ...(results === undefined ? {} : { test: results }) })}\n`);
    else if (change === undefined && !acts(options)) await print(text(directory, reply));
    const failed = results?.filter(({ error }) => error !== undefined) ?? [];
    if (failed.length > 0) throw new CommandError(`${counted(failed.length, 'sink')} could not be reached: ${failed.map(({ sink }) => sink).join(', ')}`, 'correct the sink, or remove it with --remove-sink');
  });
}

async function unmounted(directory: string, change: AlarmChange | undefined, options: AlarmsOptions): Promise<void> {
  if (acts(options)) throw new CommandError(`${directory} is not mounted, and it is the daemon that does this`, `first: tidemark mount ${directory}`);
  const store = join(directory, '.tidemark');
  let config: AlarmConfig = readConfig(store);
  if (change !== undefined) {
    config = changeConfig(config, change);
    // Opened, so that no daemon has it, who would not hear of the change.
    await withVolume(directory, async () => keepConfig(store, config));
    await tell(options, changeText(change));
  }
  if (options.json) await print(`${JSON.stringify({ directory, mounted: false, ...jsonConfig(config) })}\n`);
  else if (change === undefined) await print(`${directory}: not mounted\n${textConfig(config)}`);
}

/** What was asked to be changed; undefined for nothing. Throws UsageError, CommandError. */
function changeOf(options: AlarmsOptions): AlarmChange | undefined {
  const { addSink, removeSink, digestAt, checkEvery } = options;
  if (addSink === undefined) {
    refuseMailOptions(options);
    if (options.digest) throw new UsageError('--digest belongs to --add-sink');
  }
  const limits = given({ indexLagBytes: options.indexLag, indexLagMs: options.indexLagTime, logSyncMs: options.logSyncTime, diskDays: options.diskDays, diskFreePercent: options.diskFree });
  const scrub = given({ roundMs: options.scrubRound, bytesPerSecond: options.scrubRate });
  const massChange = given({ mode: options.massChange, files: options.massChangeFiles });
  checkBounds(options);
  const change = given({ add: addSink === undefined ? undefined : completeSink(addSink, options), remove: removeSink, limits, scrub, massChange, digestAt, checkEveryMs: checkEvery });
  return change as AlarmChange | undefined;
}

function checkBounds({ indexLag, diskFree, scrubRate, diskDays, checkEvery, massChangeFiles: files }: AlarmsOptions): void {
  if (files !== undefined && (!Number.isInteger(files) || files < 10 || files > 10_000)) throw new UsageError('--mass-change-files is a whole number from 10 to 10000');
  if (indexLag !== undefined && indexLag < 1 << 20) throw new UsageError('--index-lag is 1M at least');
  if (diskFree !== undefined && diskFree > 100) throw new UsageError('--disk-free is a part of a hundred');
  if (diskDays !== undefined && diskDays > 3650) throw new UsageError('--disk-days is 3650 at most');
  if (scrubRate !== undefined && (scrubRate < 64 << 10 || scrubRate > 2 ** 40)) throw new UsageError('--scrub-rate is 64K at least and 1T at most');
  if (checkEvery !== undefined && checkEvery > 3_600_000) throw new UsageError('--check-every is 1h at most');
}

function acts({ test, acknowledge, release, digestNow }: AlarmsOptions): boolean {
  return test === true || acknowledge === true || release === true || digestNow === true;
}

/** Does what was asked for beyond changes; gives the results of a test. */
async function act(client: ControlClient, options: AlarmsOptions): Promise<readonly SinkResult[] | undefined> {
  if (options.acknowledge) {
    const { count } = await client.ask('alarms-acknowledge', {});
    await tell(options, count === 0 ? 'nothing is raised that was not acknowledged\n' : `${counted(count, 'alarm')} acknowledged\n`);
  }
  if (options.release) {
    const { count } = await client.ask('alarms-release', {});
    await tell(options, count === 0 ? 'nothing is stopped\n' : `${counted(count, 'process goes', 'processes go')} on\n`);
  }
  if (options.digestNow) {
    const { sinks } = await client.ask('alarms-digest', {});
    await tell(options, sinks.length === 0 ? 'no sink wants the digest: --add-sink … --digest\n' : `the digest is on its way to ${sinks.join(', ')}\n`);
  }
  if (!options.test) return undefined;
  const { results } = await client.ask('alarms-test', {});
  await tell(options, results.length === 0 ? 'there is no sink to test\n' : results.map(resultText).join(''));
  return results;
}

function resultText({ sink, tries, error }: SinkResult): string {
  if (error !== undefined) return `${sink}: failed: ${error}\n`;
  return `${sink}: well${tries === undefined || tries === 1 ? '' : ` (at try ${tries})`}\n`;
}

function changeText(change: AlarmChange): string {
  const added = change.add === undefined ? '' : `${sinkName(change.add)} is told from now on; try it: --test\n`;
  const removed = change.remove === undefined ? '' : `${change.remove} is told no more\n`;
  const { add: _add, remove: _remove, ...others } = change;
  return `${added}${removed}${Object.keys(others).length === 0 ? '' : 'changed\n'}`;
}

function text(directory: string, reply: AlarmsReply): string {
  const raised = reply.alarms.length === 0 ? '  nothing is raised\n' : reply.alarms.map((item) => `  ALARM     ${alarmText(item)}\n`).join('');
  return `${directory}:\n${raised}${textConfig(reply.config)}`;
}

async function tell(options: AlarmsOptions, line: string): Promise<void> {
  if (!options.json) await print(line);
}

/** The fields that were given; undefined when none was. */
function given<T extends object>(fields: T): Partial<T> | undefined {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return kept.length === 0 ? undefined : (Object.fromEntries(kept) as Partial<T>);
}
