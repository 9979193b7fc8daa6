/** The last line of a test run is honest: each check counts once, and a failure without a failed check counts too. */
import t from 'tap';
import { TapCounter } from '../../tools/tap-counter.js';
import type { EndedFile } from '../../tools/tap-counter.js';

function count(tap: string): { passed: number; failed: number; skipped: number; files: EndedFile[] } {
  const counter = new TapCounter();
  const files = tap.split('\n').map((line) => counter.line(line)).filter((ended) => ended !== undefined);
  return { passed: counter.passed, failed: counter.failed, skipped: counter.skipped, files };
}

t.test('checks count, the lines that sum them up do not', async (t) => {
  const tap = `TAP version 14
# Subtest: a.test.js
    # Subtest: first
        ok 1 - one
        ok 2 - two
        1..2
    ok 1 - first # time=3ms
    ok 2 - alone
    1..2
ok 1 - a.test.js # time=300ms
not ok 2 - b.test.js # time=3ms {
    ok 1 - three
    not ok 2 - four
      ---
      found: |
    ok 9 - not a check
      ...
    ok 3 - later # SKIP no such program
    not ok 4 - some day # TODO
    1..4
}
1..2
`;
  t.strictSame(count(tap), {
    passed: 4,
    failed: 1,
    skipped: 2,
    files: [
      { name: 'a.test.js', hasFailed: false, checks: 3, time: '300ms' },
      { name: 'b.test.js', hasFailed: true, checks: 4, time: '3ms' },
    ],
  });
});

t.test('a crash or a timeout is a failure', async (t) => {
  t.match(count('    ok 1 - one\n    1..1\nnot ok 1 - crashed.test.js\n  ---\n  exitCode: 1\n  ...\n1..1\n'), { passed: 1, failed: 1, skipped: 0 });
  t.match(count('not ok 1 - silent.test.js\n1..1\n'), { passed: 0, failed: 1, skipped: 0, files: [{ name: 'silent.test.js', hasFailed: true }] });
  t.match(count('    not ok 1 - one\nnot ok 1 - file\n1..1\n'), { passed: 0, failed: 1, skipped: 0 });
});

t.test('a file that is skipped whole passes nothing', async (t) => {
  t.match(count('ok 1 - none.test.js # SKIP not installed\n1..1\n'), { passed: 0, failed: 0, skipped: 1 });
});
