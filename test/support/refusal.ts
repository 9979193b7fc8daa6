/**
 * What every refusal of the command line looks like: a non-zero status, one line on stderr that says what is wrong and
 * what to do, nothing else.
 */
import type { Test } from 'tap';
import type { Outcome } from './processes.js';

/** Checks a refusal. `status`: 1 could not, 2 wrong usage. */
export function isRefusal(t: Test, outcome: Outcome, says: RegExp, status: 1 | 2 = 1): void {
  t.equal(outcome.status, status, `status: ${outcome.stdout}${outcome.stderr}`);
  const lines = outcome.stderr.split('\n').filter((line) => line !== '');
  t.equal(lines.length, 1, `one line: ${JSON.stringify(lines)}`);
  t.match(lines[0] ?? '', says);
  t.notMatch(outcome.stderr, /\bat .*\.js:\d+|Error:/, 'no stack');
}
