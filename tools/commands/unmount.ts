/** `tidemark unmount DIR`: flushes, closes and unmounts; says who keeps the mount busy; clears the mount of a dead daemon. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ControlClient } from '../control-client.js';
import { codeOf, CommandError, DaemonError, isAbsent } from '../errors.js';
import { clearStale, detach, isOurs, mountAt } from '../mounts.js';
import { print } from '../output.js';
import { usersElsewhere, usersOf } from '../processes.js';
import { allEntries, liveEntries, unregister } from '../registry.js';
import type { RegistryEntry } from '../registry.js';
import { tryLocate } from '../locate.js';

const mostUsersShown = 5;

interface UnmountOptions {
  readonly lazy?: true;
  readonly json?: true;
}

export function addUnmount(program: Command): void {
  program.command('unmount').description('flush, close and unmount a volume').argument('<DIR>', 'the directory or its mountpoint')
    .option('--lazy', 'take the mount away at once, though it is in use')
    .option('--json', 'print the result as JSON')
    .action(unmount);
}

async function unmount(argument: string, options: UnmountOptions): Promise<void> {
  const place = realPlace(argument);
  const entries = allEntries().filter(({ entry }) => entry.directory === place || entry.mountpoint === place);
  const live = entries.find(({ alive }) => alive)?.entry;
  const dead = entries.find(({ alive }) => !alive)?.entry;
  let how = 'unmounted';
  if (live !== undefined && options.lazy) {
    detach(live.mountpoint);
    how = 'detached: its daemon ends when its last user is done';
  } else if (live !== undefined) {
    await unmountLive(live);
  } else if (clearStale(dead?.mountpoint ?? place) > 0 || dead !== undefined) {
    if (dead !== undefined) unregister(dead);
    how = 'unmounted; its daemon had died, and the next mount recovers what it left';
  } else {
    refuse(argument, place);
  }
  await print(options.json ? `${JSON.stringify({ mounted: false, directory: live?.directory ?? place, how })}\n` : `${live?.directory ?? place} is ${how}\n`);
}

/** Returns when the daemon has closed the volume. */
async function unmountLive(entry: RegistryEntry): Promise<void> {
  const client = await ControlClient.connect(entry);
  try {
    await client.ask('unmount', {});
    await client.closed;
  } catch (error) {
    if (error instanceof DaemonError && error.daemonCode === 'EBUSY') throw busy(entry);
    throw error;
  } finally {
    client.close();
  }
}

function busy(entry: RegistryEntry): CommandError {
  const mount = mountAt(entry.mountpoint);
  // Another daemon may have followed meanwhile.
  const daemon = liveEntries().find(({ id }) => id === entry.id) ?? entry;
  const users = mount === undefined ? usersElsewhere(entry.mountpoint) : usersOf(mount, daemon.pid);
  const named = users.slice(0, mostUsersShown).map((user) => `${user.command} (pid ${user.pid}) ${user.how}`);
  const more = users.length > mostUsersShown ? ` and ${users.length - mostUsersShown} more` : '';
  const who = named.length === 0 ? ' by a process you may not look into' : `: ${named.join(', ')}${more}`;
  if (mount === undefined) return new CommandError(`${entry.mountpoint} is unmounted here, but in use in another mount namespace${who}`, 'end that, and say it again');
  return new CommandError(`${entry.mountpoint} is in use${who}`, 'end that, or use --lazy');
}

function refuse(argument: string, place: string): never {
  const inside = tryLocate(argument);
  const mount = mountAt(place);
  if (mount !== undefined && isOurs(mount)) {
    throw new CommandError(`${place} was mounted by another user`, 'run it as that user or with sudo');
  }
  if (inside !== undefined && inside.path !== '/') {
    throw new CommandError(`${place} is not a volume but lies in one`, `say \`tidemark unmount ${inside.mountpoint}\``);
  }
  throw new CommandError(`${place} is not mounted`, '`tidemark status` lists what is');
}

function realPlace(argument: string): string {
  const absolute = resolve(argument);
  try {
    return realpathSync.native(absolute);
  } catch (error) {
    if (codeOf(error) !== 'ENOTCONN' && !isAbsent(error)) throw error;
    return isAbsent(error) ? absolute : join(realpathSync.native(dirname(absolute)), basename(absolute));
  }
}
