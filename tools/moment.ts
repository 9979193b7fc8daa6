/**
 * The moment a command works at: the text after `--at` becomes a transaction (asked of the daemon, which says clearly what is wrong
 * with it) and the directory below `.snapshots` that shows it.
 *
 * Invariants:
 * 1. Files are read through that directory, so that the kernel checks the permissions of the one who asks.
 */
import { lstatSync } from 'node:fs';
import { bytesOf, fromText, joinPath, shown } from './byte-path.js';
import type { BytePath } from './byte-path.js';
import type { ControlClient } from './control-client.js';
import { CommandError, isAbsent } from './errors.js';
import type { Located } from './locate.js';

export interface Moment {
  /** As typed, without "@". */
  readonly text: string;
  /** undefined when the daemon could not be asked. */
  readonly txid?: string;
  readonly timeNs?: bigint;
  /** `<mountpoint>/.snapshots/@…` */
  readonly root: BytePath;
}

/** Throws DaemonError when the moment cannot be read, lies in the future or before the history; CommandError. */
export async function momentAt(located: Located, text: string, client: ControlClient | undefined): Promise<Moment> {
  const bare = text.startsWith('@') ? text.slice(1) : text;
  if (bare === '' || bare.includes('/')) throw new CommandError(`"${text}" is not a moment`, 'write it like 2026-11-22T07-00-00Z, 5m, yesterday, txn-1234 or the name of a pin');
  if (client === undefined) return unaskedMoment(located, bare);
  const { txid, timeNs } = await client.ask('moment', { text: bare });
  return { text: bare, txid, timeNs: BigInt(timeNs), root: joinPath(located.mountpoint, '.snapshots', `@txn-${txid}`) };
}

/** Another user's volume: the mount itself understands the same words, it only cannot say what is wrong with them. */
function unaskedMoment(located: Located, text: string): Moment {
  const root = joinPath(located.mountpoint, '.snapshots', `@${fromText(text)}`);
  try {
    lstatSync(bytesOf(root));
  } catch (error) {
    if (isAbsent(error)) throw new CommandError(`there is no moment "${text}" in ${shown(located.mountpoint)}`, 'write it like 2026-11-22T07-00-00Z, 5m or yesterday, neither in the future nor before the oldest');
    throw error;
  }
  return { text, root };
}

/** What stands for a file in a snapshot that does not show it. */
export function absentAt(name: string, at: string): CommandError {
  return new CommandError(`${name} did not exist at ${at}, or is not kept that long`, '`tidemark log` shows when it did, `tidemark policy` what is kept');
}

/** The path of what was located as it was at the moment. */
export function pathAt(moment: Moment, path: BytePath): BytePath {
  return joinPath(moment.root, path);
}
