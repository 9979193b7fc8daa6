/**
 * A mount that lasts as long as this process: `mount --foreground` and `start`. The daemon is a process of its own, so that
 * whatever standard output is (even a file in the volume) cannot make the mount wait for itself.
 *
 * Invariants:
 * 1. Ctrl-C or SIGTERM unmounts cleanly; while somebody uses the mount it says who and waits; a second one takes the mount away at once.
 * 2. When this process is killed the daemon notices, and unmounts.
 */
import { ControlClient } from './control-client.js';
import type { DaemonOptions, Ready } from './daemon-options.js';
import { CommandError } from './errors.js';
import { launch } from './launch.js';
import { detach, mountAt } from './mounts.js';
import { note } from './output.js';
import { usersOf } from './processes.js';
import type { WatchItem } from './protocol.js';
import { liveEntries } from './registry.js';
import type { RegistryEntry } from './registry.js';

export interface ForegroundHooks {
  readonly onReady: (ready: Ready) => Promise<void>;
  /** Called for each new version; versions are not asked for when absent. */
  readonly onVersion?: (item: WatchItem) => void;
}

/** Returns when the mount has ended. Throws CommandError when it cannot begin, or ends by itself. */
export async function foreground(options: DaemonOptions, hooks: ForegroundHooks): Promise<void> {
  const { ready, disconnect, ended } = await launch(options);
  let signals = 0;
  const stop = (): void => {
    signals += 1;
    // Ending the tie tells the daemon to unmount as soon as it can.
    if (signals === 1) {
      disconnect();
      sayWhoIsThere(options);
    } else if (mountAt(options.mountpoint) !== undefined) {
      detach(options.mountpoint);
    }
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  await hooks.onReady(ready);
  const unwatched = new AbortController();
  if (hooks.onVersion !== undefined) void watch(await ControlClient.connect(entryOf(options)), options, hooks.onVersion, unwatched.signal);
  await ended;
  unwatched.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, stop);
  if (signals === 0 && mountAt(options.mountpoint)?.type === 'fuse.tidemark') {
    throw new CommandError(`the daemon of ${options.directory} has died`, `look into ${options.log}; \`tidemark mount ${options.directory}\` recovers`);
  }
}

function entryOf({ mountpoint }: DaemonOptions): RegistryEntry {
  const entry = liveEntries().find((candidate) => candidate.mountpoint === mountpoint);
  if (entry === undefined) throw new CommandError('the daemon ended at once', 'its log in the runtime directory says why');
  return entry;
}

/** Goes on with each daemon that follows. */
async function watch(first: ControlClient, options: DaemonOptions, onVersion: (item: WatchItem) => void, unwanted: AbortSignal): Promise<void> {
  let client = first;
  unwanted.addEventListener('abort', () => client.close());
  try {
    for (;;) {
      // It ends when the daemon ends, which `ended` reports.
      client.ask('watch', {}, onVersion).catch(() => undefined);
      await client.closed;
      if (unwanted.aborted) return;
      client = await ControlClient.connect(entryOf(options));
    }
  } catch {
    // No daemon followed.
  }
}

/** Given a moment to unmount, the daemon either has ended or somebody is in the way. */
function sayWhoIsThere(options: DaemonOptions): void {
  const timer = setTimeout(() => {
    const mount = mountAt(options.mountpoint);
    if (mount === undefined) return;
    const daemon = liveEntries().find((entry) => entry.mountpoint === options.mountpoint);
    const users = usersOf(mount, daemon?.pid ?? 0).map((user) => `${user.command} (pid ${user.pid}) ${user.how}`);
    const who = users.length === 0 ? 'it is in use' : users.join('; ');
    void note(`tidemark: waiting to unmount ${options.mountpoint}: ${who}; press Ctrl-C again to take it away at once`);
  }, 1000);
  timer.unref();
}
