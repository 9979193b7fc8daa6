/**
 * Whether an SQLite database kept, over a power cut, what COMMIT had promised. In: the database's directory, which nobody else has open, what its witness knows.
 * Out: complaints. The database is opened, which brings back what its journal has: the directory is changed by that.
 *
 * 1. It opens, and `PRAGMA integrity_check` finds nothing.
 * 2. Of each writer there are all transactions up to one whose COMMIT had at least returned, and none that had not begun; each of them is whole.
 * 3. In mode "delete" the last transaction of all may be gone, of one writer.
 */
import { join } from 'node:path';
import { run } from '../../support/processes.js';
import type { Witness } from '../witness.js';
import { faultsOf, questions } from './ledger.js';
import { databaseName } from './sqlite.js';
import type { SqliteWitness } from './sqlite.js';

export async function checkSqlite(application: SqliteWitness, witness: Witness, position: number, root: string): Promise<string[]> {
  const name = `${application.directory}/${databaseName}`;
  const { status, stdout, stderr } = await run('sqlite3', ['-bail', join(root, databaseName)], { input: `PRAGMA integrity_check;\n${questions}\n` });
  if (status !== 0) return [`${name}: sqlite3 ended with status ${status}: ${stderr}`];
  const [integrity, ...lines] = stdout.trimEnd().split('\n');
  const faults = faultsOf(lines, { witness, application, position, mayBeGone: application.mode === 'delete' ? 1 : 0 });
  return [...(integrity === 'ok' ? [] : [`integrity_check: ${integrity}`]), ...faults].map((fault) => `${name}: ${fault}`);
}
