/**
 * Power cuts: applications work on a mount whose disk records what it is told; the power is cut at many moments, each time some of what was not
 * flushed is lost, torn or out of order, and Tidemark is mounted on what is left. It mounts at once, verify finds nothing, what fsync promised is
 * there (check-live.ts), every snapshot reads as before (check-past.ts), and it can be written to. Cuts come while it is first mounted,
 * works, is unmounted and works again, and while it recovers from another cut. order.test.ts tries each operation by itself; harness.test.ts
 * shows that faults are found.
 *
 * TIDEMARK_SEED repeats choices, not how the processes interleave: of a cut with complaints the image is kept, with the command to examine it.
 */
import t from 'tap';
import { unlessInstalled } from '../support/needs.js';
import { isRoot } from '../support/places.js';
import { chooseSeed } from '../support/seed.js';
import { told } from './cuts.js';
import { runRound, summary } from './round.js';

t.setTimeout(600_000);

const seed = chooseSeed();
const skip = isRoot ? await unlessInstalled('mkfs.ext4', 'losetup', 'gcc') : 'needs root';
/** No further batch of cuts after this. */
const enoughMs = 30_000;

void t.test('what fsync promised, and every snapshot, outlives a power cut', { skip }, async (t) => {
  t.comment(`TIDEMARK_SEED=${seed}`);
  const start = performance.now();
  const isLate = (): boolean => performance.now() - start > enoughMs;
  const results = await runRound(t, { seed, lanes: 3, steps: 80, batches: 4, cutsEach: 6, cutsOfRecovery: 4, isLate });
  t.comment(summary(results));
  for (const result of results) t.strictSame(result.complaints, [], told(result));
  t.ok(results.length >= 10, `${results.length} cuts`);
});
