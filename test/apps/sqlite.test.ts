/**
 * SQLite on the mount, in both journal modes: the same statements give the same database as on the bare directory, several
 * writers wait for each other, a killed writer loses nothing it was told is kept, and old states are whole databases.
 */
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { killNow, runWell, start } from '../support/processes.js';

t.setTimeout(300_000);

const skip = await unlessInstalled('sqlite3');

function sql(database: string, statements: string): Promise<string> {
  return runWell('sqlite3', ['-bail', '-cmd', '.timeout 20000', database], { input: statements });
}

function rows(from: number, to: number): string {
  const lines = [];
  for (let row = from; row < to; row += 1) lines.push(`INSERT INTO rows VALUES (${row}, hex(zeroblob(${row % 97})) || '${row}');`);
  return lines.join('\n');
}

for (const mode of ['wal', 'delete']) {
  const setUp = `PRAGMA journal_mode=${mode}; PRAGMA synchronous=FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX texts ON rows (text);`;

  void t.test(`SQLite, ${mode} journal: the database is the same as on the bare directory`, { skip }, async (t) => {
    await withMount(t, {}, async (mount) => {
      const statements = [setUp, rows(0, 150), 'UPDATE rows SET text = text || id WHERE id % 3 = 0;', 'DELETE FROM rows WHERE id % 7 = 0;', 'VACUUM;', rows(1000, 1100)].join('\n');
      const [bare, mounted] = [join(mount.place, 'bare.db'), mount.path('mounted.db')];
      for (const database of [bare, mounted]) await sql(database, statements);
      t.equal(await sql(mounted, 'PRAGMA integrity_check;'), 'ok\n');
      t.equal(await sql(mounted, '.dump'), await sql(bare, '.dump'));
      await mount.remount();
      t.equal(await sql(mounted, '.dump'), await sql(bare, '.dump'), 'also after a remount');
    });
  });

  void t.test(`SQLite, ${mode} journal: four processes write at the same time`, { skip }, async (t) => {
    await withMount(t, {}, async (mount) => {
      const database = mount.path('shared.db');
      await sql(database, setUp);
      await Promise.all([0, 1, 2, 3].map((writer) => sql(database, rows(writer * 100, writer * 100 + 40))));
      t.equal(await sql(database, 'SELECT count(*) FROM rows; PRAGMA integrity_check;'), '160\nok\n');
    });
  });

  void t.test(`SQLite, ${mode} journal: a killed writer loses no committed row, and each old state is whole`, { skip }, async (t) => {
    await withMount(t, {}, async (mount) => {
      mkdirSync(mount.path('data'));
      const database = mount.path('data', 'killed.db');
      await sql(database, setUp);
      const committed = await writeUntilKilled(database, 120);
      t.equal(await sql(database, 'PRAGMA integrity_check;'), 'ok\n');
      t.ok(Number(await sql(database, 'SELECT count(*) FROM rows;')) >= committed, `${committed} rows were committed`);
      const versions = await mount.json('log', mount.path('data'), '--limit', '400');
      const txids = [...new Set(versions.map(({ txid }) => Number(txid)))].filter((_, index) => index % 40 === 5);
      t.ok(txids.length >= 2);
      for (const txid of txids) {
        // SQLite repairs what it opens; a snapshot cannot be written, so a copy of the database and its journal is opened.
        const copy = join(mount.place, `copy-${txid}`);
        await runWell('cp', ['-r', mount.path('.snapshots', `@txn-${txid}`, 'data'), copy]);
        t.equal(await sql(join(copy, 'killed.db'), 'PRAGMA integrity_check;'), 'ok\n', `as of transaction ${txid}`);
      }
    });
  });
}

/** Inserts row after row, each committed before the next, and kills the program after so many; returns how many it said were committed. */
async function writeUntilKilled(database: string, count: number): Promise<number> {
  const child = start('sqlite3', ['-bail', database]);
  if (child.stdout === null || child.pid === undefined) throw new Error('sqlite3 did not start');
  child.stdin?.on('error', () => undefined);
  child.stdin?.write('PRAGMA synchronous=FULL;\n');
  let committed = 0;
  child.stdin?.write(`${rows(0, 1)} SELECT 'kept';\n`);
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== 'kept') continue;
    committed += 1;
    // The next statements are on their way when it dies.
    child.stdin?.write(`${rows(committed, committed + 1)} SELECT 'kept';\n`);
    if (committed === count) await killNow(child.pid);
  }
  return committed;
}
