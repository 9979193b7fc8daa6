/**
 * PostgreSQL with its data directory on the mount: initdb, pgbench, the server killed under load and recovered, and a data
 * directory of the past that starts as a server of its own. The server runs as the user postgres, as a child of this test.
 */
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import { killNow, run, runWell, start, until } from '../support/processes.js';
import type { RunOptions } from '../support/processes.js';

t.setTimeout(300_000);

const programs = '/usr/lib/postgresql';
const user = await postgresUser();
const folder = findPrograms();
const skip = folder === undefined || user === undefined ? 'PostgreSQL is not installed' : false;
if (skip !== false && (process.env['TIDEMARK_REQUIRE_ALL'] ?? '') !== '') throw new Error(skip);

/** root runs it as the user postgres, who came with the package; anybody else as himself. */
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

class Server {
  readonly #data: string;
  readonly #sockets: string;
  #child: ReturnType<typeof start> | undefined;

  constructor(data: string, sockets: string) {
    this.#data = data;
    this.#sockets = sockets;
  }

  async start(): Promise<void> {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#sockets}`, 'fsync=on', 'shared_buffers=16MB', 'max_connections=20'];
    this.#child = start(join(folder ?? '', 'postgres'), ['-D', this.#data, ...settings.flatMap((setting) => ['-c', setting])], { ...user, cwd: this.#sockets });
    this.#child.stdout?.resume();
    this.#child.stderr?.resume();
    await until(async () => (await this.#tool('pg_isready')).status === 0, 'PostgreSQL to be ready', 60_000);
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
    const environment = { PGHOST: this.#sockets, PGUSER: 'postgres' };
    return run(join(folder ?? '', tool), words, { ...asUser(), environment, cwd: this.#sockets });
  }
}

function asUser(): RunOptions {
  return { ...user };
}

void t.test('PostgreSQL: initdb, pgbench, kill -9 with recovery, and a server of the past', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const { uid, gid } = user ?? { uid: 0, gid: 0 };
    const [data, sockets] = [mount.path('data'), join(mount.place, 'sockets')];
    for (const directory of [data, sockets]) {
      mkdirSync(directory, { mode: 0o700 });
      chownSync(directory, uid, gid);
    }
    await runWell(join(folder ?? '', 'initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '--no-instructions'], { ...asUser(), cwd: sockets });
    const server = new Server(data, sockets);
    try {
      await server.start();
      await server.well('pgbench', '-i', '-s', '1', '-q', 'postgres');
      await server.well('pgbench', '-n', '-c', '4', '-T', '5', 'postgres');
      const before = await server.query('SELECT count(*), sum(delta) FROM pgbench_history');
      await mount.cliWell('pin', mount.mountpoint, 'busy');
      const load = server.well('pgbench', '-n', '-c', '4', '-T', '30', 'postgres').catch(() => 'killed');
      await sleep(2000);
      await server.kill();
      t.equal(await load, 'killed');
      await server.start();
      t.equal(await consistent(server), 't\n', 'consistent after kill -9');
      t.ok(Number(await server.query('SELECT count(*) FROM pgbench_history')) >= Number(before.split('|')[0]));
      await server.well('pg_dump', '-f', '/dev/null', 'postgres');
      await server.stop();
      await startsInThePast(t, mount.path('.snapshots', '@busy', 'data'), join(mount.place, 'past'), sockets, before);
    } finally {
      await server.stop();
    }
  });
});

/** pgbench moves the same amounts in three tables and notes each in a fourth. */
function consistent(server: Server): Promise<string> {
  const sums = ['tellers SELECT sum(tbalance)', 'branches SELECT sum(bbalance)', 'accounts SELECT sum(abalance)', 'history SELECT coalesce(sum(delta), 0)'].map((each) => {
    const [table, ...select] = each.split(' ');
    return `(${select.join(' ')} FROM pgbench_${table})`;
  });
  return server.query(`SELECT ${sums[0]} = ${sums[1]} AND ${sums[1]} = ${sums[2]} AND ${sums[2]} = ${sums[3]}`);
}

/** A snapshot of a running server is what a power cut would have left: a copy of it recovers and has all that was committed. */
async function startsInThePast(t: Test, snapshot: string, copy: string, sockets: string, expected: string): Promise<void> {
  await runWell('cp', ['-a', snapshot, copy]);
  await runWell('rm', ['-f', join(copy, 'postmaster.pid')]);
  const past = new Server(copy, sockets);
  try {
    await past.start();
    t.equal(await past.query('SELECT count(*), sum(delta) FROM pgbench_history'), expected, 'the past has just what was committed then');
    t.equal(await consistent(past), 't\n');
  } finally {
    await past.stop();
  }
}
