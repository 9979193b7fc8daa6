/**
 * Whether an application finds, after a power cut, all that it had been promised. In: its directory as it is after recovery, what its witness knows. Out: complaints.
 */
import { join } from 'node:path';
import type { Witness } from '../witness.js';
import { checkPages } from './check-pages.js';
import { checkPostgresql } from './check-postgresql.js';
import { checkSqlite } from './check-sqlite.js';

/** `root`: the protected directory, which may be changed by this as applications change it when they start. */
export async function checkApplications(witness: Witness, position: number, root: string): Promise<string[]> {
  const complaints: string[] = [];
  for (const application of witness.applications) {
    const directory = join(root, application.directory);
    if (application.kind === 'sqlite') complaints.push(...(await checkSqlite(application, witness, position, directory)));
    if (application.kind === 'pages') complaints.push(...checkPages(application, witness, position, directory));
    if (application.kind === 'postgresql') complaints.push(...(await checkPostgresql(application, witness, position, directory)));
  }
  return complaints;
}
