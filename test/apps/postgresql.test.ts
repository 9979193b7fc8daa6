/**
 * PostgreSQL with its data directory on the mount: initdb, pgbench, the server killed under load and recovered, and a data
 * directory of the past that starts as a server of its own. The server runs as the user postgres, as a child of this test.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import { makeCluster, makeServerDirectory, PostgresqlServer, withoutPostgresql } from '../support/postgresql.js';
import { runWell } from '../support/processes.js';

t.setTimeout(300_000);

if (withoutPostgresql !== false && (process.env['TIDEMARK_REQUIRE_ALL'] ?? '') !== '') throw new Error(withoutPostgresql);

void t.test('PostgreSQL: initdb, pgbench, kill -9 with recovery, and a server of the past', { skip: withoutPostgresql }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const [data, sockets] = [mount.path('data'), join(mount.place, 'sockets')];
    for (const directory of [data, sockets]) makeServerDirectory(directory);
    await makeCluster(data);
    const server = new PostgresqlServer(data, sockets);
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
function consistent(server: PostgresqlServer): Promise<string> {
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
  const past = new PostgresqlServer(copy, sockets);
  try {
    await past.start();
    t.equal(await past.query('SELECT count(*), sum(delta) FROM pgbench_history'), expected, 'the past has just what was committed then');
    t.equal(await consistent(past), 't\n');
  } finally {
    await past.stop();
  }
}
