/**
 * PostgreSQL itself as an application: a server with its data directory on the mount, sessions of psql that commit to it. In: randomness, how much. Out: what was
 * committed when (check-postgresql.ts).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCluster, makeServerDirectory, PostgresqlServer } from '../../support/postgresql.js';
import type { Random } from '../../support/seed.js';
import { perform } from './application.js';
import type { Application, ApplicationBase, ApplicationSurroundings } from './application.js';
import { setUp, transaction } from './ledger.js';

export interface PostgresqlWitness extends ApplicationBase {
  readonly kind: 'postgresql';
}

const writerCount = 3;
const settings = ['max_wal_size=48MB', 'min_wal_size=32MB', 'checkpoint_timeout=30s', 'autovacuum_naptime=2s'];

export class PostgresqlWork implements Application {
  readonly witness: PostgresqlWitness;
  readonly #random: Random;
  readonly #transactionCount: number;
  readonly #numbers = new Array<number>(writerCount).fill(0);

  /** `transactionCount`: of each writer in each session. */
  constructor(directory: string, transactionCount: number, random: Random) {
    const writers = this.#numbers.map(() => ({ operations: [] }));
    this.witness = { kind: 'postgresql', directory, writers, syncs: [], initial: new Map() };
    this.#transactionCount = transactionCount;
    this.#random = random;
  }

  async prepare(root: string): Promise<void> {
    const data = dataOf(root);
    makeServerDirectory(data);
    await makeCluster(data, '--data-checksums', '--no-sync');
    await withServer(data, async (server) => {
      const shell = server.shell();
      await shell.ask(setUp(writerCount));
      await shell.close();
    });
  }

  async work(root: string, around: ApplicationSurroundings): Promise<void> {
    await withServer(dataOf(root), async (server) => {
      await Promise.all(this.#numbers.map((_, writer) => this.#write(writer, server, around)));
    });
  }

  async #write(writer: number, server: PostgresqlServer, around: ApplicationSurroundings): Promise<void> {
    const shell = server.shell();
    try {
      for (let count = 0; count < this.#transactionCount; count += 1) {
        const number = (this.#numbers[writer] = this.#numbers[writer]! + 1);
        const statements = transaction(writer, number, this.#random, 'BEGIN;');
        // Which segment it was that COMMIT synced is PostgreSQL's affair.
        const performed = { what: `commit ${number}`, commits: number, syncs: () => [] };
        await perform(around, this.witness, this.witness.writers[writer]!, performed, async () => void (await shell.ask(statements)));
        if (writer === 0 && this.#random.oneIn(25)) await server.query('CHECKPOINT');
      }
    } finally {
      await shell.close();
    }
  }
}

export function dataOf(root: string): string {
  return join(root, 'data');
}

/** Starts a server on a data directory, and stops it when the body has ended. */
export async function withServer(data: string, body: (server: PostgresqlServer) => Promise<void>): Promise<void> {
  // Not in a test's place: the path of a socket has to be short.
  const sockets = mkdtempSync(join(tmpdir(), 'tidemark-pg-'));
  makeServerDirectory(sockets);
  const server = new PostgresqlServer(data, sockets, settings);
  try {
    await server.start();
    await body(server);
  } finally {
    await server.stop();
    rmSync(sockets, { recursive: true });
  }
}
