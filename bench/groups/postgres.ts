/**
 * PostgreSQL with its data directory on the target, under pgbench's ordinary transactions. The cluster is made once on the
 * bare disk and copied onto each target, so that every run starts from the same bytes.
 *
 * Invariants:
 * 1. The server is a child of the benchmark, listens on a unix socket only, and has ended before the target stops.
 * 2. Its settings are PostgreSQL's defaults: fsync and full_page_writes on.
 */
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir } from 'node:fs/promises';
import { ended, execute, pause, startService } from '../command.js';
import type { Account } from '../command.js';
import type { Bench, Group, RunContext } from './group.js';

const root = '/usr/lib/postgresql';

export const postgres: Group = { id: 'postgres', unavailable, account, prepare, run };

/** Row → clients. */
const loads: readonly (readonly [string, number])[] = [['pgbench', 4], ['pgbench-16', 16]];

async function unavailable(): Promise<string | undefined> {
  return existsSync(root) ? undefined : 'PostgreSQL is not installed (apt install postgresql)';
}

/** PostgreSQL refuses to run as root: then it runs as the user that the package made for it. */
async function account(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number(await execute('id', [flag, 'postgres']))));
  return { uid: uid!, gid: gid! };
}

async function tool(name: string): Promise<string> {
  const versions = (await readdir(root)).sort((a, b) => Number(b) - Number(a));
  return `${root}/${versions[0]}/bin/${name}`;
}

async function prepare(bench: Bench): Promise<void> {
  const owner = await account();
  const folder = `${bench.scratch}/postgres`;
  await mkdir(`${folder}/socket`, { recursive: true });
  if (owner.uid !== undefined) await Promise.all([folder, `${folder}/socket`].map((path) => chown(path, owner.uid!, owner.gid!)));
  await execute(await tool('initdb'), ['-D', `${folder}/template`, '-A', 'trust', '-U', 'bench', '--no-instructions'], owner);
  await withServer(bench, `${folder}/template`, async (socket) => {
    await execute(await tool('createdb'), ['-h', socket, '-U', 'bench', 'bench'], owner);
    await execute(await tool('pgbench'), ['-h', socket, '-U', 'bench', '-i', '-q', '-s', '5', 'bench'], owner);
  });
}

async function run(context: RunContext): Promise<void> {
  const { path, scratch, sync, record, during, wanted } = context;
  const data = `${path}/data`;
  await execute('cp', ['-a', `${scratch}/postgres/template`, data]);
  await withServer(context, data, async (socket) => {
    for (const [row, clientCount] of loads) {
      if (!wanted(row)) continue;
      await sync();
      record(row, await during(row, () => secondsPerTransaction(context, socket, clientCount)));
    }
  });
}

async function secondsPerTransaction({ sizes }: Bench, socket: string, clientCount: number): Promise<number> {
  const words = ['-h', socket, '-U', 'bench', '-c', String(clientCount), '-T', String(sizes.pgbenchSeconds), 'bench'];
  const output = await execute(await tool('pgbench'), words, await account());
  const perSecond = /^tps = ([\d.]+)/m.exec(output)?.[1];
  if (perSecond === undefined) throw new Error(`pgbench said nothing of tps: ${output}`);
  return 1 / Number(perSecond);
}

async function withServer(bench: Bench, data: string, use: (socket: string) => Promise<void>): Promise<void> {
  const owner = await account();
  const socket = `${bench.scratch}/postgres/socket`;
  const words = ['-D', data, '-k', socket, '-c', 'listen_addresses='];
  const { child, errors } = startService(await tool('postgres'), words, { ...owner, cwd: bench.scratch });
  try {
    for (let attempt = 0; ; attempt++) {
      if (child.exitCode !== null || attempt === 300) throw new Error(`PostgreSQL did not start: ${errors()}`);
      if (await execute(await tool('pg_isready'), ['-h', socket, '-q']).then(() => true, () => false)) break;
      await pause(100);
    }
    await use(socket);
  } finally {
    // SIGINT is PostgreSQL's fast shutdown: clients are cut off, a checkpoint is written.
    child.kill('SIGINT');
    await ended(child, 60_000).catch(() => child.kill('SIGKILL'));
  }
}
