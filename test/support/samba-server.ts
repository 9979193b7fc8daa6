/**
 * A Samba server of a test: Debian's smbd on a loopback port, with a configuration, passwords and directories of its own, and smbclient to ask it. In: sections of
 * smb.conf. Out: what clients are told.
 *
 * Invariants:
 * 1. Nothing outside the given directory is read as configuration or written.
 * 2. When `stop` has returned, no process of the server is left.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, freePort } from './ports.js';
import { isAlive, run, runWell, start, until } from './processes.js';
import type { Outcome } from './processes.js';

const password = 'a-word';

export class SambaServer {
  /** Its smb.conf. */
  readonly config: string;
  readonly #directory: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.#port = port;
    this.config = join(directory, 'smb.conf');
  }

  /** Starts a server in a fresh directory. `users`: system users who may connect. */
  static async start(directory: string, sections: string, users: readonly string[]): Promise<SambaServer> {
    mkdirSync(join(directory, 'private'), { recursive: true });
    const server = new SambaServer(directory, await freePort());
    writeFileSync(server.config, `${globalSection(directory, server.#port)}${sections}`);
    for (const user of users) await runWell('smbpasswd', ['-c', server.config, '-a', '-s', user], { input: `${password}\n${password}\n` });
    // In a session of its own: at its end it sends SIGTERM to all of its group. Its input is no socket (as pipes of Node are): it would take that for its client.
    const child = start('setsid', ['sh', '-c', 'exec "$@" </dev/null', 'sh', 'smbd', '--foreground', '--no-process-group', '--debug-stdout', '-s', server.config]);
    server.#child = child;
    const said: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk));
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`smbd ended with status ${child.exitCode}: ${Buffer.concat(said).toString()}`);
      return answers(server.#port);
    }, 'smbd to listen');
    return server;
  }

  /** What smbclient says to a command. */
  async ask(user: string, share: string, command: string): Promise<Outcome> {
    return run('smbclient', ['-s', this.config, '-p', String(this.#port), '-U', `${user}%${password}`, `//127.0.0.1/${share}`, '-c', command], { cwd: this.#directory });
  }

  /** The previous versions of a path, as Windows names them, in the order in which they are told. */
  async versions(user: string, share: string, path: string): Promise<string[]> {
    const { stdout } = await this.ask(user, share, `allinfo "${path}"`);
    return stdout.split('\n').filter((line) => line.startsWith('@GMT-'));
  }

  /** The text of a file, of now or (with a version before the path) of then; what the server says when it refuses. */
  async text(user: string, share: string, path: string): Promise<string> {
    const copy = join(this.#directory, 'copy');
    rmSync(copy, { force: true });
    const { status, stdout, stderr } = await this.ask(user, share, `get "${path}" copy`);
    return status === 0 ? readFileSync(copy, 'utf8') : refusalIn(stdout + stderr);
  }

  /** Names in a directory, of now or of then; what the server says when it refuses. */
  async names(user: string, share: string, path: string): Promise<string[] | string> {
    const { status, stdout, stderr } = await this.ask(user, share, `ls "${path}\\*"`);
    if (status !== 0) return refusalIn(stdout + stderr);
    const names = stdout.split('\n').map((line) => /^ {2}(.+?) +[A-Z]+ +\d+ {2}\w{3} \w{3} /.exec(line)?.[1] ?? '');
    return names.filter((name) => name !== '' && name !== '.' && name !== '..').sort();
  }

  async stop(): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    const family = [pid, ...(await run('ps', ['-o', 'pid=', '--ppid', String(pid)])).stdout.split('\n').map(Number).filter((child) => child > 0)];
    this.#child?.kill('SIGTERM');
    await until(() => family.every((each) => !isAlive(each)), 'smbd to end');
  }
}

/** NT_STATUS_… of what smbclient printed. */
export function refusalIn(said: string): string {
  return /NT_STATUS_\w+/.exec(said)?.[0] ?? said;
}

function globalSection(directory: string, port: number): string {
  const own = ['lock directory', 'state directory', 'cache directory', 'pid directory', 'binddns dir'].map((name) => `${name} = ${directory}\n`).join('');
  return `[global]
server role = standalone server
smb ports = ${port}
interfaces = 127.0.0.1
bind interfaces only = yes
disable netbios = yes
load printers = no
disable spoolss = yes
passdb backend = tdbsam:${directory}/passwords.tdb
private dir = ${directory}/private
ncalrpc dir = ${directory}/ncalrpc
usershare path =
log file = ${directory}/log
${own}`;
}
