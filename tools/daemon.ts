/**
 * The daemon: the one file that builds the whole. It opens the volume, mounts it, answers commands on a control socket,
 * and closes everything when the mount has ended. launch.ts starts it with its options as one JSON argument.
 *
 * Invariants:
 * 1. After the mount stands, this process touches no path that may lie in it: not the directory, not modules to load (all are
 *    imported above), not the log (its descriptor was opened before). Threads and processes of its own may: the live tree is served by other threads than those that wait.
 * 2. There is one way out: the mount ends, then the volume is closed, then the entry goes, then the connections end. A command that waits for
 *    its connection's end therefore finds the volume free.
 * 3. The umask is 0 while the mount stands: the kernel has already applied the caller's.
 */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { Volume } from '../engine/volume.js';
import { mountVolume, prepareDriver } from '../fs/mount.js';
import type { Mounted } from '../fs/mount.js';
import type { Keeper } from '../native/types.js';
import { Alarms } from './alarms/alarms.js';
import { Courier } from './alarms/courier.js';
import { Backups } from './backup/backups.js';
import { socketForUsers } from './backup/session-protocol.js';
import { UsersServer } from './backup/users-server.js';
import { ControlServer } from './control-server.js';
import { daemonOptionsSchema } from './daemon-options.js';
import type { DaemonOptions, Started } from './daemon-options.js';
import { codeOf } from './errors.js';
import { createHandlers, statusOf, unmountServed } from './handlers.js';
import type { Served } from './handlers.js';
import { canOutlive, connectKeeper, giveSigns, restartFacts } from './kept.js';
import { MetricsServer } from './metrics-server.js';
import { detach } from './mounts.js';
import { PairDesk } from './pair/desk.js';
import { startTicks } from './processes.js';
import { startPruning } from './pruning-timer.js';
import { register, unregister } from './registry.js';
import type { RegistryEntry } from './registry.js';

const retryUnmountMs = 500;
/** A mount stands after about this time, also where there are very many files. TIDEMARK_PATIENCE_MS is for tests. */
const patienceMs = Number(process.env['TIDEMARK_PATIENCE_MS'] ?? 250);

async function main(): Promise<void> {
  process.chdir('/');
  process.umask(0o077);
  const keeper = connectKeeper();
  const options = daemonOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'));
  process.title = `tidemark: ${options.directory}`;
  const logger = pino({ base: { pid: process.pid } }, pino.destination({ dest: options.log, append: true, sync: true, mode: 0o600 }));
  process.on('uncaughtException', (error) => {
    logger.fatal(error, 'uncaught exception');
    process.exit(70);
  });
  process.on('unhandledRejection', (error) => logger.error(error, 'unhandled rejection'));
  try {
    prepareDriver(options.driver);
    const metrics = await listenForMetrics(options, keeper, logger);
    const { served, server } = await start(options, keeper, logger);
    metrics?.serve(() => statusOf(served));
    const { state } = served.mounted;
    logger.info({ directory: options.directory, mountpoint: options.mountpoint, ...state(), restarts: served.restarts }, served.restarts.count > 0 ? 'goes on with the mount' : 'mounted');
    if (keeper !== undefined) giveSigns(keeper, () => served.mounted.state().isKept, (line) => isNotKept(line, served, logger));
    stopOnSignals(served, options, logger);
    startPruning(served, logger);
    const { protocol, features } = served.mounted.state();
    await tellParent({ ready: { pid: process.pid, protocol, features: [...features], notices: [...served.volume.notices] } });
    await finish(served, server, logger, keeper);
  } catch (error) {
    logger.fatal(error, 'failed');
    await tellParent({ failed: { code: codeOf(error) ?? 'EINTERNAL', message: error instanceof Error ? error.message : String(error) } });
    process.exitCode = 1;
  }
  // Whatever thread or timer is left must not keep a daemon without a mount.
  process.exit();
}

/** Before anything is opened: a port that is taken costs nothing then. But whom applications wait for does without. */
async function listenForMetrics({ metricsListen }: DaemonOptions, keeper: Keeper | undefined, logger: Logger): Promise<MetricsServer | undefined> {
  try {
    return metricsListen === undefined ? undefined : await MetricsServer.listen(metricsListen);
  } catch (error) {
    if (keeper?.resumes !== true) throw error;
    logger.error(error, 'no metrics');
    return undefined;
  }
}

function isNotKept(why: string, { volume }: Served, logger: Logger): void {
  const line = `${why}: should this daemon die, too, the mount ends; unmount and mount again at the next occasion`;
  logger.error(line);
  volume.notices.push(line);
}

