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
import { mountVolume } from '../fs/mount.js';
import type { Mounted } from '../fs/mount.js';
import { Alarms } from './alarms/alarms.js';
import { Courier } from './alarms/courier.js';
import { ControlServer } from './control-server.js';
import { daemonOptionsSchema } from './daemon-options.js';
import type { DaemonOptions, Started } from './daemon-options.js';
import { codeOf } from './errors.js';
import { createHandlers, statusOf } from './handlers.js';
import type { Served } from './handlers.js';
import { MetricsServer } from './metrics-server.js';
import { detach } from './mounts.js';
import { startTicks } from './processes.js';
import { startPruning } from './pruning-timer.js';
import { register, unregister } from './registry.js';
import type { RegistryEntry } from './registry.js';

const retryUnmountMs = 500;

async function main(): Promise<void> {
  process.chdir('/');
  process.umask(0o077);
  const options = daemonOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'));
  process.title = `tidemark: ${options.directory}`;
  const logger = pino({ base: { pid: process.pid } }, pino.destination({ dest: options.log, append: true, sync: true, mode: 0o600 }));
  process.on('uncaughtException', (error) => {
    logger.fatal(error, 'uncaught exception');
    process.exit(70);
  });
  process.on('unhandledRejection', (error) => logger.error(error, 'unhandled rejection'));
  try {
    const metrics = await listenForMetrics(options);
    const { served, server } = await start(options, logger);
    metrics?.serve(() => statusOf(served));
    logger.info({ directory: options.directory, mountpoint: options.mountpoint, ...served.mounted.state() }, 'mounted');
    stopOnSignals(served.mounted, options, logger);
    startPruning(served, logger);
    const { protocol, features } = served.mounted.state();
    await tellParent({ ready: { pid: process.pid, protocol, features: [...features], notices: [...served.volume.notices] } });
    await finish(served, server, logger);
  } catch (error) {
    logger.fatal(error, 'failed');
    await tellParent({ failed: { code: codeOf(error) ?? 'EINTERNAL', message: error instanceof Error ? error.message : String(error) } });
    process.exitCode = 1;
  }
  // Whatever thread or timer is left must not keep a daemon without a mount.
  process.exit();
}

/** Before anything is opened: a port that is taken costs nothing then. */
async function listenForMetrics({ metricsListen }: DaemonOptions): Promise<MetricsServer | undefined> {
  return metricsListen === undefined ? undefined : MetricsServer.listen(metricsListen);
}

/** Opens, mounts, listens, registers; on failure takes back what it did and throws. */
async function start(options: DaemonOptions, logger: Logger): Promise<{ served: Served; server: ControlServer }> {
  // Before the index is opened: it would inherit that file, and keep the disk busy. It ends when its input does, with this process.
  const courier = new Courier();
  const volume = await Volume.open(options.directory, {
    strict: options.strict,
    exclude: options.exclude,
    failpoint: process.env['TIDEMARK_FAILPOINT'] ?? '',
    say: (line) => logger.warn(line),
  });
  try {
    const { id } = await volume.status();
    const entry = entryFor(id, options);
    process.umask(0);
    const mounted = await mountVolume(volume, {
      mountpoint: options.mountpoint,
      driver: options.driver,
      writeback: options.writeback,
      intervalMs: options.intervalMs,
      keepAwake: options.keepAwake,
      snapshotsVisible: options.snapshotsVisible,
      snapshotAccess: options.snapshotAccess,
      allowOther: options.allowOther,
      source: options.directory,
      log: (line) => logger.error(line),
    });
    const alarms = new Alarms({ volume, directory: options.directory, logger, courier });
    const served: Served = { volume, mounted, entry, driver: options.driver, alarms };
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

function entryFor(id: string, options: DaemonOptions): RegistryEntry {
  return {
    id,
    pid: process.pid,
    startTicks: startTicks(process.pid) ?? '',
    directory: options.directory,
    mountpoint: options.mountpoint,
    socket: join(dirname(options.log), `${id}.sock`),
    log: options.log,
  };
}

/** The first signal unmounts as soon as nobody uses the mount; the second takes the mount out of the tree at once. */
function stopOnSignals(mounted: Mounted, options: DaemonOptions, logger: Logger): void {
  let signals = 0;
  const stop = (why: string): void => {
    signals += 1;
    logger.info({ why }, 'asked to end');
    if (signals === 1) void unmountWhenFree(mounted, logger);
    else if (signals === 2) detach(options.mountpoint);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => logger.info('SIGHUP ignored'));
  if (options.until === 'parent') process.on('disconnect', () => stop('parent ended'));
}

async function unmountWhenFree(mounted: Mounted, logger: Logger): Promise<void> {
  let hasEnded = false;
  void mounted.ended.then(() => (hasEnded = true));
  for (let attempts = 0; !hasEnded; attempts += 1) {
    try {
      await mounted.unmount();
      return;
    } catch (error) {
      if (attempts === 0) logger.warn(error, 'cannot unmount yet');
      await sleep(retryUnmountMs);
    }
  }
}

async function finish(served: Served, server: ControlServer, logger: Logger): Promise<void> {
  const reason = await served.mounted.ended;
  logger.info({ reason }, 'mount ended');
  await served.alarms.close();
  await served.volume.close();
  unregister(served.entry);
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
