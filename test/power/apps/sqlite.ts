/**
 * SQLite as an application: a database of its own, two processes of the sqlite3 program that write to it, each transaction committed before its next begins. In: a
 * journal mode, randomness. Out: what was committed when (check-sqlite.ts says what must be there of it).
 */
import { join } from 'node:path';
import { runWell } from '../../support/processes.js';
import type { Random } from '../../support/seed.js';
import { SqlShell } from '../../support/sql-shell.js';
import { perform } from './application.js';
import type { Application, ApplicationBase, ApplicationSurroundings, Performed } from './application.js';
import { setUp, transaction } from './ledger.js';

/**
 * The journal, and `PRAGMA synchronous`. All promise that what COMMIT returned for outlives a power cut, except "delete", which leaves the directory
 * unsynced after it removed the journal: the journal may be there again, which takes the last transaction back.
 */
export type SqliteMode = 'wal' | 'delete' | 'delete-extra' | 'truncate' | 'persist';

export interface SqliteWitness extends ApplicationBase {
  readonly kind: 'sqlite';
  readonly mode: SqliteMode;
}

export const databaseName = 'data.db';
const writerCount = 2;

export class SqliteWork implements Application {
  readonly witness: SqliteWitness;
  readonly #random: Random;
  readonly #transactionCount: number;
  /** Of each writer. */
  readonly #numbers = new Array<number>(writerCount).fill(0);

  /** `transactionCount`: of each writer in each session. */
  constructor(directory: string, mode: SqliteMode, transactionCount: number, random: Random) {
    const writers = this.#numbers.map(() => ({ operations: [] }));
    this.witness = { kind: 'sqlite', mode, directory, writers, syncs: [], initial: new Map() };
    this.#transactionCount = transactionCount;
    this.#random = random;
  }

  async prepare(root: string): Promise<void> {
    const journal = this.witness.mode === 'wal' ? 'PRAGMA journal_mode=wal;' : '';
    await runWell('sqlite3', ['-bail', join(root, databaseName)], { input: `${journal}\n${setUp(writerCount)}\n` });
  }

  async work(root: string, around: ApplicationSurroundings): Promise<void> {
    await Promise.all(this.witness.writers.map((_, writer) => this.#write(writer, join(root, databaseName), around)));
  }

  async #write(writer: number, database: string, around: ApplicationSurroundings): Promise<void> {
    let shell = await this.#open(database);
    try {
      for (let count = 0; count < this.#transactionCount; count += 1) {
        await this.#transact(writer, shell, around);
        await this.#upkeep(writer, shell, around);
        if (!this.#random.oneIn(15)) continue;
        await shell.close();
        shell = await this.#open(database);
      }
    } finally {
      await shell.close();
    }
  }

  async #open(database: string): Promise<SqlShell> {
    const { mode } = this.witness;
    const [journal, synchronous] = mode === 'delete-extra' ? ['delete', 'EXTRA'] : [mode, 'FULL'];
    const shell = new SqlShell('sqlite3', ['-bail', database]);
    await shell.ask(`.timeout 30000\nPRAGMA synchronous=${synchronous};${mode === 'wal' ? 'PRAGMA wal_autocheckpoint=25;' : `PRAGMA journal_mode=${journal};`}`);
    return shell;
  }

  async #transact(writer: number, shell: SqlShell, around: ApplicationSurroundings): Promise<void> {
    const number = this.#numbers[writer]! + 1;
    this.#numbers[writer] = number;
    const statements = transaction(writer, number, this.#random, 'BEGIN IMMEDIATE;');
    const performed = { what: `commit ${number}`, commits: number, syncs: () => [this.#syncedFile] };
    await this.#perform(writer, around, performed, () => shell.ask(statements));
  }

  /** What databases do between transactions, now and then. */
  async #upkeep(writer: number, shell: SqlShell, around: ApplicationSurroundings): Promise<void> {
    const chance = this.#random.below(24);
    const syncs = (): readonly string[] => [this.#syncedFile];
    if (chance === 0) await this.#perform(writer, around, { what: 'a table grows', syncs }, () => shell.ask('INSERT INTO scratch VALUES (hex(randomblob(20000)));'));
    if (chance === 1) await this.#perform(writer, around, { what: 'a table shrinks', syncs: () => [] }, () => shell.ask('DELETE FROM scratch;'));
    if (chance === 2 && writer === 0) await this.#perform(writer, around, { what: 'vacuum', syncs }, () => shell.ask('VACUUM;'));
    if (chance > 4 || this.witness.mode !== 'wal') return;
    let isWhole = false;
    await this.#perform(writer, around, { what: 'checkpoint', syncs: () => (isWhole ? [databaseName] : []) }, async () => {
      const [answer] = await shell.ask(`PRAGMA wal_checkpoint(${this.#random.pick(['FULL', 'TRUNCATE'])});`);
      // "busy|pages in the log|pages checkpointed"; nothing is synced when there was nothing to be done.
      const [busy, inLog, checkpointed] = (answer ?? '').split('|').map(Number);
      isWhole = busy === 0 && inLog! > 0 && inLog === checkpointed;
    });
  }

  /** What every COMMIT syncs. */
  get #syncedFile(): string {
    return this.witness.mode === 'wal' ? `${databaseName}-wal` : databaseName;
  }

  async #perform(writer: number, around: ApplicationSurroundings, performed: Performed, act: () => Promise<unknown>): Promise<void> {
    await perform(around, this.witness, this.witness.writers[writer]!, performed, async () => void (await act()));
  }
}