/** Opens, mounts, listens, registers; on failure takes back what it did and throws. */
async function start(options: DaemonOptions, keeper: Keeper | undefined, logger: Logger): Promise<{ served: Served; server: ControlServer }> {
  // Before the index is opened: it would inherit that file, and keep the disk busy. It ends when its input does, with this process.
  const courier = new Courier();
  const volume = await Volume.open(options.directory, {
    history: options.history,
    exclude: options.exclude,
    failpoint: process.env['TIDEMARK_FAILPOINT'] ?? '',
    patienceMs,
    say: (line) => logger.warn(line),
    ...(keeper?.root === undefined ? {} : { resumedRoot: keeper.root, wasKilled: keeper.why === 'SIGKILL' || keeper.why === 'upgrade' }),
  });
  try {
    const entry = entryFor(volume.id, options, keeper);
    process.umask(0);
    PairDesk.prepare(volume);
    // Nothing is watched before the alarms say so.
    let alarms: Alarms | undefined;
    let pair: PairDesk | undefined;
    const mounted = await mountVolume(volume, {
      mountpoint: options.mountpoint,
      driver: options.driver,
      writeback: options.writeback,
      intervalMs: options.intervalMs,
      keepAwake: options.keepAwake,
      snapshotsVisible: options.snapshotsVisible,
      snapshotAccess: options.snapshotAccess,
      allowOther: options.allowOther,
      // No path: programs that look for a device (mkfs.btrfs) stat each source that is one, and fail at that of a mount whose daemon was killed.
      source: `tidemark:${options.directory}`,
      directory: options.directory,
      ...(keeper === undefined || !canOutlive(options) ? {} : { keeper }),
      onMassChange: (change) => alarms?.massChange(change),
      log: (line) => logger.error(line),
    });
    const backups = new Backups({ volume, entry, logger, exempt: (pid) => alarms!.exempt(pid) });
    alarms = new Alarms({ volume, mounted, directory: options.directory, logger, courier, backups: () => backups.reading(), pair: () => pair?.reading() ?? { complaints: [] } });
    const users = process.getuid?.() === 0 ? await UsersServer.listen(socketForUsers(entry.socket), () => ({ backups: backups.configs().filter(({ sync }) => sync === undefined), volume: volume.id, directory: options.directory }), logger) : undefined;
    void mounted.ended.then(() => { users?.close(); });
    const restarts = keeper === undefined ? { count: 0 } : restartFacts(keeper, keeper.downForMs());
    pair = await openPair(volume, mounted, alarms, options, logger);
    const served: Served = { volume, mounted, entry, driver: options.driver, alarms, backups, restarts, pair, handOver: (program) => mounted.handOver([...program, JSON.stringify(options)]) };
    const server = new ControlServer(createHandlers(served), (error) => logger.error(error, 'request failed'));
    try {
      await server.listen(entry.socket);
      register(entry);
    } catch (error) {
      await mounted.unmount();
      throw error;
    }
    return { served, server };
  } catch (error) {
    await volume.close();
    throw error;
  }
}

/** What the receiver of a standby does is no mass change. On failure nothing stays mounted. */
async function openPair(volume: Volume, mounted: Mounted, alarms: Alarms, options: DaemonOptions, logger: Logger): Promise<PairDesk> {
  try {
    return await PairDesk.open({ volume, mountpoint: options.mountpoint, logger, onReceiver: (pid) => { alarms.exempt(pid); }, onChange: () => { alarms.pairChanged(); } });
  } catch (error) {
    await mounted.unmount();
    throw error;
  }
}

function entryFor(id: string, options: DaemonOptions, keeper: Keeper | undefined): RegistryEntry {
  return {
    id,
    pid: process.pid,
    startTicks: startTicks(process.pid) ?? '',
    directory: options.directory,
    mountpoint: options.mountpoint,
    ...(keeper === undefined ? {} : { keeper: { pid: keeper.pid, startTicks: startTicks(keeper.pid) ?? '' } }),
    socket: join(dirname(options.log), `${id}.sock`),
    log: options.log,
  };
}

/** The first signal unmounts as soon as nobody uses the mount; the second takes the mount out of the tree at once. */
function stopOnSignals(served: Served, options: DaemonOptions, logger: Logger): void {
  let signals = 0;
  const stop = (why: string): void => {
    signals += 1;
    logger.info({ why }, 'asked to end');
    if (signals === 1) void unmountWhenFree(served, logger);
    else if (signals === 2) detach(options.mountpoint);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => logger.info('SIGHUP ignored'));
  if (options.until !== 'parent') return;
  process.on('disconnect', () => stop('parent ended'));
  // It may have ended between two daemons.
  if (!process.connected) stop('parent ended');
}

async function unmountWhenFree(served: Served, logger: Logger): Promise<void> {
  let hasEnded = false;
  void served.mounted.ended.then(() => (hasEnded = true));
  for (let attempts = 0; !hasEnded; attempts += 1) {
    try {
      await unmountServed(served);
      return;
    } catch (error) {
      if (attempts === 0) logger.warn(error, 'cannot unmount yet');
      await sleep(retryUnmountMs);
    }
  }
}

async function finish(served: Served, server: ControlServer, logger: Logger, keeper: Keeper | undefined): Promise<void> {
  const reason = await served.mounted.ended;
  await served.backups.stop();
  const isHandedOver = served.mounted.isHandedOver();
  logger.info({ reason }, isHandedOver ? 'handed over' : 'mount ended');
  if (!isHandedOver) keeper?.say('ended');
  await served.pair.close();
  await served.alarms.close();
  await served.volume.close();
  if (!isHandedOver) unregister(served.entry);
  await server.close();
  logger.info('closed');
}

/** Resolves when the message is on its way, or the parent has gone. */
function tellParent(message: Started): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

await main();
