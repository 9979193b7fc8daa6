/**
 * Opening and closing the connection to a daemon around a piece of work, so that no command forgets the closing.
 */
import { ControlClient } from './control-client.js';
import { daemonOf } from './locate.js';
import type { Located } from './locate.js';
import { CommandError } from './errors.js';
import type { StatusReply } from './protocol.js';
import type { RegistryEntry } from './registry.js';

/** Runs `work` with a connection to the daemon of what was located. Throws CommandError when there is none. */
export async function withDaemon<T>(located: Located, work: (client: ControlClient) => Promise<T>): Promise<T> {
  const client = await daemonOf(located);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** How a registered volume stands. Throws CommandError when its daemon does not answer. */
export async function askStatus(entry: RegistryEntry): Promise<StatusReply> {
  const client = await ControlClient.connect(entry);
  try {
    return await client.ask('status', {});
  } finally {
    client.close();
  }
}

/** As `withDaemon`, but without a connection where another user's daemon cannot be asked. */
export async function withDaemonIfAllowed<T>(located: Located, work: (client: ControlClient | undefined) => Promise<T>): Promise<T> {
  let client: ControlClient | undefined;
  try {
    client = await daemonOf(located);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
  try {
    return await work(client);
  } finally {
    client?.close();
  }
}
