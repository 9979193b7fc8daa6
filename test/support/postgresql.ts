/**
 * PostgreSQL for a test: where the package's programs are, who runs them, and a server of its own, as a child of the test. In: a data directory.
 *
 * Invariants:
 * 1. A server that a test started ends with it.
 * 2. As root the server runs as the user postgres, who came with the package; as anybody else it runs as himself.
 */
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killNow, run, runWell, start, until } from './processes.js';
import type { RunOptions } from './processes.js';
import { SqlShell } from './sql-shell.js';

const programs = '/usr/lib/postgresql';
const user = await postgresUser();
const folder = findPrograms();

/** Why it cannot be had; false: it can. */
export const withoutPostgresql = folder === undefined || user === undefined ? 'PostgreSQL is not installed' : false;

/** Makes a directory that belongs to the server's user alone, as data and sockets have to. */
export function makeServerDirectory(path: string): void {
  mkdirSync(path, { mode: 0o700, recursive: true });
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

/** initdb, with more options if wanted. `data`: an empty directory of makeServerDirectory. */
export async function makeCluster(data: string, ...options: readonly string[]): Promise<void> {
  await runWell(join(folder ?? '', 'initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '--no-instructions', ...options], { ...user, cwd: dirname(data) });
}

export class PostgresqlServer {
  readonly #data: string;
  readonly #sockets: string;
  readonly #settings: readonly string[];
  #child: ReturnType<typeof start> | undefined;

  /** `sockets`: a directory of makeServerDirectory. `settings`: "name=value", beside those that keep it small and by itself. */
  constructor(data: string, sockets: string, settings: readonly string[] = []) {
    this.#data = data;
    this.#sockets = sockets;
    this.#settings = settings;
  }

  async start(): Promise<void> {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#sockets}`, 'fsync=on', 'shared_buffers=16MB', 'max_connections=20', ...this.#settings];
    this.#child = start(join(folder ?? '', 'postgres'), ['-D', this.#data, ...settings.flatMap((setting) => ['-c', setting])], { ...user, cwd: this.#sockets });
    this.#child.stdout?.resume();
    let said = '';
    this.#child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)));
    await until(async () => {
      if (this.#child?.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said}`);
      return (await this.#tool('pg_isready')).status === 0;
    }, 'PostgreSQL to be ready', 60_000);
  }

  /** A session that stays. */
  shell(): SqlShell {
    return new SqlShell(join(folder ?? '', 'psql'), ['-X', '-A', '-t', '-q', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1'], this.#toolOptions());
  }

  query(statement: string): Promise<string> {
    return this.well('psql', '-X', '-A', '-t', '-d', 'postgres', '-c', statement);
  }

  async well(tool: string, ...words: string[]): Promise<string> {
    const outcome = await this.#tool(tool, ...words);
    if (outcome.status !== 0) throw new Error(`${tool} ${words.join(' ')}: ${outcome.stdout}${outcome.stderr}`);
    return outcome.stdout;
  }

  /** kill -9 of the postmaster and of all its processes. */
  async kill(): Promise<void> {
    const pid = this.#child?.pid ?? 0;
    const children = (await run('ps', ['-o', 'pid=', '--ppid', String(pid)])).stdout.split('\n').map(Number).filter((child) => child > 0);
    for (const each of [pid, ...children]) await killNow(each);
  }

  async stop(): Promise<void> {
    if (this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = new Promise((resolve) => this.#child?.once('close', resolve));
    this.#child.kill('SIGINT'); // Fast shutdown.
    await Promise.race([closed, sleep(30_000, undefined, { ref: false }).then(() => this.kill())]);
  }

  #tool(tool: string, ...words: string[]): ReturnType<typeof run> {
    return run(join(folder ?? '', tool), words, this.#toolOptions());
  }

  #toolOptions(): RunOptions {
    return { ...user, environment: { PGHOST: this.#sockets, PGUSER: 'postgres' }, cwd: this.#sockets };
  }
}

async function postgresUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const entry = (await run('getent', ['passwd', 'postgres'])).stdout.split(':');
  return entry.length > 3 ? { uid: Number(entry[2]), gid: Number(entry[3]) } : undefined;
}

function findPrograms(): string | undefined {
  try {
    const version = readdirSync(programs).sort().at(-1);
    return version === undefined ? undefined : join(programs, version, 'bin');
  } catch {
    return undefined;
  }
}
