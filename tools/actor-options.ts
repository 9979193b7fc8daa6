/** Options that say whose changes are meant: --by-user, --by-pid, --by-command. */
import { spawnSync } from 'node:child_process';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { parseCount } from './arguments.js';

export interface ActorOptions {
  /** A user id. */
  readonly byUser?: number;
  readonly byPid?: number;
  readonly byCommand?: string;
}

export function addActorOptions(command: Command): Command {
  return command.option('--by-user <U>', 'changes of this user (name or number)', parseUser)
    .option('--by-pid <P>', 'changes of this process', parseCount)
    .option('--by-command <C>', 'changes of processes of this name', parseCommand);
}

/** As the daemon is asked. */
export function actorOf({ byUser, byPid, byCommand }: ActorOptions): { uid?: number; pid?: number; command?: string } {
  return { ...(byUser === undefined ? {} : { uid: byUser }), ...(byPid === undefined ? {} : { pid: byPid }), ...(byCommand === undefined ? {} : { command: byCommand }) };
}

function parseUser(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff) return Number(text);
  // Users need not be in /etc/passwd.
  const { status, stdout } = spawnSync('id', ['-u', '--', text], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  if (status !== 0) throw new InvalidArgumentError('There is no such user.');
  return Number(stdout);
}

/** The kernel keeps 15 bytes of a command's name. */
function parseCommand(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return Buffer.from(text).subarray(0, 15).toString();
}
