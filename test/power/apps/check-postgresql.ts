/**
 * Whether PostgreSQL kept, over a power cut, what COMMIT had promised. In: the directory with its data, what its witness knows. Out: complaints.
 *
 * 1. The server starts, which plays its log, and reads every page of the tables, whose checksums it compares.
 * 2. Of each writer there are all transactions up to one whose COMMIT had at least returned, and none that had not begun; each of them is whole.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Witness } from '../witness.js';
import { faultsOf, questions } from './ledger.js';
import { dataOf, withServer } from './postgresql.js';
import type { PostgresqlWitness } from './postgresql.js';

export async function checkPostgresql(application: PostgresqlWitness, witness: Witness, position: number, root: string): Promise<string[]> {
  const data = dataOf(root);
  // It names a process of before the cut; where the machine did go down no such process is left.
  rmSync(join(data, 'postmaster.pid'), { force: true });
  const faults: string[] = [];
  try {
    await withServer(data, async (server) => {
      const lines: string[] = [];
      for (const question of questions.split('\n')) lines.push(...(await server.query(question)).split('\n').filter((line) => line !== ''));
      faults.push(...faultsOf(lines, { witness, application, position, mayBeGone: 0 }));
    });
  } catch (error) {
    faults.push(String(error));
  }
  return faults.map((fault) => `${application.directory}: ${fault}`);
}
