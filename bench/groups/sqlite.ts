/**
 * SQLite's own shell inserting rows one transaction each, durable at each commit, with both kinds of journal.
 */
import { writeFile } from 'node:fs/promises';
import { execute } from '../command.js';
import type { Bench, Group, RunContext } from './group.js';

export const sqlite: Group = {
  id: 'sqlite',
  unavailable: () => execute('sqlite3', ['--version']).then(() => undefined, () => 'sqlite3 is not installed (apt install sqlite3)'),
  prepare,
  run,
};

async function prepare({ scratch, sizes }: Bench): Promise<void> {
  for (const mode of ['wal', 'delete']) {
    const inserts = Array.from({ length: sizes.sqliteTransactionCount }, (_, index) =>
      `INSERT INTO entry(name, amount, note) VALUES ('name-${index}', ${index * 7}, hex(zeroblob(60)));`);
    await writeFile(`${scratch}/inserts-${mode}.sql`, [
      '.bail on',
      `PRAGMA journal_mode=${mode};`,
      'PRAGMA synchronous=FULL;',
      'CREATE TABLE entry(id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, note TEXT);',
      ...inserts,
      `SELECT CASE count(*) WHEN ${inserts.length} THEN 'complete' ELSE 1/0 END FROM entry;`,
      '',
    ].join('\n'));
  }
}

async function run({ path, scratch, measure, wanted }: RunContext): Promise<void> {
  for (const mode of ['wal', 'delete']) {
    if (!wanted(`sqlite-${mode}`)) continue;
    const script = `.read ${scratch}/inserts-${mode}.sql`;
    await measure(`sqlite-${mode}`, 'run', `${scratch}/output`, 'sqlite3', '-batch', `${path}/${mode}.db`, script);
  }
}
