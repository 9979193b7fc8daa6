/**
 * What writers do to an SQL database so that one sees afterwards which of their transactions are there, and whether each is whole. The words are such that SQLite and
 * PostgreSQL understand them. In: numbers, randomness. Out: statements, and what is wrong with the answers to questions.
 *
 * Invariants:
 * 1. Transaction n of a writer inserts 1 + n % 5 entries that name it, and raises the writer's total by what it raises accounts by: a half one is known as such.
 * 2. A writer numbers its transactions from 1, without gaps.
 * 3. Rows are locked in one order, so that writers wait for each other and never in a circle.
 */
import type { Random } from '../../support/seed.js';
import { reachAt } from '../witness.js';
import type { Witness } from '../witness.js';
import { commitsBy } from './application.js';
import type { ApplicationBase } from './application.js';

const accountCount = 300;
const longestFiller = 600;

/** Tables with so many writers' totals. */
export function setUp(writerCount: number): string {
  return [
    'BEGIN;',
    'CREATE TABLE entries (writer INTEGER, number INTEGER, part INTEGER, text TEXT, PRIMARY KEY (writer, number, part));',
    'CREATE INDEX texts ON entries (text);',
    'CREATE TABLE accounts (id INTEGER PRIMARY KEY, value INTEGER NOT NULL, filler TEXT);',
    'CREATE TABLE totals (writer INTEGER PRIMARY KEY, value INTEGER NOT NULL);',
    'CREATE TABLE scratch (filler TEXT);',
    ...Array.from({ length: accountCount }, (_, id) => `INSERT INTO accounts VALUES (${id}, 0, '${'x'.repeat(400)}');`),
    ...Array.from({ length: writerCount }, (_, writer) => `INSERT INTO totals VALUES (${writer}, 0);`),
    'COMMIT;',
  ].join('\n');
}

export function transaction(writer: number, number: number, random: Random, begin: string): string {
  const entries = Array.from({ length: 1 + (number % 5) }, (_, part) => `(${writer}, ${number}, ${part}, 'entry ${writer} ${number} ${part}')`);
  const raised = [...new Set(Array.from({ length: 1 + random.below(4) }, () => random.below(accountCount)))].sort((one, other) => one - other);
  return [
    begin, `INSERT INTO entries VALUES ${entries.join(', ')};`,
    ...raised.map((id) => `UPDATE accounts SET value = value + 1, filler = '${random.bytes(random.below(longestFiller / 2)).toString('hex')}' WHERE id = ${id};`),
    `UPDATE totals SET value = value + ${raised.length} WHERE writer = ${writer};`, 'COMMIT;',
  ].join('\n');
}

/** Answers begin with a word, then "|". */
export const questions = [
  "SELECT 'half', writer, number FROM entries GROUP BY writer, number HAVING count(*) <> 1 + number % 5;",
  "SELECT 'wrong', writer, number FROM entries WHERE text <> 'entry ' || writer || ' ' || number || ' ' || part;",
  "SELECT 'unequal', (SELECT sum(value) FROM accounts), (SELECT sum(value) FROM totals) WHERE (SELECT sum(value) FROM accounts) <> (SELECT sum(value) FROM totals);",
  "SELECT 'gap', writer, max(number) FROM entries GROUP BY writer HAVING count(DISTINCT number) <> max(number);",
  "SELECT 'writer', writer, max(number) FROM entries GROUP BY writer;",
].join('\n');

export interface Judged {
  readonly witness: Witness;
  readonly application: ApplicationBase;
  /** Of the cut that tells what had been promised. */
  readonly position: number;
  /** So many writers may have lost their last transaction. */
  readonly mayBeGone: number;
}

/** What the answers tell against what COMMIT had returned for. */
export function faultsOf(lines: readonly string[], { witness, application, position, mayBeGone }: Judged): string[] {
  const faults = lines.filter((line) => !line.startsWith('writer|'));
  const found = new Map(lines.filter((line) => line.startsWith('writer|')).map((line) => line.split('|').slice(1).map(Number) as [number, number]));
  let left = mayBeGone;
  for (const [index, writer] of application.writers.entries()) {
    const { done, begun } = reachAt(witness, writer, position);
    const [promised, most, there] = [commitsBy(writer, done), commitsBy(writer, begun), found.get(index) ?? 0];
    if (there === promised - 1 && left > 0) left -= 1;
    else if (there < promised) faults.push(`writer ${index} has ${there} transactions instead of ${promised} at least`);
    if (there > most) faults.push(`writer ${index} has ${there} transactions instead of ${most} at most`);
  }
  return faults;
}
