/**
 * What a standby costs who works on the primary: the same work on a volume without one and on a primary whose standby follows, in turn. The volumes and who works on them have one processor,
 * the standby the other. In: two mounts. Out: seconds.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Mount } from '../../test/support/mount.js';
import { caughtUp } from '../../test/support/pair.js';
import type { Pair } from '../../test/support/pair.js';
import { execute } from '../command.js';
import { executeOn, pin } from './place.js';

export const works = ['files', 'sqlite', 'fsync'] as const;
export type Work = (typeof works)[number];

/** Seconds of each round. For `fsync` those of one overwrite with its sync, on the primary also in the mode sync. */
export type Cost = Record<Work, { readonly alone: number[]; readonly paired: number[] }> & { readonly fsyncSync: number[] };

export interface CostOptions {
  readonly files: number;
  readonly commits: number;
  readonly rounds: number;
  /** An empty directory. */
  readonly scratch: string;
  readonly workload: string;
}

const fileBytes = 4096;
const overwritten = 16 << 20;

export async function measureCost(alone: Mount, { primary, standby }: Pair, options: CostOptions): Promise<Cost> {
  const { scratch, files, commits } = options;
  await makeArchive(scratch, files);
  writeFileSync(`${scratch}/inserts.sql`, insertsOf(commits));
  for (const { pid } of [alone, primary]) await pin(pid, 0);
  await pin(standby.pid, 1);
  const cost: Cost = { files: { alone: [], paired: [] }, sqlite: { alone: [], paired: [] }, fsync: { alone: [], paired: [] }, fsyncSync: [] };
  for (let round = 0; round < options.rounds; round++) {
    // Who comes first finds another disk than who comes second.
    for (const which of round % 2 === 0 ? ['alone', 'paired'] as const : ['paired', 'alone'] as const) {
      const mount = which === 'alone' ? alone : primary;
      for (const work of works) {
        cost[work][which].push(await doWork(work, mount, round, options));
        await caughtUp(primary);
      }
    }
    await primary.cliWell('pair', 'set', primary.mountpoint, '--mode', 'sync');
    cost.fsyncSync.push(await doWork('fsync', primary, round, options));
    await primary.cliWell('pair', 'set', primary.mountpoint, '--mode', 'async');
    await caughtUp(primary);
  }
  return cost;
}

async function doWork(work: Work, mount: Mount, round: number, { scratch, workload, commits }: CostOptions): Promise<number> {
  await execute('sync', []);
  const timed = async (...words: string[]): Promise<number> => Number(await executeOn(0, workload, words));
  if (work === 'files') {
    const directory = mount.path(`files-${round}`);
    await execute('mkdir', [directory]);
    return timed('run', '/dev/null', 'tar', '-xf', `${scratch}/files.tar`, '-C', directory);
  }
  if (work === 'sqlite') return timed('run', '/dev/null', 'sqlite3', '-batch', mount.path(`${round}.db`), `.read ${scratch}/inserts.sql`);
  const file = mount.path('overwritten');
  await execute('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${overwritten >> 20}`, 'conv=fsync', 'status=none']);
  return await timed('overwrite', String(commits), '1', '1', String(round), file) / commits;
}

async function makeArchive(scratch: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const directory = `${scratch}/files/${Math.floor(index / 100)}`;
    if (index % 100 === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/${index}`, Buffer.alloc(fileBytes, `${index} `));
  }
  await execute('tar', ['-cf', `${scratch}/files.tar`, '-C', `${scratch}/files`, '.']);
}

function insertsOf(count: number): string {
  const inserts = Array.from({ length: count }, (_, index) => `INSERT INTO entry(name, note) VALUES ('name-${index}', hex(zeroblob(60)));`);
  return ['.bail on', 'PRAGMA journal_mode=wal;', 'PRAGMA synchronous=FULL;', 'CREATE TABLE entry(id INTEGER PRIMARY KEY, name TEXT, note TEXT);', ...inserts, ''].join('\n');
}
