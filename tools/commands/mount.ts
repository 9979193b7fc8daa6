/** `tidemark mount DIR [MOUNTPOINT]`: starts a daemon that mounts the directory, and returns when it is ready. */
import { join } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { driverNames } from '../../fs/drivers/names.js';
import type { DriverName } from '../../fs/drivers/names.js';
import { collect, parseInterval, parseListen } from '../arguments.js';
import type { Listen } from '../arguments.js';
import type { DaemonOptions } from '../daemon-options.js';
import { CommandError } from '../errors.js';
import { foreground } from '../foreground.js';
import { launch } from '../launch.js';
import { checkPlaces } from '../mount-checks.js';
import type { Places } from '../mount-checks.js';
import { note, print } from '../output.js';
import { ensureRuntime, logName } from '../runtime.js';

export interface MountOptions {
  readonly foreground?: true;
  readonly everyWrite?: true;
  readonly history: DaemonOptions['history'];
  readonly snapshots: 'hidden' | 'visible';
  readonly snapshotAccess: 'then-and-now' | 'then';
  readonly allowOther?: true;
  readonly keepAwake: boolean;
  readonly keeper: boolean;
  readonly interval: number;
  readonly exclude: readonly string[];
  readonly driver: DriverName;
  readonly metricsListen?: Listen;
  readonly json?: true;
}

export function addMount(program: Command): void {
  const command = program.command('mount').description('protect a directory: mount over it, or at MOUNTPOINT').argument('<DIR>', 'the directory to protect').argument('[MOUNTPOINT]', 'an empty directory outside DIR');
  command.option('--foreground', 'stay until Ctrl-C, then unmount');
  addMountOptions(command);
  command.option('--json', 'print the result as JSON');
  command.action(mount);
}

/** The options that `mount` and `start` share. */
export function addMountOptions(command: Command): void {
  command
    .option('--every-write', 'make each write(2) a version of its own (slower)')
    .addOption(new Option('--history <kind>', 'strict: history survives a power cut; exact: to the last name and time (slower); relaxed: nothing waits for it').choices(['exact', 'strict', 'relaxed']).default('strict'))
    .addOption(new Option('--snapshots <how>', 'list .snapshots in the root directory or not').choices(['hidden', 'visible']).default('hidden'))
    .addOption(new Option('--snapshot-access <rule>', 'whose permission reading the past needs').choices(['then-and-now', 'then']).default('then-and-now'))
    .option('--allow-other', 'let other users in (needs user_allow_other in /etc/fuse.conf; root always does)')
    .option('--no-keep-awake', 'let idle processors sleep between requests (saves power, slows small operations)')
    .option('--no-keeper', 'let the mount end when its daemon dies, rather than start another daemon for it')
    .addOption(new Option('--interval <time>', 'longest time that unsynced writes stay without a version').argParser(parseInterval).default(1000, '1s'))
    .addOption(new Option('--exclude <glob>', 'keep no history of these names (may be repeated)').argParser(collect).default([], 'none'))
    .option('--metrics-listen <[address:]port>', 'serve /metrics to Prometheus there (without an address: on the loopback)', parseListen)
    .addOption(new Option('--driver <name>', 'what speaks to the kernel').choices([...driverNames]).default('native'));
}

async function mount(directoryArgument: string, mountpointArgument: string | undefined, options: MountOptions): Promise<void> {
  const places = checkPlaces(directoryArgument, mountpointArgument);
  if (options.foreground) {
    await foreground(daemonOptions(places, options, 'parent'), { onReady: (ready) => announce(places, ready, options) });
    return;
  }
  const { ready, letGo } = await launch(daemonOptions(places, options, 'unmount'));
  letGo();
  await announce(places, ready, options);
}

export function daemonOptions(places: Places, options: MountOptions, until: DaemonOptions['until']): DaemonOptions {
  return {
    directory: places.directory,
    mountpoint: places.mountpoint,
    history: options.history,
    exclude: [...options.exclude],
    writeback: options.everyWrite !== true,
    intervalMs: options.interval,
    keepAwake: options.keepAwake,
    snapshotsVisible: options.snapshots === 'visible',
    snapshotAccess: options.snapshotAccess,
    allowOther: letsOthersIn(options),
    driver: options.driver,
    keeper: options.keeper && options.driver === 'native',
    ...(options.metricsListen === undefined ? {} : { metricsListen: options.metricsListen }),
    log: join(ensureRuntime(), logName(places.directory)),
    until,
  };
}

/** Throws CommandError. */
function letsOthersIn({ driver, allowOther }: MountOptions): boolean {
  if (driver === 'native') return allowOther === true || process.getuid?.() === 0;
  if (allowOther === true) throw new CommandError(`the driver ${driver} lets only the user in who mounts`, 'leave out --allow-other, or mount with the driver native');
  return false;
}

/** One line, and one more on stderr for each thing that was found and repaired. */
async function announce(places: Places, ready: { pid: number; protocol: string; features: readonly string[]; notices: readonly string[] }, options: MountOptions): Promise<void> {
  const notices = [...(places.clearedCount > 0 ? ['cleared a mount whose daemon had died'] : []), ...ready.notices];
  if (options.json) {
    const { directory, mountpoint } = places;
    await print(`${JSON.stringify({ mounted: true, directory, mountpoint, pid: ready.pid, driver: options.driver, protocol: ready.protocol, features: ready.features, notices })}\n`);
    return;
  }
  for (const notice of notices) await note(`tidemark: ${notice}`);
  const where = places.mountpoint === places.directory ? '' : ` at ${places.mountpoint}`;
  await print(`${places.directory} is protected${where}: its past is in ${places.mountpoint}/.snapshots\n`);
}
